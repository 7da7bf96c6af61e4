"""Prose that rests on verdicts says on which, and is checked against what came out.

A cell of text declares them in its metadata,

    {"hblib": {"presumes": {"space.random-as-good": "refuted"}}}

and a page of the book in a directive (``book/_ext/hb_presumes.py``). The book is not built while
the committed run disagrees. A page of a run with other parameters shows a note beside the text.
"""

from hblib import claims


def parse(text):
    """Read ``"space.basis: reproduced, space.random-as-good: open"``.

    Parameters
    ----------
    text : str

    Returns
    -------
    dict of str to str
        Claim -> verdict.

    Raises
    ------
    ValueError
        If a part is no claim and verdict.
    """
    found = {}
    for part in text.split(","):
        id, colon, verdict = (piece.strip() for piece in part.partition(":"))
        if not colon or verdict not in claims.VERDICTS:
            raise ValueError(
                f"presumes takes claims and verdicts such as 'space.basis: reproduced', got "
                f"{part.strip()!r}"
            )
        found[id] = verdict
    return found


def disagreements(presumed, verdicts):
    """Say where verdicts are not the presumed ones.

    Parameters
    ----------
    presumed : dict of str to str
        Claim -> verdict that the text rests on.
    verdicts : dict of str to str
        Claim -> verdict that came out.

    Returns
    -------
    list of str
    """
    return [
        f"{id} came out {verdicts.get(id, claims.NOT_TESTED)!r}, the text presumes {verdict!r}"
        for id, verdict in presumed.items()
        if verdicts.get(id) != verdict
    ]


def of_cell(cell):
    """Return claim -> verdict of what a cell of text presumes.

    Raises
    ------
    ValueError
        If its metadata hold anything else.
    """
    presumed = cell.metadata.get("hblib", {}).get("presumes", {})
    if not isinstance(presumed, dict) or not set(presumed.values()) <= set(claims.VERDICTS):
        raise ValueError(
            "'presumes' in a cell's metadata must be claims with their verdicts, got "
            f"{presumed!r}"
        )
    return dict(presumed)
