"""Sums over rows in pieces: equal to those in one piece, and nothing is held twice."""

import tracemalloc

import numpy as np
import pytest

from hblib import probe, similarity


@pytest.mark.parametrize("batch_size", [1, 7, 64, 10**6])
def test_pieces_of_any_size_give_the_same_sums(batch_size):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(200, 5)) + 1e4, rng.normal(size=(200, 3)) @ np.diag([1, 5, 9]) - 50
    centred = X - X.mean(axis=0), Y - Y.mean(axis=0)
    gram = probe.streamed_gram(X, Y, batch_size=batch_size)
    np.testing.assert_allclose(gram, centred[0].T @ centred[1], rtol=1e-6, atol=1e-6)
    X = X - 1e4 + Y[:, :1]
    cka = probe.streamed_cka(X, Y, batch_size=batch_size)
    assert cka == pytest.approx(float(similarity.linear_cka(X, Y)), abs=1e-9)


def test_a_file_stays_on_disk(tmp_path):
    X = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (50_000, 64))
    X[:] = np.random.default_rng(0).normal(size=X.shape)
    X.flush()
    [H] = probe.load(tmp_path / "x.npy").values()
    tracemalloc.start()
    probe.streamed_gram(H, batch_size=500)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < X.nbytes / 8


def test_what_has_no_answer_is_refused():
    X = np.random.default_rng(0).normal(size=(30, 3))
    bad = X.copy()
    bad[20, 1] = np.nan
    for call, said in (
        (lambda: probe.streamed_gram(X, X[:-1]), "X and Y must have the same rows, got 30 and 29"),
        (lambda: probe.streamed_gram(X, bad, batch_size=10), "Y"),
        (lambda: probe.streamed_cka(np.ones((30, 2)), X), "X is constant"),
    ):
        with pytest.raises(ValueError, match=said):
            call()
