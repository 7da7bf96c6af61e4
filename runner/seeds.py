"""Default seeds of chapters, which follow from what is registered for them.

A chapter with claims of the second edition starts from the seed that `registered_seed` makes of
their statistics, criteria, controls and nulls. To move a threshold is then to draw other data, and
nobody can look at a few seeds and keep the one that pleases. Pilot runs use any other seed.
"""

import re
from pathlib import Path

import nbformat

from hblib.claims._register import registered_seed
from runner import files, parameters

_LITERAL = re.compile(r"^seed = -?\d+", flags=re.MULTILINE)


def registered(root, chapter):
    """Return the seed that a chapter must start from; None before its second edition.

    Parameters
    ----------
    root : str or Path
    chapter : str
        For example ``"02_rotation"``.

    Returns
    -------
    int or None
    """
    register = files.register(root)
    entries = [entry for entry in register.values() if entry["chapter"] == chapter]
    second = any(entry["edition"] == 2 for entry in entries)
    return registered_seed(entries) if second else None


def write(notebook):
    """Write the registered seed into a chapter's cell of parameters, if it has another.

    Parameters
    ----------
    notebook : str or Path

    Returns
    -------
    bool
        Whether the chapter was changed; it is then out of date.

    Raises
    ------
    ValueError
        If the cell of parameters has no line such as ``seed = 0``.
    """
    path = Path(notebook)
    seed = registered(path.parent.parent, path.stem)
    chapter = files.read(path)
    if seed is None or parameters.declared(chapter).get("seed") == seed:
        return False
    for cell in chapter.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source, found = _LITERAL.subn(f"seed = {seed}", cell.source)
            if found == 1:
                files.write(nbformat.writes(chapter), path)
                return True
    raise ValueError(f"{path.stem} has no line such as 'seed = 0' in its cell of parameters")
