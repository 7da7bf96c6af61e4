"""Activations from files, sound and otherwise."""

import json

import numpy as np
import pytest

from hblib import probe


def safetensors(path, arrays):
    """Write the format as its description says; uint16 stands for bfloat16."""
    names = {"float32": "F32", "float16": "F16", "uint16": "BF16", "int64": "I64"}
    header, numbers = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        start = len(numbers)
        numbers += array.tobytes()
        header[name] = {
            "dtype": names[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [start, len(numbers)],
        }
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)


def test_every_format_gives_the_same_numbers(tmp_path, X):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    np.save(tmp_path / "H.npy", X)
    np.savez(tmp_path / "a.npz", H=X, labels=np.arange(20))
    safetensors(tmp_path / "a.safetensors", {"H": X})
    pandas.DataFrame(X, columns=list("abcdef")).assign(text="x").to_parquet(tmp_path / "H.parquet")
    for name in ("H.npy", "a.npz", "a.safetensors", "H.parquet"):
        found = probe.load(tmp_path / name)
        assert list(found) == ["H"]
        np.testing.assert_array_equal(found["H"], X)
        assert found["H"].dtype == np.float32


def test_sixteen_bits(tmp_path, X):
    np.save(tmp_path / "H.npy", X.astype(np.float16))
    upper = (X.view(np.uint32) >> 16).astype(np.uint16)
    safetensors(tmp_path / "a.safetensors", {"half": X.astype(np.float16), "brain": upper})
    found = {**probe.load(tmp_path / "H.npy"), **probe.load(tmp_path / "a.safetensors")}
    assert {H.dtype for H in found.values()} == {np.dtype("float32")}
    np.testing.assert_allclose(found["half"], X, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found["brain"], X, rtol=1e-2)


def test_maps_in_a_file(tmp_path):
    maps = np.random.default_rng(0).normal(size=(5, 3, 4, 4))
    np.save(tmp_path / "H.npy", maps)
    found = [probe.load(tmp_path / "H.npy", positions=p)["H"] for p in ("flat", "mean", "each")]
    assert [H.shape for H in found] == [(5, 48), (5, 3), (80, 3)]
    np.testing.assert_allclose(found[1], maps.mean(axis=(2, 3)))


def test_one_sentence_for_what_is_no_file_of_activations(tmp_path, X, monkeypatch):
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "text.parquet").write_text("hello")
    (tmp_path / "text.safetensors").write_text("hello, this is text")
    (tmp_path / "no.safetensors").write_bytes((5).to_bytes(8, "little") + b"[1,2]")
    np.save(tmp_path / "object.npy", np.array([{}, 1], dtype=object))
    np.save(tmp_path / "word.npy", np.array([["a", "b"]]))
    np.savez(tmp_path / "labels.npz", labels=np.arange(5))
    np.savez(tmp_path / "good.npz", first=X)
    spoilt = X.copy()
    spoilt[7, 2] = np.nan
    np.save(tmp_path / "nan.npy", spoilt)
    np.save(tmp_path / "none.npy", X[:0])
    (tmp_path / "x.csv").write_text("1,2")
    for name, said in {
        "text.npy": "text.npy cannot be read as .npy",
        "empty.npy": "empty.npy",
        "text.npz": "text.npz",
        "text.parquet": "text.parquet cannot be read as .parquet",
        "text.safetensors": "its header has no sensible length",
        "no.safetensors": "no.safetensors is no .safetensors file",
        "object.npy": "object.npy cannot be read",
        "word.npy": "must be an array of real numbers",
        "labels.npz": "holds no array of numbers with rows and columns",
        "nan.npy": "not finite, in row 7 first",
        "none.npy": "is empty",
        "x.csv": "path must end in .npy",
        "missing.npy": "there is no file",
    }.items():
        with pytest.raises(ValueError, match=said) as caught:
            probe.load(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="has no 'frist'; near it are 'first'"):
        probe.load(tmp_path / "good.npz", "frist")


def test_labels_of_every_kind_of_file(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    (tmp_path / "a.txt").write_text("cat\ndog\ncat\n")
    (tmp_path / "one.csv").write_text("kind\ncat\ndog\n")
    (tmp_path / "two.csv").write_text("smile,beard\n0.5,True\n0.1,False\n")
    (tmp_path / "empty.csv").write_text("")
    assert probe.load_labels(tmp_path / "a.npy").tolist() == [0, 1, 2]
    assert probe.load_labels(tmp_path / "a.txt").tolist() == ["cat", "dog", "cat"]
    assert probe.load_labels(tmp_path / "one.csv").tolist() == ["cat", "dog"]
    assert list(probe.load_labels(tmp_path / "two.csv")) == ["smile", "beard"]
    for name, said in {
        "empty.csv": "cannot be read as labels",
        "a.xls": "path must end in .npy, .txt or .csv",
        "b.txt": "there is no file",
    }.items():
        with pytest.raises(ValueError, match=said):
            probe.load_labels(tmp_path / name)


def test_parquet_without_its_reader(tmp_path, monkeypatch):
    import pandas as pd

    def missing(path):
        raise ImportError("pyarrow is missing\nand more")

    monkeypatch.setattr(pd, "read_parquet", missing)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="Parquet needs pyarrow: pip install pyarrow$"):
        probe.load(tmp_path / "a.parquet")
