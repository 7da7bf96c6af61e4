"""What training does to the axes of the residual stream: does it turn along, does it mark some.

Two questions, and the first does not answer the second. A rule that turns with its start cannot
tell one axis from another, so whatever marks it leaves are those of chance. A rule that does not
turn may mark the axes, or just take another path.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from hblib._checks import as_array
from hblib.models.language._model import LanguageModel
from hblib.models.language._symmetries import rotate
from hblib.models.language._training import train_language


def training_defect(
    model: LanguageModel,
    tokens: ArrayLike | torch.Tensor,
    rule: str,
    Q: ArrayLike,
    **options: Any,
) -> np.ndarray:
    """Measure how far training from a turned start strays from the turned training.

    Both runs go side by side and see the same batches. The defect is the largest over the steps t
    of ``|W'_t - turned(W_t)| / |W_t|``, with W_t all weights of the run from the start, and W'_t
    those of the run from the turned start.

    Parameters
    ----------
    model : LanguageModel
        The starts, single or side by side; their gains must be folded.
    tokens : array_like of int, shape (n,)
        One long text.
    rule : str
        See `train_language`.
    Q : array_like of shape (width, width)
        An orthogonal matrix, which turns the residual stream.
    **options
        Of `train_language`, such as ``n_steps`` and ``learn_gains``.

    Returns
    -------
    ndarray of float64, shape (n_models,)
        One defect for each start; the start itself counts as a step.

    Raises
    ------
    ValueError
        If Q or an option is not allowed, or the gains are not folded.

    Examples
    --------
    >>> import torch
    >>> from hblib import rotation
    >>> from hblib.models import language
    >>> sizes = language.Sizes(1, 16, 2, 2, 8, 32, n_tokens=5)
    >>> start = language.random_model(sizes, seeds=range(3), dtype=torch.float64)
    >>> text, Q = [0, 1, 2, 3, 4] * 40, rotation.haar(16, rng=0)
    >>> [bool(training_defect(start, text, rule, Q, n_steps=20, n_positions=10).max() < 1e-9)
    ...  for rule in ("sgd", "adam")]
    [True, False]
    """
    if "watch" in options:
        raise ValueError("watch is what training_defect uses itself: it cannot be given")
    if model.n_models is None:
        model = model.with_weights({name: W[None] for name, W in model.weights.items()})
    turned, n = rotate(model, Q).weights, model.n_models
    both = {name: torch.cat([W, turned[name]]) for name, W in model.weights.items()}
    worst = np.zeros(n)

    def compare(step: int, run: LanguageModel) -> None:
        plain = model.with_weights({name: W.detach()[:n] for name, W in run.weights.items()})
        wanted = rotate(plain, Q, unfolded=True).weights
        gap, size = torch.zeros(n, dtype=model.dtype), torch.zeros(n, dtype=model.dtype)
        for name, W in run.weights.items():
            gap += (W.detach()[n:] - wanted[name]).flatten(1).square().sum(1)
            size += wanted[name].flatten(1).square().sum(1)
        np.maximum(worst, (gap / size).sqrt().double().numpy(), out=worst)

    run = train_language(model.with_weights(both), tokens, rule, watch=compare, **options)
    compare(len(run.losses), run.model)
    return worst


def axis_kurtosis(H: ArrayLike) -> np.ndarray:
    """Measure how unequal the coordinates of each vector are, and take the mean over the vectors.

    ``d * sum(x**4) / sum(x**2)**2`` is 1 if all coordinates of x are equally large and d if only
    one is not zero. Turned at random, every vector has ``3 d / (d + 2)`` in the mean, whatever it
    is: a number near 3, with which a model's own axes are compared.

    Parameters
    ----------
    H : array_like of shape (..., n_samples, d)
        Vectors as rows, such as the residual stream of `read`.

    Returns
    -------
    ndarray of shape (...,)

    Raises
    ------
    ValueError
        If there is no vector, or one of them is zero.

    References
    ----------
    N. Elhage, R. Lasenby and C. Olah, "Privileged Bases in the Transformer Residual Stream",
    Transformer Circuits Thread (2023), use the kurtosis over coordinates.

    Examples
    --------
    >>> from hblib import rotation
    >>> H = np.eye(8)
    >>> axis_kurtosis(H).item(), axis_kurtosis(np.ones((2, 8))).item()
    (8.0, 1.0)
    >>> turned = [axis_kurtosis(H @ Q) for Q in rotation.haar(8, rng=0, size=2000)]
    >>> round(float(np.mean(turned)), 1), 3 * 8 / (8 + 2)
    (2.4, 2.4)
    """
    H = as_array("H", H).astype(np.float64)
    if H.ndim < 2:
        raise ValueError(f"H must hold vectors as rows, got the shape {H.shape}")
    squares = np.square(H)
    size = squares.mean(-1)
    if not (size > 0).all():
        raise ValueError("H has a vector that is zero: its coordinates cannot be compared")
    return (np.square(squares).mean(-1) / size**2).mean(-1)
