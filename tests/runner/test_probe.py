"""`hb probe`: a report of a file of activations, and one sentence for what is none."""

import nbformat
import numpy as np
import pandas as pd
import pytest

from runner import cli, files, parameters, probe


@pytest.fixture
def given(tmp_path):
    rng = np.random.default_rng(0)
    label = rng.integers(6, size=240)
    H = 4 * np.eye(6)[label] + rng.normal(size=(240, 6))
    np.savez(tmp_path / "layers.npz", first=H)
    np.save(tmp_path / "other.npy", H @ rng.normal(size=(6, 5)))
    (tmp_path / "labels.txt").write_text("\n".join(f"class {i}" for i in label) + "\n")
    return tmp_path


def test_the_notebook_is_clean_and_says_what_its_parameters_are():
    notebook = files.read(probe.NOTEBOOK)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert set(parameters.ranges(notebook)) == set(parameters.declared(notebook))
    nbformat.validate(notebook)


def test_a_report_of_a_file(given, capsys):
    words = ["probe", str(given / "layers.npz"), "--labels", str(given / "labels.txt")]
    words += ["--other", str(given / "other.npy"), "--sparsity", "2"]
    assert cli.main([*words, "--folder", str(given / "out")]) == 0
    said = capsys.readouterr().out
    table = pd.read_csv(given / "out" / "layers.csv").set_index("question")
    assert list(table.index) == ["axes", "meaning", "atoms", "alike"]
    assert table["answer"][["meaning", "alike"]].tolist() == ["yes", "yes"]
    assert "first, meaning: yes. Units mean more than random directions" in said
    page = (given / "out" / "layers.html").read_text("utf-8")
    assert "Units mean more than random directions" in page
    assert 'src="http' not in page and 'href="http' not in page.replace('href="https://jup', "")
    executed = files.read(given / "out" / "layers.ipynb")
    assert sum("image/png" in o.get("data", {}) for c in executed.cells
               for o in c.get("outputs", ())) == 4  # fmt: skip


def test_what_cannot_be_read_is_said_before_a_kernel_starts(given, capsys):
    (given / "short.txt").write_text("cat\ndog\n")
    np.save(given / "few.npy", np.ones((7, 2)))
    layers = str(given / "layers.npz")
    for words, said in (
        ([str(given / "none.npz")], "there is no file"),
        ([layers, "--labels", str(given / "short.txt")], "labels must be one per sample"),
        ([layers, "--other", str(given / "few.npy")], "other must hold the same samples"),
        ([layers, "--layer", "frist"], "near it are 'first'"),
        (["--other", layers], "other needs a path"),
    ):
        assert cli.main(["probe", *words, "--folder", str(given / "out")]) == 2
        assert said in capsys.readouterr().err
        assert not (given / "out").exists()
