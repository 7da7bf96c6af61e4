"""A Llama-type model: its sizes, its weights, and its forward pass.

The pass is written out so that it can be read, in whatever precision the weights have. The common
implementations compute the norms and the rotary table in float32 even for float64 weights, so a
symmetry could not be checked to rounding with them.

Weights may have a leading axis of models: (n_models, n_outputs, n_inputs) instead of (n_outputs,
n_inputs). Then the same pass runs many small models side by side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch.nn import functional

from hblib._checks import choice, number, whole

MAPS = ("q", "k", "v", "o", "gate", "up", "down")
GAINS = ("gain_attention", "gain_mlp")
# A function of the name of a place and of what is there: the tensor that takes its place, or None.
Hook = Callable[[str, torch.Tensor], "torch.Tensor | None"]


@dataclass(frozen=True)
class Sizes:
    """Sizes of a Llama-type model.

    Parameters
    ----------
    n_layers : int
        Blocks, each of them attention and an MLP.
    width : int
        Coordinates of the residual stream.
    n_heads, n_kv_heads : int
        Heads of queries, and of keys and values; ``n_heads / n_kv_heads`` query heads share one
        head of keys and values (grouped-query attention).
    head_width : int
        Coordinates of a query, a key or a value; even.
    n_neurons : int
        MLP neurons of a block.
    n_tokens : int
        Size of the vocabulary.
    rotary_base : float
        Pair i of a query turns by the angle ``position * rotary_base ** (-2 i / head_width)``.
    eps : float
        Added to the mean square in RMSNorm.

    Examples
    --------
    >>> Sizes(2, 32, 4, 2, 8, 64, 100).n_parameters
    21792
    """

    n_layers: int
    width: int
    n_heads: int
    n_kv_heads: int
    head_width: int
    n_neurons: int
    n_tokens: int
    rotary_base: float = 10_000.0
    eps: float = 1e-5

    def __post_init__(self):
        names = ("n_layers", "width", "n_heads", "n_kv_heads", "head_width", "n_neurons")
        for name in (*names, "n_tokens"):
            whole(name, getattr(self, name))
        if self.n_heads % self.n_kv_heads:
            raise ValueError(
                f"n_heads must be a multiple of n_kv_heads = {self.n_kv_heads}, got {self.n_heads}"
            )
        if self.head_width % 2:
            raise ValueError(f"head_width must be even, got {self.head_width}")
        number("rotary_base", self.rotary_base, above=0)
        number("eps", self.eps, least=0)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a weight, (n_outputs, n_inputs) or (width,).

        Parameters
        ----------
        name : str
            "embedding", "head", "gain", or of a block ("3.q") what follows the dot.
        """
        queries, keys = self.n_heads * self.head_width, self.n_kv_heads * self.head_width
        shapes = {
            "embedding": (self.n_tokens, self.width),
            "head": (self.n_tokens, self.width),
            "q": (queries, self.width),
            "k": (keys, self.width),
            "v": (keys, self.width),
            "o": (self.width, queries),
            "gate": (self.n_neurons, self.width),
            "up": (self.n_neurons, self.width),
            "down": (self.width, self.n_neurons),
            **dict.fromkeys(("gain", *GAINS), (self.width,)),
        }
        return shapes[choice("name", name.rpartition(".")[2], shapes)]

    @property
    def names(self) -> list[str]:
        """Names of all weights of a model with tied embeddings; "head" comes on top if not."""
        blocks = [f"{n}.{name}" for n in range(self.n_layers) for name in (*GAINS, *MAPS)]
        return ["embedding", *blocks, "gain"]

    @property
    def n_parameters(self) -> int:
        """How many numbers the weights are, with tied embeddings."""
        return sum(torch.Size(self.shape(name)).numel() for name in self.names)


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A Llama-type model with its weights.

    Attributes
    ----------
    sizes : Sizes
    weights : dict of str to torch.Tensor
        By the names of `Sizes.names`. Without "head" the embedding is the head too (tied).
    tokenizer : object or None
        With ``encode(text)`` to a list of int and ``decode(ids)`` to a string.

    Raises
    ------
    ValueError
        If a weight is missing, unknown or of another shape.

    Examples
    --------
    >>> from hblib.models import language
    >>> model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> model.tied, language.logits(model, [5, 7, 5]).shape
    (True, torch.Size([3, 100]))
    """

    sizes: Sizes
    weights: dict[str, torch.Tensor] = field(repr=False)
    tokenizer: Any = None
    _kept: dict = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self):
        wanted = set(self.sizes.names)
        given = set(self.weights)
        for what, names in (("missing", wanted - given), ("unknown", given - wanted - {"head"})):
            if names:
                raise ValueError(f"weights: {', '.join(sorted(names)[:4])} {what}")
        for name, W in self.weights.items():
            shape = self.sizes.shape(name)
            if tuple(W.shape[-len(shape) :]) != shape or W.ndim > len(shape) + 1:
                raise ValueError(f"weights: {name} must be {shape}, got {tuple(W.shape)}")

    @property
    def tied(self) -> bool:
        """Whether the embedding is the head too."""
        return "head" not in self.weights

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights, in which everything is computed."""
        return self.weights["embedding"].dtype

    @property
    def n_models(self) -> int | None:
        """Models side by side; None without that axis."""
        E = self.weights["embedding"]
        return len(E) if E.ndim == 3 else None

    def digest(self) -> str:
        """Return a hash of sizes and weights: what tells one model from another in the cache."""
        if "digest" not in self._kept:
            found = hashlib.blake2b(repr(self.sizes).encode(), digest_size=16)
            for name in sorted(self.weights):
                W = self.weights[name].detach().cpu().contiguous()
                found.update(f"{name} {tuple(W.shape)} {W.dtype}".encode())
                found.update(W.view(torch.uint8).numpy())
            self._kept["digest"] = found.hexdigest()
        return self._kept["digest"]

    def with_weights(self, changed: dict[str, torch.Tensor]) -> LanguageModel:
        """Return the model with some weights exchanged; this one stays as it is."""
        return replace(self, weights={**self.weights, **changed})

    def to(self, dtype: torch.dtype) -> LanguageModel:
        """Return the model in another precision, float32 or float64."""
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype}")
        return self.with_weights({name: W.to(dtype) for name, W in self.weights.items()})

    def one(self, index: int) -> LanguageModel:
        """Return one of the models side by side, as a model of its own."""
        if self.n_models is None:
            raise ValueError("index needs models side by side, this is a single one")
        index = whole("index", index, 0, self.n_models - 1)
        return self.with_weights({name: W[index].detach() for name, W in self.weights.items()})


# --- the forward pass ----------------------------------------------------------------------------


def logits(
    model: LanguageModel,
    tokens: ArrayLike | torch.Tensor,
    hook: Hook | None = None,
    cache: dict[str, torch.Tensor] | None = None,
) -> torch.Tensor:
    """Return the logits of the next token at every position.

    Parameters
    ----------
    model : LanguageModel
    tokens : array_like of int, shape (n_positions,) or (n_texts, n_positions)
    hook : callable, optional
        Called as ``hook(place, value)`` at every place; what it returns takes the place of the
        value, None leaves it. See `places`.
    cache : dict, optional
        Keys and values of the positions before, by block; it is brought up to date. Start with an
        empty one.

    Returns
    -------
    torch.Tensor of shape (..., n_positions, n_tokens)
        With a leading axis of models if the model has one.

    Examples
    --------
    >>> from hblib.models import language
    >>> model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> kept = {}
    >>> language.logits(model, [5, 7], hook=lambda place, x: kept.update({place: x})).shape
    torch.Size([2, 100])
    >>> list(kept)[:6]
    ['residual.0', 'attention.0', 'heads.0', 'mlp.0', 'neurons.0', 'residual.1']
    """
    x = run(model, tokens, hook, cache)
    return linear(x, model.weights.get("head", model.weights["embedding"]))


def run(
    model: LanguageModel,
    tokens: ArrayLike | torch.Tensor,
    hook: Hook | None = None,
    cache: dict[str, torch.Tensor] | None = None,
    n_layers: int | None = None,
) -> torch.Tensor:
    """Run the blocks, all of them by default, and return what the head reads."""
    tokens = as_tokens(tokens, model.sizes)
    n_layers = model.sizes.n_layers if n_layers is None else n_layers
    see = (lambda place, x: x) if hook is None else _seeing(hook)
    W, E = model.weights, model.weights["embedding"]
    turn = rotary(model, tokens.shape[-1], _length(cache))
    h = E[tokens] if E.ndim == 2 else E[:, tokens]
    for n in range(n_layers):
        h = see(f"residual.{n}", h)
        x = see(f"attention.{n}", norm(h, W[f"{n}.gain_attention"], model.sizes.eps))
        h = h + linear(see(f"heads.{n}", attention(model, n, x, turn, cache)), W[f"{n}.o"])
        x = see(f"mlp.{n}", norm(h, W[f"{n}.gain_mlp"], model.sizes.eps))
        neurons = functional.silu(linear(x, W[f"{n}.gate"])) * linear(x, W[f"{n}.up"])
        h = h + linear(see(f"neurons.{n}", neurons), W[f"{n}.down"])
    h = see(f"residual.{n_layers}", h)
    return see("head", norm(h, W["gain"], model.sizes.eps))


def norm(h: torch.Tensor, gain: torch.Tensor, eps: float) -> torch.Tensor:
    """RMSNorm: ``h / sqrt(mean(h**2) + eps) * gain``, over the last axis; no mean is subtracted."""
    gain = gain.reshape(*gain.shape[:-1], *(1,) * (h.ndim - gain.ndim), gain.shape[-1])
    return h * torch.rsqrt(h.square().mean(-1, keepdim=True) + eps) * gain


def linear(x: torch.Tensor, W: torch.Tensor) -> torch.Tensor:
    """``x W^T``, with one W for all x or one for each entry of the leading axis."""
    if W.ndim == 2:
        return x @ W.mT
    return (x.flatten(1, -2) @ W.mT).unflatten(1, x.shape[1:-1])


def rotary(
    model: LanguageModel, n_positions: int, start: int = 0
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Rotary positions: coordinates i and i + head_width / 2 turn by an angle that grows with
    the position.
    """  # noqa: D205
    half = model.sizes.head_width // 2
    pair = torch.arange(half, dtype=model.dtype)
    position = torch.arange(start, start + n_positions, dtype=model.dtype)
    angle = position[:, None] * model.sizes.rotary_base ** (-pair / half)
    c, s = angle.cos(), angle.sin()

    def turn(x):
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * c - b * s, b * c + a * s], dim=-1)

    return turn


def attention(
    model: LanguageModel,
    n: int,
    x: torch.Tensor,
    turn: Callable[[torch.Tensor], torch.Tensor],
    cache: dict[str, torch.Tensor] | None = None,
) -> torch.Tensor:
    """Mix the values of a block with causal weights; what the map "o" reads."""
    W, width = model.weights, model.sizes.head_width
    q, k, v = (
        linear(x, W[f"{n}.{name}"]).unflatten(-1, (-1, width)).transpose(-3, -2) for name in "qkv"
    )
    q, k = turn(q), turn(k)
    if cache is not None:
        if f"{n}.k" in cache:
            k, v = torch.cat([cache[f"{n}.k"], k], -2), torch.cat([cache[f"{n}.v"], v], -2)
        cache[f"{n}.k"], cache[f"{n}.v"] = k, v
    shared = model.sizes.n_heads // model.sizes.n_kv_heads
    k, v = (y.repeat_interleave(shared, dim=-3) for y in (k, v))
    scores = q @ k.mT / width**0.5
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(k.shape[-2] - q.shape[-2] + 1)
    weights = scores.masked_fill(later, float("-inf")).softmax(-1)
    return (weights @ v).transpose(-3, -2).flatten(-2)


# --- places and tokens ---------------------------------------------------------------------------

# Inputs of linear maps: of q, k and v; of o; of gate and up; of down; of the head.
INPUTS = ("attention", "heads", "mlp", "neurons", "head")


def places(sizes: Sizes, *kinds: str) -> list[str]:
    """List the places that a hook can read and replace.

    Parameters
    ----------
    sizes : Sizes
    *kinds : {"residual", "attention", "heads", "mlp", "neurons", "head"}
        All of them by default. "residual.n" is the residual stream before block n, the last one
        after all blocks. The others are inputs of linear maps: "attention.n" of q, k and v,
        "heads.n" of o, "mlp.n" of gate and up, "neurons.n" (the MLP neurons) of down, "head" of
        the head.

    Returns
    -------
    list of str

    Examples
    --------
    >>> places(Sizes(2, 32, 4, 2, 8, 64, 100), "residual", "head")
    ['residual.0', 'residual.1', 'residual.2', 'head']
    """
    found = []
    for kind in kinds or ("residual", *INPUTS):
        choice("kinds", kind, ("residual", *INPUTS))
        if kind == "head":
            found.append(kind)
        else:
            found += [f"{kind}.{n}" for n in range(sizes.n_layers + (kind == "residual"))]
    return found


def _seeing(hook: Hook) -> Callable[[str, torch.Tensor], torch.Tensor]:
    """Call a hook, and keep the value where it returns None."""

    def see(place, x):
        changed = hook(place, x)
        if changed is None:
            return x
        if changed.shape != x.shape:
            raise ValueError(
                f"hook must return the shape {tuple(x.shape)} at {place}, "
                f"got {tuple(changed.shape)}"
            )
        return changed

    return see


def as_tokens(tokens: ArrayLike | torch.Tensor, sizes: Sizes) -> torch.Tensor:
    """Return token numbers as a tensor, (n_positions,) or (n_texts, n_positions)."""
    if not isinstance(tokens, torch.Tensor):
        try:
            tokens = torch.as_tensor(tokens)
        except (TypeError, ValueError, RuntimeError):
            raise ValueError("tokens must be an array of whole numbers") from None
    if tokens.dtype not in (torch.int64, torch.int32, torch.int16, torch.uint8):
        raise ValueError(f"tokens must be whole numbers, got {tokens.dtype}")
    if tokens.ndim not in (1, 2) or not tokens.numel():
        raise ValueError(
            "tokens must have the shape (n_positions,) or (n_texts, n_positions), "
            f"got {tuple(tokens.shape)}"
        )
    least, most = int(tokens.min()), int(tokens.max())
    if least < 0 or most >= sizes.n_tokens:
        raise ValueError(
            f"tokens must be from 0 to {sizes.n_tokens - 1}, got {least if least < 0 else most}"
        )
    return tokens.long()


def _length(cache):
    return cache["0.k"].shape[-2] if cache else 0
