"""The wheel: what is in it, and that it works without the checkout."""

import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from scripts import PATIENCE, ROOT

EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
CHECK = """
import hblib, numpy as np
from hblib import claims
print(hblib.__file__)
id = "space.basis"
print(claims.check(id, np.full(9, 1e-15), control=np.full(9, 0.5)).verdict)
print(claims.check(id, np.full(9, 1e-3), control=np.full(9, 0.5)).verdict)
"""


def pip(*arguments, cwd):
    command = [sys.executable, "-m", "pip", *arguments, "-q", "--no-deps", "--no-index"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check"],
        cwd=cwd, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy: pip builds where the sources are, and leaves its files there."""
    copy, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-TEXT"):
        shutil.copy(ROOT / name, copy)
    for name in ("hblib", "runner", "tests", "examples"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip("wheel", ".", "--no-build-isolation", "-w", str(out), cwd=copy)
    [path] = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def run(wheel, tmp_path_factory):
    """Runs Python with the wheel's files and the environment's packages, without the checkout.

    Options -I and -S: no variables, no folder of the script, and no .pth file, which is how an
    editable install makes the checkout known.
    """
    installed, place = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("place")
    pip("install", str(wheel), "--target", str(installed), cwd=place)
    packages = {sysconfig.get_paths()[key] for key in ("purelib", "platlib")}
    start = f"import sys; sys.path[:0] = [{str(installed)!r}]; sys.path += {sorted(packages)!r}\n"

    def run(code):
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", start + code],
            cwd=place, capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert not list(place.iterdir())
        return done.stdout.splitlines()

    run.installed = installed
    return run


def test_it_holds_the_library_with_its_data_and_nothing_of_the_book(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.partition("/")[0] for name in names}
    [information] = [top for top in tops if top.endswith(".dist-info")]
    assert tops == {"hblib", "runner", information}
    kept = [path for path in (ROOT / "hblib").rglob("*") if path.is_file()]
    sources = {p.relative_to(ROOT).as_posix() for p in kept if "__pycache__" not in p.parts}
    assert {name for name in names if name.startswith("hblib/")} == sources
    assert {"hblib/py.typed", "hblib/claims/register.yml"} < sources
    assert any(name.startswith("hblib/worlds/_text/") for name in sources)


def test_its_metadata_name_what_it_needs(wheel):
    file = zipfile.ZipFile(wheel)
    [name] = [name for name in file.namelist() if name.endswith("METADATA")]
    metadata = Parser().parsestr(file.read(name).decode("utf-8"))
    version = re.search(r'__version__ = "(.+)"', (ROOT / "hblib/__init__.py").read_text())[1]
    assert (metadata["Name"], metadata["Version"]) == ("hblib", version)
    assert metadata["License-Expression"] == "MIT AND CC-BY-4.0"
    assert metadata.get_all("License-File") == ["LICENSE", "LICENSE-TEXT"]
    assert {"words", "run"} <= set(metadata.get_all("Provides-Extra"))
    plain = [item for item in metadata.get_all("Requires-Dist") if "extra ==" not in item]
    assert {re.split(r"[^\w-]", item)[0] for item in plain} >= {"numpy", "scipy", "torch", "pyyaml"}
    assert not any(item.startswith(("click", "myst-nb", "pytest", "sphinx")) for item in plain)


def test_a_claim_is_settled_without_the_checkout(run):
    where, good, bad = run(CHECK)
    assert Path(where).is_relative_to(run.installed)
    assert (good, bad) == ("reproduced", "refuted")


def test_the_library_needs_nothing_of_the_runner(run):
    """Every room is imported; what executes chapters stays out."""
    rooms = ", ".join(path.parent.name for path in (ROOT / "hblib").glob("*/__init__.py"))
    said = run(f"from hblib import {rooms}\nprint('runner' in sys.modules, 'click' in sys.modules)")
    assert said == ["False False"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_is_short(run, name):
    text = (ROOT / "examples" / name).read_text("utf-8")
    assert len(text.splitlines()) < 40
    said = run(f"exec(compile({text!r}, {name!r}, 'exec'), {{'__name__': '__main__'}})")
    if name == "similarity_of_two_layers.py":
        cka, pairs = (float(line.split()[-1]) for line in said[2:4])
        assert cka > 0.9 > 0.8 > pairs  # the same space, other units
    elif name == "ksvd_of_activations.py":
        ksvd, pca = (float(re.search(r"([\d.]+)%", line)[1]) for line in said[:2])
        assert ksvd < pca / 3
        assert len(said) == 7 and int(re.search(r"(\d+)%", said[2])[1]) > 70
    elif name == "residual_stream.py":
        assert "rotated, gains folded" in said[0].split("It changes")[0]
        assert float(said[1].split()[-1]) < 1e-4  # the same function
    elif name == "dictionary_of_embeddings.py" and len(said) == 1:
        assert said[0].startswith("MiniLM is not installed: pip install")
    elif name == "dictionary_of_embeddings.py":
        assert len(said) == 5 and int(re.search(r"(\d+)%", said[0])[1]) < 30
    else:
        assert sum(line.startswith("  ") for line in said) == 5  # one answer per question
