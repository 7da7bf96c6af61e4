"""Where randomness comes from: the convention of the library, and seeds of several numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hblib._checks import generator, whole

# A seed, several numbers that make one seed, a generator, or None for fresh randomness.
Randomness = int | Sequence[int] | np.random.Generator | None


def as_generator(rng: Randomness) -> np.random.Generator:
    """Return a random generator.

    Parameters
    ----------
    rng : int, sequence of int, numpy.random.Generator or None
        A sequence is one seed, as in NumPy: ``[seed, 3]`` is the fourth stream of a run.

    Examples
    --------
    >>> bool(as_generator([7, 0]).random() == np.random.default_rng([7, 0]).random())
    True
    """
    if isinstance(rng, list | tuple):
        return np.random.default_rng([whole("rng", part, least=0) for part in rng])
    return generator(rng)
