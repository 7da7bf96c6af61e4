"""Are the axes marked? Whether anything about a layer depends on which units it has."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hblib._checks import Randomness, as_array, generator, number, whole
from hblib.meaning import haar_test, mean_peak, unit_kurtosis, word_kurtosis
from hblib.probe._answers import Answer, layer, percent, some, varying
from hblib.rotation import haar

LIMITS = (
    "Marked axes need not mean anything: a unit can stand out and follow nothing in the world "
    "(see unit_meaning). Axes that are not marked here may differ in what was not measured."
)


def unequal_variance(X: ArrayLike) -> NDArray[np.float64]:
    """Spread of the units' variances: their standard deviation over their mean.

    0 if all units vary equally much, more the more a few units carry.

    Parameters
    ----------
    X : array_like of shape (..., n_samples, n_units)

    Returns
    -------
    ndarray of shape (...)

    Raises
    ------
    ValueError
        If no unit varies.

    Examples
    --------
    >>> float(unequal_variance([[1, 0], [-1, 0]]))
    1.0
    """
    X = as_array("X", X)
    if X.ndim < 2:
        raise ValueError(f"X must have the shape (..., n_samples, n_units), got {X.shape}")
    variances = X.var(axis=-2)
    mean = variances.mean(axis=-1)
    if not mean.all():
        raise ValueError("X is constant: no unit varies")
    return variances.std(axis=-1) / mean


STATISTICS = {
    "offset: peak of the mean vector": mean_peak,
    "variance: spread over units": unequal_variance,
    "kurtosis of a unit": unit_kurtosis,
    "peaks: kurtosis of a sample": word_kurtosis,
}


def marked_axes(
    H: ArrayLike,
    rng: Randomness = 0,
    *,
    n_rotations: int = 399,
    max_samples: int = 2000,
    max_units: int = 512,
    alpha: float = 0.05,
) -> Answer:
    """Ask whether the units of a layer stand out among all directions: an exact test.

    The layer is compared with rotated copies of itself, in offset, variance, kurtosis and peaks. If
    nothing singles out the units, the layer is one more rotated copy, and each p-value is exact at
    any number of rotations (see `hblib.meaning.haar_test`). A copy that is rotated first goes
    through the same test as a control.

    Parameters
    ----------
    H : array_like of shape (n_samples, n_units)
        Units that never vary and samples that are zero are left out, and the answer says so.
    rng : int, sequence of int, numpy.random.Generator or None
    n_rotations : int
        At least 19.
    max_samples, max_units : int
        More than these are drawn at random; the test stays exact for those drawn. It costs
        ``2 * n_rotations * max_samples * max_units**2`` multiplications, seconds for 64 units and
        a minute for 512.
    alpha : float
        Level of the family of four statistics, after Holm's correction.

    Returns
    -------
    Answer
        ``estimate`` is the largest distance from the rotated copies, in their standard deviations;
        ``p`` the smallest p-value after Holm's correction.

    Raises
    ------
    ValueError
        If H has fewer than 20 samples or two units that vary.

    Examples
    --------
    A cloud that is round has no marked axes, one in a cube has:

    >>> rng = np.random.default_rng(0)
    >>> marked_axes(rng.normal(size=(300, 8)), rng=1).holds
    False
    >>> print(marked_axes(rng.uniform(-1, 1, (300, 8)), rng=1).sentence)
    The axes are marked (p = 0.02): most of all in kurtosis of a unit.
    """
    H, rng = layer("H", H), generator(rng)
    n_rotations = whole("n_rotations", n_rotations, 19)
    alpha = number("alpha", alpha, 0, 1)
    used = H[some(len(H), whole("max_samples", max_samples, 20), rng)]
    live = np.flatnonzero(varying(used))
    if len(live) < 2:
        raise ValueError(f"H must have at least two units that vary, got {len(live)}")
    X = used[:, live[some(len(live), whole("max_units", max_units, 2), rng)]].astype(float)
    X = X[np.any(X, axis=1)]
    if len(X) < 20:
        raise ValueError(f"H must have at least 20 samples that are not zero, got {len(X)}")
    X /= np.sqrt(np.mean(X**2))
    table = haar_test(X, rng, n_rotations, STATISTICS)
    turned = X @ haar(X.shape[1], rng).T
    control = haar_test(turned, rng, n_rotations, STATISTICS)
    sd = np.maximum(table["sd"], 1e-12)
    table["distance"] = (table["value"] - table["haar"]) / sd
    table["rotated copy"] = (control["value"] - control["haar"]) / np.maximum(control["sd"], 1e-12)
    table["p_rotated"] = control["p_holm"]
    most = table["p_holm"].min()
    first = table["distance"].abs().where(table["p_holm"] == most).idxmax()
    holds = bool(most <= alpha)
    if holds:
        sentence = f"The axes are marked ({percent(most)}): most of all in {first}."
    else:
        sentence = (
            f"Nothing here singles out the units among all directions ({percent(most)} for the "
            "most unusual of four statistics)."
        )
    if idle := used.shape[1] - len(live):
        sentence += f" {idle} of {used.shape[1]} units never vary and were left out."
    return Answer(
        "Are the axes marked?",
        float(table["distance"].loc[first]),
        "distance from rotated copies (standard deviations)",
        None,
        None,
        float(most),
        holds,
        sentence,
        LIMITS,
        table,
        ("distance", "rotated copy"),
    )
