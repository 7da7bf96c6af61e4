"""Bad input, refused in one sentence that names the parameter, the value and what is allowed."""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

# A seed, several numbers that make one seed, a generator, or None for fresh randomness.
Randomness = int | Sequence[int] | np.random.Generator | None


def as_array(
    name: str, value: Any, ndim: int | tuple[int, ...] | None = None, finite: bool = True
) -> np.ndarray:
    """Return anything array-like as a NumPy array of floating-point numbers.

    Parameters
    ----------
    name : str
        Of the parameter, for the error sentence.
    value : array_like, torch.Tensor or pandas.DataFrame
        Tensors may require gradients and lie on any device; bfloat16, float16, whole numbers and
        truth values are taken. Read-only and non-contiguous arrays are left as they are.
    ndim : int or tuple of int, optional
        How many axes are allowed.
    finite : bool
        Refuse NaN and infinity.

    Returns
    -------
    ndarray
        float32 or float64: half precision becomes float32, whole numbers float64.

    Raises
    ------
    ValueError
        If the value is masked, complex, no array of numbers, empty, of another number of axes, or
        not finite.

    Examples
    --------
    >>> as_array("X", [[1, 2], [3, 4]], ndim=2).dtype
    dtype('float64')
    """
    torch = sys.modules.get("torch")  # a tensor cannot exist where torch was never imported
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu().resolve_conj().resolve_neg()
        if value.dtype in (torch.bfloat16, torch.float16):
            value = value.float()
        value = value.numpy()
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} has masked values: fill or drop them first")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{name} must be an array of numbers, its rows are of several lengths"
        ) from None
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    elif array.dtype.kind == "O":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{name} must be an array of numbers") from None
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    if array.dtype.kind != "f":
        raise ValueError(f"{name} must be an array of real numbers, not of {array.dtype}")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64 if array.dtype.itemsize > 4 else np.float32)
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and array.ndim not in allowed:
        axes = " or ".join(map(str, allowed))
        raise ValueError(f"{name} must have {axes} axes, got the shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} is empty, it has the shape {array.shape}")
    if finite and not np.isfinite(array).all():
        n_bad = array.size - int(np.isfinite(array).sum())
        raise ValueError(f"{name} has {n_bad} of {array.size} values that are not finite")
    return array


def whole(name: str, value: Any, least: float = 1, most: float = math.inf) -> int:
    """Return a whole number as an int, or refuse it.

    Examples
    --------
    >>> whole("n_atoms", np.int64(5))
    5
    """
    ok = isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)
    if not (ok and least <= value <= most):
        allowed = f"from {least} to {most}" if most < math.inf else f"of at least {least}"
        raise ValueError(f"{name} must be a whole number {allowed}, got {value!r}")
    return int(value)


def number(
    name: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    above: float | None = None,
) -> float:
    """Return a finite real number as a float, or refuse it.

    Parameters
    ----------
    name, value
        Of the parameter.
    least, most : float
        The smallest and the largest value allowed.
    above : float, optional
        The value must be greater than this.

    Examples
    --------
    >>> number("lr", 1, above=0)
    1.0
    """
    ok = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
    ok = ok and math.isfinite(value) and least <= value <= most
    if not (ok and (above is None or value > above)):
        bounds = [] if above is None else [f"above {above:g}"]
        bounds += [f"at least {least:g}"] * (least > -math.inf)
        bounds += [f"at most {most:g}"] * (most < math.inf)
        raise ValueError(
            f"{name} must be {' and '.join(bounds) or 'a finite number'}, got {value!r}"
        )
    return float(value)


def choice(name: str, value: Any, allowed: Collection) -> Any:
    """Return a value that is one of those allowed, or refuse it.

    Examples
    --------
    >>> choice("rule", "sgd", ("sgd", "adam"))
    'sgd'
    """
    if not (isinstance(value, str) and value in allowed):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def generator(rng: Randomness) -> np.random.Generator:
    """Return a random generator from a seed or a generator, the convention of the whole library.

    Parameters
    ----------
    rng : int, sequence of int, numpy.random.Generator or None
        A sequence is one seed, as in NumPy: ``[seed, 3]`` is the fourth stream of a run. None
        draws fresh randomness.

    Examples
    --------
    >>> float(generator(0).random()) == float(np.random.default_rng(0).random())
    True
    """
    if isinstance(rng, list | tuple):
        return np.random.default_rng([whole("rng", part, least=0) for part in rng])
    if rng is not None and not isinstance(rng, np.random.Generator):
        ok = isinstance(rng, numbers.Integral) and not isinstance(rng, bool | np.bool_) and rng >= 0
        if not ok:
            raise ValueError(f"rng must be a seed, a numpy.random.Generator or None, got {rng!r}")
    return np.random.default_rng(rng)
