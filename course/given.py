"""What every sheet gives its students: all below the mark stands in its first cell."""

# --- given ---
from contextlib import contextmanager

import numpy as np

from hblib import figures

figures.use_style()


def compare(what, yours, expected):
    """Print your value beside the expected one; `yours` may be a function without arguments."""
    why = ""
    try:
        value = yours() if callable(yours) else yours
    except Exception as problem:  # a function that is not written yet, or one that fails
        value, why = None, f" ({type(problem).__name__}: {problem})"
    if value is None or value is ...:
        shown = "not yet"
    elif isinstance(value, str | bool):
        shown = value
    else:
        shown = np.array2string(np.asarray(value), precision=4, suppress_small=True)
    if not isinstance(expected, str | bool):
        expected = np.array2string(np.asarray(expected), precision=4, suppress_small=True)
    print(f"{what}: yours {shown}, expected {expected}{why}")


@contextmanager
def attempt():
    """Draw if your functions are there, and say so if not."""
    try:
        yield
    except Exception as problem:
        print(f"Nothing to draw yet ({type(problem).__name__}: {problem}).")
