"""Models that have learnt nothing: random weights of the same sizes, the same weights shuffled."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hblib._checks import Randomness, generator, number
from hblib.models.language._model import LanguageModel, Sizes


def random_model(
    sizes: Sizes,
    rng: Randomness | None = None,
    seeds: Sequence[int] | None = None,
    scale: float | None = None,
    tied: bool = True,
    dtype: torch.dtype = torch.float32,
) -> LanguageModel:
    """Draw a model with normal weights and gains of one.

    Parameters
    ----------
    sizes : Sizes
    rng : int, numpy.random.Generator or None
        Of a single model.
    seeds : sequence of int, optional
        Many models side by side, one for each seed, in place of `rng`.
    scale : float, optional
        Standard deviation of the weights; ``width ** -0.5`` by default. Maps that write into the
        residual stream get ``scale / sqrt(2 * n_layers)``, as in GPT-2.
    tied : bool
        Whether the embedding is the head too.
    dtype : torch.dtype

    Returns
    -------
    LanguageModel

    Examples
    --------
    >>> random_model(Sizes(2, 32, 4, 2, 8, 64, 100), seeds=range(3)).weights["0.q"].shape
    torch.Size([3, 32, 32])
    """
    scale = sizes.width**-0.5 if scale is None else number("scale", scale, above=0)

    def draw(rng):
        rng, weights = generator(rng), {}
        for name in [*sizes.names, *([] if tied else ["head"])]:
            shape = sizes.shape(name)
            if "gain" in name:
                weights[name] = torch.ones(shape, dtype=dtype)
                continue
            writes = name.endswith((".o", ".down"))
            size = scale / (2 * sizes.n_layers) ** 0.5 if writes else scale
            W = rng.standard_normal(shape, dtype="float64" if dtype == torch.float64 else "float32")
            weights[name] = torch.from_numpy(W).to(dtype).mul_(size)
        return weights

    if seeds is None:
        return LanguageModel(sizes, draw(rng))
    drawn = [draw(int(seed)) for seed in seeds]
    if not drawn:
        raise ValueError("seeds must name at least one seed, got none")
    return LanguageModel(sizes, {name: torch.stack([d[name] for d in drawn]) for name in drawn[0]})


def random_twin(model: LanguageModel, rng: Randomness, scale: float | None = None) -> LanguageModel:
    """Return a model of the same sizes with random weights, see `random_model`.

    Examples
    --------
    >>> model = random_model(Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> random_twin(model, rng=1).sizes == model.sizes
    True
    """
    drawn = random_model(model.sizes, rng, scale=scale, tied=model.tied, dtype=model.dtype)
    return model.with_weights(drawn.weights)


def shuffled_twin(model: LanguageModel, rng: Randomness) -> LanguageModel:
    """Return the model with the entries of every matrix shuffled; gains stay.

    The sizes of the weights are what training made them, and nothing else is left of it.

    Examples
    --------
    >>> model = random_model(Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> twin = shuffled_twin(model, rng=1)
    >>> W, V = model.weights["0.q"].flatten(), twin.weights["0.q"].flatten()
    >>> bool((W == V).all()), bool((W.sort()[0] == V.sort()[0]).all())
    (False, True)
    """
    if model.n_models is not None:
        raise ValueError("model must be a single one: take it with model.one(index)")
    rng, weights = generator(rng), {}
    for name, W in model.weights.items():
        if "gain" not in name:
            W = torch.from_numpy(rng.permutation(W.detach().numpy().ravel())).view(W.shape)
        weights[name] = W
    return model.with_weights(weights)
