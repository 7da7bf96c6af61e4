"""What one does with a language model: the loss of every token, text that goes on, readings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from hblib._checks import whole
from hblib.models.language._model import Hook, LanguageModel, as_tokens, logits, places, run


@torch.no_grad()
def token_losses(
    model: LanguageModel,
    tokens: ArrayLike | torch.Tensor,
    hook: Hook | None = None,
    batch_size: int | None = None,
) -> np.ndarray:
    """Return how surprised the model is by every token but the first, in nats.

    Parameters
    ----------
    model : LanguageModel
    tokens : array_like of int, shape (n_positions,) or (n_texts, n_positions)
    hook : callable, optional
        See `logits`.
    batch_size : int, optional
        Texts per forward pass; by default as many as keep the logits within half a gigabyte.

    Returns
    -------
    ndarray of float64, shape (..., n_positions - 1)
        ``-log p(token | those before)``; the loss of a text is the mean.

    Raises
    ------
    ValueError
        If there are fewer than two positions.

    Examples
    --------
    >>> from hblib.models import language
    >>> model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> losses = token_losses(model, [5, 7, 5, 9])
    >>> losses.shape, bool(abs(losses.mean() - np.log(100)) < 0.5)
    ((3,), True)
    """
    tokens = as_tokens(tokens, model.sizes)
    if tokens.shape[-1] < 2:
        raise ValueError("tokens must have at least 2 positions for a loss, got 1")
    rows = tokens[None] if tokens.ndim == 1 else tokens
    parts = []
    for batch in _batches(model, rows, batch_size):
        said = logits(model, batch[:, :-1], hook).log_softmax(-1)
        wanted = batch[:, 1:, None].expand(*said.shape[:-1], 1)
        parts.append(-said.gather(-1, wanted)[..., 0].double())
    losses = torch.cat(parts, dim=-2).numpy()
    return losses[..., 0, :] if tokens.ndim == 1 else losses


@torch.no_grad()
def generate(
    model: LanguageModel, prompt: str | Sequence[int], n: int = 20, hook: Hook | None = None
) -> str | list[int]:
    """Let the model go on, always with its likeliest token (greedy).

    Keys and values of earlier positions are kept, so each new token costs one position.

    Parameters
    ----------
    model : LanguageModel
    prompt : str or sequence of int
        Text, if the model has a tokenizer, or token numbers.
    n : int
        Tokens to add.
    hook : callable, optional
        See `logits`.

    Returns
    -------
    str or list of int
        What was added, as the prompt was given.

    Examples
    --------
    >>> from hblib.models import language
    >>> model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> len(generate(model, [5, 7, 5], n=4))
    4
    """
    n = whole("n", n)
    given = encode(model, prompt) if isinstance(prompt, str) else list(prompt)
    cache, new = {}, given
    added = []
    for _ in range(n):
        new = [int(logits(model, new, hook, cache)[..., -1, :].argmax(-1))]
        added += new
    return model.tokenizer.decode(added) if isinstance(prompt, str) else added


def encode(model: LanguageModel, text: str) -> list[int]:
    """Cut a text into the model's tokens.

    Raises
    ------
    ValueError
        If the model has no tokenizer, or the text is empty.
    """
    if model.tokenizer is None:
        raise ValueError("text needs a model with a tokenizer: give token numbers")
    if not (tokens := model.tokenizer.encode(text)):
        raise ValueError("text is empty: it has no tokens")
    return tokens


@torch.no_grad()
def read(
    model: LanguageModel,
    tokens: ArrayLike | torch.Tensor,
    at: str | Sequence[str],
    hook: Hook | None = None,
    batch_size: int | None = None,
) -> dict[str, np.ndarray]:
    """Return what is at some places of the model, one row for each token.

    Parameters
    ----------
    model : LanguageModel
    tokens : array_like of int, shape (n_positions,) or (n_texts, n_positions)
    at : str or sequence of str
        Names of `places`.
    hook : callable, optional
        See `logits`; it acts before the reading.
    batch_size : int, optional
        Texts per forward pass; by default as many as keep the logits within half a gigabyte.

    Returns
    -------
    dict of str to ndarray of shape (n_texts * n_positions, n_features)
        With a leading axis of models if the model has one.

    Raises
    ------
    ValueError
        If a place is unknown.

    Examples
    --------
    >>> from hblib.models import language
    >>> model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> H = read(model, [[5, 7, 5], [1, 2, 3]], ["residual.2", "neurons.0"])
    >>> {place: array.shape for place, array in H.items()}
    {'residual.2': (6, 32), 'neurons.0': (6, 64)}
    """
    at, known = [at] if isinstance(at, str) else list(at), places(model.sizes)
    if unknown := [place for place in at if place not in known]:
        raise ValueError(
            f"at must name places such as {known[0]!r} or {known[-2]!r}, got {unknown[0]!r}"
        )
    tokens = as_tokens(tokens, model.sizes)
    rows = tokens[None] if tokens.ndim == 1 else tokens
    found = {place: [] for place in at}

    def keep(place, x):
        changed = None if hook is None else hook(place, x)
        if place in found:
            x = x if changed is None else changed
            found[place].append(x.flatten(-3, -2).detach().cpu().numpy().copy())
        return changed

    # Blocks behind the last place are not run.
    last = [model.sizes.n_layers if p == "head" else _block(p) for p in at]
    for batch in _batches(model, rows, batch_size):
        run(model, batch, keep, n_layers=max(last, default=0))
    return {place: np.concatenate(parts, axis=-2) for place, parts in found.items()}


def _block(place):
    """How many blocks must run until a place is reached."""
    kind, _, n = place.partition(".")
    return int(n) + (kind != "residual")


def _batches(model, rows, batch_size):
    if batch_size is None:
        one = rows.shape[-1] * model.sizes.n_tokens * (model.n_models or 1)
        batch_size = max(1, 2**27 // one)
    return rows.split(whole("batch_size", batch_size))
