"""Compile with numba, keeping the result on disk where that is possible.

``numba.njit(cache=True)`` raises an error at import where neither the folder of the source file
nor the user's own cache folder can be written, as for code installed read-only under an unwritable
HOME (containers, shared notebook servers). There the functions are compiled anew in every process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def njit(function: Callable | None = None, **options: Any) -> Callable:
    """Like `numba.njit` with ``cache=True``, without a cache where none can be kept.

    Parameters
    ----------
    function : callable, optional
        The function, when used as a decorator without arguments.
    **options
        Those of `numba.njit`. With ``cache=False`` nothing is kept.

    Returns
    -------
    callable
        The compiled function, or the decorator if no function is given.

    Examples
    --------
    >>> @njit(nogil=True)
    ... def total(values):
    ...     out = 0.0
    ...     for value in values:
    ...         out += value
    ...     return out
    """
    if function is None:
        return lambda function: njit(function, **options)
    options = {"cache": True} | options
    try:
        return numba.njit(**options)(function)
    except RuntimeError as error:
        if not options["cache"] or "cannot cache" not in str(error):
            raise
        return numba.njit(**options | {"cache": False})(function)
