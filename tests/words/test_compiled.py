"""Compiled functions where nothing can be kept on disk, as in a read-only container."""

import os
import subprocess
import sys

import pytest

from hblib._compiled import njit

# In /proc not even root can make a folder: no cache beside the file, none under HOME.
PROGRAM = """
import numba
source = "def twice(x): return 2 * x"
space = {}
exec(compile(source, "/proc/hblib/module.py", "exec"), space)
try:
    numba.njit(cache=True)(space["twice"])
    raise SystemExit("numba can cache after all")
except RuntimeError:
    pass
from hblib._compiled import njit
assert njit(space["twice"])(4) == 8
assert njit(nogil=True)(space["twice"])(2.5) == 5
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs Linux's /proc")
def test_without_a_place_for_a_cache_functions_are_compiled_all_the_same():
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "XDG_"))}
    environment |= {"HOME": "/proc/hblib"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_cache_is_kept_where_it_can_be():
    @njit(nogil=True)
    def twice(x):
        return 2 * x

    @njit(cache=False)
    def thrice(x):
        return 3 * x

    assert twice(2) == 4 and thrice(2) == 6
    assert twice.stats.cache_path and not thrice.stats.cache_path
