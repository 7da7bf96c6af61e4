"""VENDORED.toml lists every file that others made, as it is."""

import hashlib
import importlib.metadata
import tomllib

import pytest
from scripts import ROOT

PACKAGES = tomllib.loads((ROOT / "VENDORED.toml").read_text(encoding="utf-8"))["package"]
FOLDERS = {package["folder"] for package in PACKAGES if "folder" in package}


def _paths(package):
    """Each listed file of a package -> where it lies."""
    if "folder" in package:
        return {name: ROOT / package["folder"] / name for name in package["files"]}
    installed = importlib.metadata.files(package["distribution"])
    return {
        name: next(file.locate() for file in installed if file.name == name)
        for name in package["files"]
    }


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package["name"])
def test_the_files_of_others_are_unchanged(package):
    assert package["licence"]
    assert package["version"] in package["source"]
    found = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in _paths(package).items()
    }
    assert found == package["files"]


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_every_file_of_a_vendored_folder_is_listed(folder):
    listed = {n for one in PACKAGES if one.get("folder") == folder for n in one["files"]}
    there = {path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob("*")}
    assert there == listed
