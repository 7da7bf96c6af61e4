"""The loops that chapter 4 shows give the library's numbers."""

from pathlib import Path

import nbformat
import numpy as np
import pytest

from hblib import words
from hblib.words import _embedding_kernels as kernels

CHAPTER = Path(__file__).parents[2] / "notebooks" / "04_word_vectors.ipynb"
DIM, SEED = 4, 3


@pytest.fixture(scope="module")
def shown():
    """Names that the chapter's visible cells with the two loops define."""
    names = {"np": np}
    for cell in nbformat.read(CHAPTER, as_version=4).cells:
        if cell.cell_type == "code" and cell.source.startswith(("def sgns(", "def glove(")):
            exec(cell.source, names)
    return names


@pytest.fixture(scope="module")
def text():
    rng = np.random.default_rng(0)
    return words.encode([[f"word{i}" for i in rng.integers(12, size=60)] for _ in range(3)])


def test_the_loop_of_word2vec(shown, text):
    start = words.initial_vectors("gaussian", text.words, DIM, 1)
    run = words.sgns(text, start, SEED, epochs=1, window=2, subsample=None, decay=False, lr=0.1)
    state = np.random.default_rng(SEED).integers(1, 2**63, (1, 1)).astype(np.uint64)[0]
    pairs, noise = np.empty((1000, 2), np.int32), np.empty((1000, 5), np.int32)
    ends = np.append(text.starts[1:], len(text.tokens))
    lengths = ends - text.starts
    first, last = np.repeat(text.starts, lengths), np.repeat(ends, lengths)
    n, _ = kernels.draw_pairs(
        text.tokens, first, last, 0, len(text.tokens), 2, *kernels.alias_table(text.counts**0.75),
        pairs, noise, state,
    )  # fmt: skip
    W, C = start.W.copy(), start.C.copy()
    meetings = [(i, j, negatives) for (i, j), negatives in zip(pairs[:n], noise[:n])]
    shown["sgns"](W, C, meetings, lr=0.1)
    np.testing.assert_allclose(W, run.W, rtol=0, atol=1e-12)
    np.testing.assert_allclose(C, run.C, rtol=0, atol=1e-12)
    assert np.abs(W - start.W).max() > 1e-3


def test_the_loop_of_glove(shown, text):
    counts = words.cooccurrence(text, window=3)
    start = words.initial_vectors("glove", text.words, DIM, 1)
    run = words.glove(counts, start, SEED, "sgd", 0.05, epochs=1, x_max=10.0)
    table = counts.matrix.tocoo()
    order = np.random.default_rng(SEED).permutation(table.nnz)
    found = [X.copy() for X in (start.W, start.C, start.b, start.c)]
    cells = list(zip(table.row[order], table.col[order], table.data[order]))
    shown["glove"](*found, cells, lr=0.05)
    for ours, theirs in zip(found, (run.W, run.C, run.b, run.c)):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
