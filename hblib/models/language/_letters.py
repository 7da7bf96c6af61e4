"""A model of letters, small enough for a page: kept with the library, run by the reader's browser.

It was trained once, by ``tools/letter_model.py``, on the text of `hblib.worlds.wikipedia_text`, and
its weights are whole numbers from -127 to 127 times one step per array. A page gets the same
numbers, so what its script computes is what `logits` computes.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from hblib import rotation
from hblib._checks import as_array
from hblib.models.language._model import LanguageModel, Sizes
from hblib.rotation._orthogonal import _planes

LETTERS = " abcdefghijklmnopqrstuvwxyz"
SIZES = Sizes(
    n_layers=2, width=64, n_heads=4, n_kv_heads=2, head_width=16, n_neurons=160, n_tokens=27
)
FILE = Path(__file__).with_name("_letters_model") / "weights.npz"
SHA256 = "47efabafbd518de82dae3bcd8c89965492b9ca8f77a0cd1f75fd177b52f8192a"
_LEVELS = 127


class Letters:
    """Cuts text into the 26 letters and the space; everything else is read as a space.

    Examples
    --------
    >>> Letters().decode(Letters().encode("At 5 o'clock!"))
    'at o clock '
    """

    def encode(self, text: str) -> list[int]:
        """Return the numbers of the letters, in lower case, spaces never doubled."""
        if not isinstance(text, str):
            raise ValueError(f"text must be a string, got {type(text).__name__}")
        known = "".join(c if c in LETTERS else " " for c in text.lower())
        while "  " in known:
            known = known.replace("  ", " ")
        return [LETTERS.index(c) for c in known]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of numbers."""
        return "".join(LETTERS[int(token)] for token in tokens)


def letter_model(dtype: torch.dtype = torch.float32) -> LanguageModel:
    """Return a trained model of two blocks and 64 coordinates that says letter after letter.

    It reads lower-case letters and the space, was trained on 106 articles of the English Wikipedia
    in windows of 96 letters, and comes with its gains: fold them before you turn it.

    Parameters
    ----------
    dtype : torch.dtype
        float32 or float64.

    Returns
    -------
    LanguageModel
        With a tokenizer of letters.

    Raises
    ------
    ValueError
        If the installed file is not the one this version of hblib was made with.

    Examples
    --------
    >>> from hblib.models import language
    >>> model = letter_model()
    >>> model.sizes.n_parameters, language.generate(model, "albert ein", n=5)
    (88064, 'stein')
    """
    content = FILE.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ValueError(
            f"{FILE} has the SHA-256 {found}, not the registered {SHA256}: install hblib again"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        steps = dict(zip(stored["names"].tolist(), stored["steps"].tolist()))
        weights = {
            name: torch.from_numpy(stored[name].astype(np.float64) * step)
            for name, step in steps.items()
        }
    return LanguageModel(SIZES, weights, Letters()).to(dtype)


def page_data(model: LanguageModel, Q: ArrayLike, text: str) -> dict[str, Any]:
    """Collect what the explorable figure "turned-transformer" needs to run a model in a page.

    Parameters
    ----------
    model : LanguageModel
        A single one with a tokenizer of letters, such as `letter_model`; its gains stay unfolded.
    Q : array_like of shape (width, width)
        A rotation: orthogonal, with determinant 1. The page turns along the path ``Q**t`` from the
        identity to Q, as `hblib.rotation.fractional_power` does.
    text : str
        What the model has read when the page opens.

    Returns
    -------
    dict
        ``sizes``; ``letters``; ``weights``, by name the step and the whole numbers (one byte each,
        base64); ``axes`` (base64 of float32) and ``angles`` of the planes in which Q turns;
        ``text``.

    Raises
    ------
    ValueError
        If Q is no rotation of the model's width, or the model does not read letters.

    Examples
    --------
    >>> from hblib import rotation
    >>> data = page_data(letter_model(), rotation.haar(64, rng=0, det=1), "the history of ")
    >>> sorted(data), len(data["angles"])
    (['angles', 'axes', 'letters', 'sizes', 'text', 'weights'], 32)
    """
    if not isinstance(model.tokenizer, Letters) or model.n_models is not None:
        raise ValueError("model must be a single one that reads letters, such as letter_model()")
    width = model.sizes.width
    Q = as_array("Q", Q, 2)
    if Q.shape != (width, width):
        raise ValueError(f"Q must have the shape ({width}, {width}), got {Q.shape}")
    if not rotation.is_orthogonal(Q) or np.linalg.det(Q) < 0:
        raise ValueError("Q must be a rotation: orthogonal, with determinant 1")
    axes, angles = _planes(Q.astype(np.float64))
    return {
        "sizes": dataclasses.asdict(model.sizes),
        "letters": LETTERS,
        "weights": {name: [s, _base64(W)] for name, (s, W) in whole_numbers(model).items()},
        "axes": _base64(axes.astype("<f4")),
        "angles": angles,
        "text": text,
    }


def whole_numbers(model: LanguageModel) -> dict[str, tuple[float, np.ndarray]]:
    """Write weights as whole numbers from -127 to 127 times a step of three digits.

    Returns
    -------
    dict of str to (float, ndarray of int8)
        Weights that are such numbers already come back as they are.
    """
    found = {}
    for name, W in model.weights.items():
        W = as_array(name, W).astype(np.float64)
        step = float(f"{np.abs(W).max() / _LEVELS:.3g}")
        found[name] = step, np.clip(np.round(W / step), -_LEVELS, _LEVELS).astype(np.int8)
    return found


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
