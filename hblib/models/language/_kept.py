"""Activations computed once: kept in the cache folder by the content of what they follow from."""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike

from hblib._cache import cache_folder, write_atomically
from hblib.models.language._model import LanguageModel, as_tokens
from hblib.models.language._use import read

FORMAT = 1  # goes into every name: raise it when the forward pass changes what it gives


def kept(
    model: LanguageModel,
    tokens: ArrayLike | torch.Tensor,
    at: str | Sequence[str],
    folder: str | Path | None = None,
) -> dict[str, np.ndarray]:
    """Return what `read` gives, computed only if it is not in the cache yet.

    Parameters
    ----------
    model : LanguageModel
    tokens : array_like of int, shape (n_positions,) or (n_texts, n_positions)
    at : str or sequence of str
        Names of `places`.
    folder : str or Path, optional
        Of the cache; by default ``_build/cache`` of the project or the user's own. If it cannot be
        written to, everything is computed each time.

    Returns
    -------
    dict of str to ndarray of shape (n_texts * n_positions, n_features)

    Notes
    -----
    A file is named after a hash of the weights, the tokens and the place: changed weights give
    other files, and a place is read again from its own file whatever else was asked for.

    Examples
    --------
    >>> import tempfile
    >>> from hblib.models import language
    >>> model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept(model, [5, 7, 5], "residual.1", folder)["residual.1"].shape
    ...     len(list(Path(folder).iterdir()))
    (3, 32)
    1
    """
    at = [at] if isinstance(at, str) else list(at)
    tokens = as_tokens(tokens, model.sizes)
    folder = cache_folder() if folder is None else Path(folder)
    content = f"{FORMAT} {model.digest()} {tuple(tokens.shape)} {model.dtype} ".encode()
    content = hashlib.blake2b(content + tokens.contiguous().numpy().tobytes(), digest_size=16)

    def path(place):
        of_place = content.copy()
        of_place.update(place.encode())
        return folder / f"activations-{of_place.hexdigest()}.npy"

    found = {place: _stored(path(place)) for place in at}
    if missing := [place for place, H in found.items() if H is None]:
        for place, H in read(model, tokens, missing).items():
            found[place] = H
            with contextlib.suppress(OSError):
                write_atomically(path(place), lambda file, H=H: np.save(file, H))
    return found


def _stored(path):
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None  # not there, or not whole: it is computed again
