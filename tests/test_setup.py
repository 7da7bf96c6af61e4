"""The set-up: what is declared agrees, and whatever goes wrong is said in one sentence.

The second half really runs tools/setup.sh, in a small project of its own whose build backend lies
beside it and whose lock names nothing, so that no network is needed and a run takes seconds.
"""

import fcntl
import importlib.metadata
import os
import re
import shutil
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from scripts import PATIENCE, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


# --- what is declared agrees --------------------------------------------------------------------


def requirements(path):
    """Those in a lock or a list of requirements; comments and hashes are taken off."""
    lines = (re.split(" #| --hash", line)[0].strip() for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


LOCK = (ROOT / "requirements.lock").read_text()
REQUIREMENTS = requirements(ROOT / "requirements.lock")
HERE = {canonicalize_name(r.name): r for r in REQUIREMENTS if not r.marker or r.marker.evaluate()}


def pin(name):
    (specifier,) = HERE[name].specifier
    return Version(specifier.version)


def declared():
    project = PROJECT["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    lists.append(PROJECT["build-system"]["requires"])
    return [Requirement(text) for each in lists for text in each]


@pytest.mark.parametrize("requirement", declared(), ids=str)
def test_declared_requirement_is_locked_within_its_range(requirement):
    name = canonicalize_name(requirement.name)
    assert name in HERE, f"{name} is in pyproject.toml and not in the lock: run `make lock`"
    assert requirement.specifier.contains(pin(name))


@pytest.mark.parametrize(
    "path",
    [*ROOT.glob("*.lock"), *ROOT.glob("*/requirements.txt"), *ROOT.glob("*/requirements.lock")],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_each_locked_line_is_one_exact_public_release(path):
    for requirement in requirements(path):
        (specifier,) = requirement.specifier
        assert specifier.operator == "==" and "*" not in specifier.version, requirement
        assert "+" not in specifier.version, f"{requirement}: in no public index"
        assert requirement.url is None


def test_lock_holds_no_option_no_path_and_no_gpu_library():
    assert not re.search(r"^\s*-", LOCK, re.M), "an option such as --find-links"
    assert not re.search(r"(file:|https?:|@ |\s/|\.\./)", LOCK)
    assert not [name for name in HERE if re.match(r"nvidia-|cuda-|triton$", name)]


def test_lock_knows_the_other_platforms_and_pythons():
    """Each marker keeps the lock usable elsewhere; on Debian 12 it is Python 3.11.2."""
    names = {
        canonicalize_name(r.name)
        for r in REQUIREMENTS
        if not r.marker
        or r.marker.evaluate({"python_full_version": "3.11.2", "sys_platform": "darwin"})
    }
    assert {"appnope", "soupsieve", "numpy"} <= names


def test_what_is_installed_is_what_is_locked():
    """Only in the environment that the set-up makes; elsewhere other releases are legitimate."""
    if not (Path(sys.prefix) / ".hb-ready").exists():
        pytest.skip("not the environment made by tools/setup.sh")
    differing = []
    for name in HERE:
        try:
            found = Version(importlib.metadata.version(name)).public
        except importlib.metadata.PackageNotFoundError:
            found = "nothing"
        if found != str(pin(name)):
            differing.append(f"{name}: locked {pin(name)}, installed {found}")
    assert not differing


def test_python_is_within_the_declared_range():
    requires = Requirement("python" + PROJECT["project"]["requires-python"]).specifier
    assert requires.contains(".".join(map(str, sys.version_info[:3])))
    assert not requires.contains("3.10.14")


def test_conda_environment_only_points_at_the_lock():
    """Nothing but Python and pip is named there, so there is nothing that could drift."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert {re.split("[=<> ]", item)[0] for item in conda} == {"python", "pip"}
    assert pip == {"pip": ["-r requirements.lock", "-e ."]}
    (python,) = [item for item in conda if item.startswith("python=")]
    assert Requirement("python" + PROJECT["project"]["requires-python"]).specifier.contains(
        python.partition("=")[2]
    )


def test_constraints_are_honoured_by_the_lock():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    for line in filter(None, (line.partition("#")[0].strip() for line in lines)):
        requirement = Requirement(line)
        assert requirement.specifier.contains(pin(canonicalize_name(requirement.name)))


def test_every_target_is_listed_by_make_alone():
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    listed = subprocess.run([make, "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert targets == set(re.findall(r"^  ([a-z]+) ", listed.stdout, re.M))
    assert {"book", "test", "live", "chapter", "sweep", "bench", "clean"} <= targets


# --- the set-up script, run ---------------------------------------------------------------------

BACKEND = '''
import zipfile

def build_editable(directory, config_settings=None, metadata_directory=None):
    name = "hblib-0-py3-none-any.whl"
    info = "hblib-0.dist-info"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as wheel:
        wheel.writestr("hblib.pth", __import__("os").getcwd())
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: hblib\\nVersion: 0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n"
                                        "Tag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", f"hblib.pth,,\\n{info}/METADATA,,\\n{info}/WHEEL,,\\n"
                                         f"{info}/RECORD,,\\n")
    return name
'''
TOOLS = "sh awk cat cksum cut date df dirname env grep head mkdir mv rm sed sleep tail".split()
BASE = getattr(sys, "_base_executable", sys.executable)


def make_clone(folder):
    """A folder with the real set-up script and a project that needs nothing from anywhere."""
    (folder / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "setup.sh", folder / "tools")
    (folder / "requirements.lock").write_text("# nothing\n")
    (folder / "models.lock").write_text("# nothing\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "hblib"\nversion = "0"\n'
    )
    (folder / "backend.py").write_text(BACKEND)
    (folder / "hblib").mkdir()
    (folder / "hblib" / "__init__.py").touch()
    return folder


def make_path(folder):
    """A folder to stand for the whole PATH: a shell and the core utilities, no Python."""
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name))
    return folder


@pytest.fixture
def clone(tmp_path):
    return make_clone(tmp_path / "a clone")  # a space in the path is part of the test


@pytest.fixture
def bare_path(tmp_path):
    return make_path(tmp_path / "bin")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A clone that is set up, amid settings of the caller's shell that must not leak in.

    The tests that use it leave it working, so that one environment serves them all.
    """
    folder = tmp_path_factory.mktemp("finished")
    clone, path = make_clone(folder / "a clone"), with_python(make_path(folder / "bin"))
    foreign = folder / "foreign" / "hblib"
    foreign.mkdir(parents=True)
    (foreign / "__init__.py").write_text("raise ImportError('foreign')")
    result = set_up(
        clone, path, PYTHONPATH=str(foreign.parent), VIRTUAL_ENV=str(folder),
        PIP_TARGET=str(folder / "target"), PIP_USER="1",
    )
    assert result.returncode == 0, result.stderr
    assert not (folder / "target").exists()
    return clone, path


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def set_up(clone, path, **variables):
    environment = {"PATH": str(path), "HOME": str(clone.parent), "PIP_RETRIES": "0", **variables}
    return subprocess.run(
        ["/bin/sh", "tools/setup.sh"], cwd=clone, env=environment, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=PATIENCE,
    )


def with_python(bare_path):
    script(bare_path / "python3", f'exec "{BASE}" "$@"')
    return bare_path


def refusal(result):
    """The one line on stderr of a set-up that failed."""
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("Set-up stopped: ") and line.endswith(".")
    return line


def works(clone):
    """True when the clone's environment imports hblib from the clone."""
    run = subprocess.run(
        [clone / ".venv/bin/python", "-I", "-c", "import hblib; print(hblib.__file__)"],
        capture_output=True, text=True, cwd="/",
    )
    return run.stdout.strip() == str(clone.resolve() / "hblib" / "__init__.py")


def test_no_python(clone, bare_path):
    line = refusal(set_up(clone, bare_path))
    assert "no Python was found" in line and "3.11" in line


def test_python_name_that_runs_nothing_is_passed_over(clone, bare_path):
    """A version manager's shim is on the PATH for releases that are not installed."""
    for name in ("python3.11", "python3", "python"):
        script(bare_path / name, 'echo "shim: no such version" >&2; exit 127')
    assert "no Python was found" in refusal(set_up(clone, bare_path))


def test_python_too_old(clone, bare_path):
    script(bare_path / "python3", "echo old 3.9.2 /usr/bin/python3")
    line = refusal(set_up(clone, bare_path))
    assert "3.9.2 (python3)" in line and "3.11 or newer" in line
    assert not (clone / ".venv").exists()


def test_probe_calls_an_old_python_old(clone):
    """The probe itself, with the version of the running interpreter set back."""
    text = (ROOT / "tools" / "setup.sh").read_text()
    (probe,) = re.findall(r"^PROBE='(.*?)'$", text, re.M | re.S)
    old = probe.replace("sys.version_info", "(3, 10, 13)")
    assert old != probe
    run = subprocess.run([BASE, "-c", old], capture_output=True, text=True, check=True)
    assert run.stdout.split()[:2] == ["old", "3.10.13"]


def test_python_without_venv(clone, bare_path):
    script(bare_path / "python3", "echo bare 3.11.2 /usr/bin/python3")
    line = refusal(set_up(clone, bare_path))
    assert "ensurepip" in line and "python3-venv" in line


def test_named_python_is_not_silently_replaced(clone, bare_path):
    line = refusal(set_up(clone, with_python(bare_path), PYTHON="/no/such/python"))
    assert "PYTHON=/no/such/python" in line


def test_lock_file_missing(clone, bare_path):
    line = refusal(set_up(clone, with_python(bare_path), HB_LOCK="other.lock"))
    assert "other.lock" in line


def test_package_that_does_not_exist_for_this_python(clone, bare_path):
    (clone / "requirements.lock").write_text("numpy==2.2.0\n")
    (clone / "numpy-2.1.0-py3-none-any.whl").touch()
    line = refusal(set_up(
        clone, with_python(bare_path), PIP_CONFIG_FILE=os.devnull, PIP_NO_INDEX="1",
        PIP_FIND_LINKS=".",
    ))
    assert "numpy==2.2.0 cannot be had for Python" in line


def test_disk_too_full(clone, bare_path):
    (bare_path / "df").unlink()
    script(bare_path / "df", "echo Filesystem; echo disk 100000 90000 10240 90% /")
    line = refusal(set_up(clone, with_python(bare_path)))
    assert "disk is too full" in line and "10 MB are free" in line


def test_environment_holds_this_clone_and_nothing_else(finished):
    assert works(finished[0])


def test_nothing_to_do_says_nothing(finished):
    again = set_up(*finished)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_changed_lock_brings_the_environment_up_to_date(finished):
    clone, _ = finished
    witness = clone / ".venv" / "witness"
    witness.touch()
    (clone / "requirements.lock").write_text("# still nothing\n")
    changed = set_up(*finished)
    assert changed.returncode == 0 and "up to date" in changed.stdout
    assert witness.exists(), "a changed lock needs no new environment"


def test_no_network_then_repaired(finished):
    clone, path = finished
    lock = (clone / "requirements.lock").read_text()
    (clone / "requirements.lock").write_text("numpy==2.2.0\n")
    line = refusal(set_up(
        clone, path, PIP_CONFIG_FILE=os.devnull, PIP_INDEX_URL="http://127.0.0.1:9/simple",
    ))
    assert "package index could not be reached" in line and "_build/setup.log" in line
    assert "numpy" in (clone / "_build/setup.log").read_text()
    (clone / "requirements.lock").write_text(lock)
    assert_repaired(finished)


def broken_interpreter(environment):
    (environment / "bin/python").unlink()
    (environment / "bin/python").symlink_to("/no/such/python")


def half_deleted(environment):
    shutil.rmtree(environment / "lib")


def assert_repaired(finished):
    second = set_up(*finished)
    assert second.returncode == 0, second.stderr
    assert "making it anew" in second.stdout
    assert works(finished[0]) and not (finished[0] / ".venv/.hb-unfinished").exists()


@pytest.mark.parametrize("damage", [broken_interpreter, half_deleted])
def test_damaged_environment_is_repaired(finished, damage):
    damage(finished[0] / ".venv")
    assert_repaired(finished)


def test_installation_killed_midway_is_repaired(finished):
    """kill -9 on the set-up while pip works: the next run waits for pip's end and starts anew."""
    clone, path = finished
    (clone / "backend.py").write_text("import time; time.sleep(3)\n" + BACKEND)
    (clone / "requirements.lock").write_text("# nothing, for the third time\n")
    log = clone / "_build/setup.log"
    log.write_text("")
    first = subprocess.Popen(
        ["/bin/sh", "tools/setup.sh"], cwd=clone, env={"PATH": str(path)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + PATIENCE
    while "pip install --no-deps" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.kill()
    first.wait()
    (clone / "backend.py").write_text(BACKEND)
    assert_repaired(finished)


def test_moved_clone_is_set_up_anew(finished, tmp_path):
    clone, path = finished
    moved = shutil.copytree(clone, tmp_path / "elsewhere", symlinks=True)
    assert not works(moved)
    assert_repaired((moved, path))


def test_second_set_up_waits_for_the_first(finished):
    clone, path = finished
    stamp = clone / ".venv/.hb-ready"
    content = stamp.read_text()
    with open(clone / "_build/setup.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp.unlink()
        second = subprocess.Popen(
            ["/bin/sh", "tools/setup.sh"], cwd=clone, env={"PATH": str(path)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        assert "waiting" in second.stdout.readline()
        stamp.write_text(content)  # what the first does last
    output, errors = second.communicate(timeout=PATIENCE)
    assert (second.returncode, output, errors) == (0, "", "")


# --- the course's environment, on top of the book's ---------------------------------------------


def pins(path):
    lines = (line.partition("#")[0].strip() for line in (ROOT / path).read_text().splitlines())
    requirements = [Requirement(line) for line in lines if line]
    return {
        canonicalize_name(r.name): str(r.specifier)
        for r in requirements
        if not r.marker or r.marker.evaluate()
    }


def test_the_course_departs_from_the_book_in_one_release_only():
    """So that its environment can stand on the book's, and torch need not be there twice."""
    book, course = pins("requirements.lock"), pins("course/requirements.lock")
    assert all(re.fullmatch(r"==[0-9][0-9a-z.]*", release) for release in course.values())
    assert {name for name in course if book.get(name, course[name]) != course[name]} == {"wrapt"}
    for name, specifier in pins("course/requirements.in").items():
        assert Requirement(name + specifier).specifier.contains(course[name].removeprefix("=="))


@pytest.fixture(scope="module")
def course_of(finished):
    """The finished clone with a course, whose lock names nothing; the packages lie in the clone."""
    clone, path = finished
    shutil.copy(ROOT / "tools" / "course_setup.sh", clone / "tools")
    (clone / "course").mkdir()
    (clone / "course" / "requirements.lock").write_text("# nothing\n")
    for name in ("otter", "ipykernel"):
        (clone / name).mkdir()
        (clone / name / "__init__.py").touch()
    (clone / "ipykernel" / "__main__.py").write_text("")
    assert set_up(*finished).returncode == 0
    first = set_up_course(finished)
    assert first.returncode == 0, first.stderr
    return finished


def set_up_course(finished, **variables):
    clone, path = finished
    environment = {"PATH": str(path), "HOME": str(clone.parent), "PIP_RETRIES": "0", **variables}
    return subprocess.run(
        ["/bin/sh", "tools/course_setup.sh"], cwd=clone, env=environment, capture_output=True,
        text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE,
    )  # fmt: skip


def sees_the_book(clone):
    """True when the course's Python, started elsewhere, imports hblib through the book's."""
    run = subprocess.run(
        [clone / ".venv/course/bin/python", "-I", "-c",
         "import hblib, otter, sys; print(hblib.__file__, sys.prefix)"],
        capture_output=True, text=True, cwd="/",
    )  # fmt: skip
    root = clone.resolve()
    return run.stdout.strip() == f"{root / 'hblib' / '__init__.py'} {root / '.venv' / 'course'}"


def test_the_course_sees_the_books_packages(course_of):
    assert sees_the_book(course_of[0])


def test_nothing_to_do_for_the_course_says_nothing(course_of):
    again = set_up_course(course_of)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def broken_off(environment):
    (environment / ".ready").unlink()


@pytest.mark.parametrize("damage", [broken_interpreter, half_deleted, broken_off])
def test_a_damaged_environment_of_the_course_is_made_anew(course_of, damage):
    damage(course_of[0] / ".venv" / "course")
    second = set_up_course(course_of)
    assert second.returncode == 0 and "Setting up" in second.stdout, second.stderr
    assert sees_the_book(course_of[0])


def test_a_package_that_the_course_cannot_get_is_named(course_of):
    clone, _ = course_of
    (clone / "course" / "requirements.lock").write_text("no-such-package==1\n")
    failed = set_up_course(course_of, PIP_CONFIG_FILE=os.devnull, PIP_NO_INDEX="1")
    assert failed.returncode == 1 and not (clone / ".venv/course/.ready").exists()
    (line,) = failed.stderr.splitlines()
    assert line.startswith("Set-up of the course stopped: ") and "no-such-package==1" in line
    (clone / "course" / "requirements.lock").write_text("# nothing\n")
    assert set_up_course(course_of).returncode == 0 and sees_the_book(clone)


def test_the_course_waits_for_the_book(course_of):
    clone, _ = course_of
    stamp = clone / ".venv" / ".hb-ready"
    content = stamp.read_text()
    stamp.unlink()
    refused = set_up_course(course_of)
    stamp.write_text(content)
    assert refused.returncode == 1 and "make setup" in refused.stderr
