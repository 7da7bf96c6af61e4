"""Word vectors: corpora, training with any update rule, and the files they are kept in.

The losses of word2vec and GloVe depend on inner products alone, so a rotation of all vectors
changes nothing; initial vectors and update rules are arguments here, so that one can see which of
them break that symmetry.

Examples
--------
>>> from hblib import words
>>> text = words.encode(["the cat sat on the mat", "the dog sat on the rug"] * 20)
>>> initial = words.initial_vectors("word2vec", text.words, dim=4, rng=0)
>>> vectors = words.sgns(text, initial, rng=1, epochs=30, lr=0.3)
>>> len(vectors.neighbours("cat", n=3)), vectors.W.shape
(3, (7, 4))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hblib.words._corpora import (
    CORPORA,
    WINDOW_WEIGHTS,
    cooccurrence,
    encode,
    keep_probability,
    load_text,
    restrict,
    scrambled,
    shuffled,
    subsample,
)
from hblib.words._embedding_kernels import RULES
from hblib.words._embeddings import glove, ppmi_svd, sgns
from hblib.words._published import PUBLISHED
from hblib.words._word_vectors import (
    INITIALISATIONS,
    Embedding,
    from_keyed_vectors,
    initial_vectors,
    load_vectors,
    suffix_rank,
    unit_rows,
)
from hblib.worlds._texts import Analogies, Cooccurrence, Text, analogies

if TYPE_CHECKING:
    from hblib.words._dense_embeddings import (
        DenseGloVe,
        DenseSkipGram,
        dense_loss,
        train_dense,
        word_and_matrix_adagrad,
    )

__all__ = [
    "Analogies",
    "CORPORA",
    "Cooccurrence",
    "DenseGloVe",
    "DenseSkipGram",
    "Embedding",
    "INITIALISATIONS",
    "PUBLISHED",
    "RULES",
    "Text",
    "WINDOW_WEIGHTS",
    "analogies",
    "cooccurrence",
    "dense_loss",
    "encode",
    "from_keyed_vectors",
    "glove",
    "initial_vectors",
    "keep_probability",
    "load_text",
    "load_vectors",
    "ppmi_svd",
    "restrict",
    "scrambled",
    "sgns",
    "shuffled",
    "subsample",
    "suffix_rank",
    "train_dense",
    "unit_rows",
    "word_and_matrix_adagrad",
]

_DENSE = ("DenseGloVe", "DenseSkipGram", "dense_loss", "train_dense", "word_and_matrix_adagrad")


def __getattr__(name: str) -> Any:
    """Load the dense losses when they are first used: they need torch, which takes seconds."""
    if name not in _DENSE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hblib.words import _dense_embeddings

    return getattr(_dense_embeddings, name)


def __dir__() -> list[str]:
    return sorted(__all__)
