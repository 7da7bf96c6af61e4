"""Rounding activations to few bits, token by token."""

from __future__ import annotations

import torch

from hblib._checks import choice, whole
from hblib.models.language._model import INPUTS, Hook


def round_to_bits(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Round each row to ``2**bits - 1`` equally spaced levels, symmetric about zero.

    Parameters
    ----------
    x : torch.Tensor of shape (..., n_features)
    bits : int
        From 2 to 16. The largest entry of a row is a level: ``step = max|x| / (2**(bits-1) - 1)``.

    Returns
    -------
    torch.Tensor of the same shape
        ``step * round(x / step)``.

    Examples
    --------
    One large coordinate takes the levels away from all others:

    >>> round_to_bits(torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 30.0]]), bits=3)
    tensor([[ 1.,  2.,  3.],
            [ 0.,  0., 30.]])
    """
    step = x.abs().amax(-1, keepdim=True) / (2 ** (whole("bits", bits, 2, 16) - 1) - 1)
    return step * torch.round(x / step.clamp(min=torch.finfo(x.dtype).tiny))


def rounding(bits: int, inputs: tuple[str, ...] = INPUTS) -> Hook:
    """Return a hook that rounds the inputs of the linear maps, token by token.

    Parameters
    ----------
    bits : int
        See `round_to_bits`.
    inputs : tuple of str
        Which of "attention", "heads", "mlp", "neurons" and "head", see `places`. Only "attention",
        "mlp" and "head" are in coordinates of the residual stream; a rotation of it does not touch
        the other two.

    Returns
    -------
    callable

    Examples
    --------
    >>> from hblib.models import language
    >>> model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> rounded = language.logits(model, [5, 7], hook=rounding(bits=4))
    >>> bool((rounded - language.logits(model, [5, 7])).abs().max() > 1e-3)
    True
    """
    whole("bits", bits, 2, 16)
    kinds = {choice("inputs", kind, INPUTS) for kind in inputs}

    def hook(place, x):
        return round_to_bits(x, bits) if place.partition(".")[0] in kinds else None

    return hook
