"""What a question returns: a number beside its null, and what it allows one to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hblib._checks import as_array

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Answer:
    """The answer to a question about a network.

    Attributes
    ----------
    question : str
    estimate : float
        The number that the answer rests on; `measured` says what it is.
    measured : str
        What `estimate` is, with its unit.
    interval : tuple of float or None
        About 95 %; the question says over what.
    null : ndarray or None
        The estimate in draws where the answer is known to be no.
    p : float or None
        Share of these draws, the estimate among them, that are at least as extreme.
    holds : bool or None
        Whether the answer is yes. None where the data cannot tell.
    sentence : str
        The answer in words.
    limits : str
        What it does not allow one to say.

    Examples
    --------
    >>> from hblib import probe
    >>> cube = np.random.default_rng(0).uniform(-1, 1, (300, 8))
    >>> answer = probe.marked_axes(cube, rng=1)
    >>> answer.holds, answer.p
    (True, 0.02)
    """

    question: str
    estimate: float
    measured: str
    interval: tuple[float, float] | None
    null: NDArray[np.float64] | None
    p: float | None
    holds: bool | None
    sentence: str
    limits: str
    _table: pd.DataFrame = field(repr=False)
    _drawn: tuple[str, str] = field(default=("estimate", "null"), repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return the table behind the answer, a copy.

        Returns
        -------
        pandas.DataFrame
            One row per statistic, group of directions or measure.
        """
        return self._table.copy()

    def levels(self) -> tuple[float, float]:
        """Return what was measured and what it is in the null, in the unit of `plot`.

        Returns
        -------
        level, null : float
            Of the row of the table that `estimate` is about.

        Examples
        --------
        >>> from hblib import probe
        >>> round_cloud = np.random.default_rng(0).normal(size=(300, 8))
        >>> level, null = probe.marked_axes(round_cloud, rng=1).levels()
        >>> bool(abs(level) < 4 and abs(null) < 4)
        True
        """
        value, null = self._drawn
        row = next(
            (
                i
                for column in ("distance", "excess")
                if column in self._table
                for i in np.flatnonzero(self._table[column] == self.estimate)
            ),
            0,
        )
        return float(self._table[value].iloc[row]), float(self._table[null].iloc[row])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw each row of the table beside its null.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            A new figure by default.

        Returns
        -------
        matplotlib.axes.Axes
        """
        import matplotlib.pyplot as plt

        from hblib.figures import BLUE, ORANGE

        if ax is None:
            height = 1.5 + 0.4 * len(self._table)
            _, ax = plt.subplots(figsize=(6.5, height), layout="constrained")
        rows = np.arange(len(self._table))[::-1]
        value, null = self._drawn
        if self._table[null].nunique() == 1:
            ax.axvline(self._table[null].iloc[0], color=ORANGE, label=null)
        else:
            ax.plot(self._table[null], rows, "s", color=ORANGE, mfc="white", ms=7, label=null)
        ax.plot(self._table[value], rows, "o", color=BLUE, ms=7, label=value)
        ax.set_yticks(rows, [str(name) for name in self._table.index])
        ax.set_ylim(-0.6, len(rows) - 0.4)
        ax.set_xlabel(self.measured)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
        return ax

    def _repr_html_(self) -> str:
        from hblib.probe._card import card_html

        return card_html(self)

    def __str__(self) -> str:
        return f"{self.question}\n{self.sentence}\n{self.limits}"


def layer(name: str, H: ArrayLike, least: int = 20) -> NDArray[np.floating]:
    """Return a layer that varies, with enough samples, or refuse it."""
    H = as_array(name, H, ndim=2)
    if len(H) < least:
        raise ValueError(
            f"{name} must have at least {least} samples, one per row, got the shape {H.shape}"
        )
    if not varying(H).any():
        raise ValueError(f"{name} is constant: all its samples are the same")
    return H


def varying(H: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which units vary by more than rounding."""
    spread = H.max(axis=0) - H.min(axis=0)
    return spread > 8 * np.finfo(H.dtype).eps * np.abs(H).max(axis=0)


def some(n: int, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """All of n numbers, or `most` of them drawn at random, in order."""
    return np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))


def percent(p: float) -> str:
    """A p-value in a sentence."""
    return f"p = {p:.2g}"
