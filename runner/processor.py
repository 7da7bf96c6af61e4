"""One setting of numerical kernels, so that a chapter computes the same on most processors.

NumPy, SciPy, torch and numba each choose at start the fastest kernels that the processor has, and
kernels of different width add in a different order. A chapter runs with kernels that every x86-64
processor since Haswell (2013) and Zen (2017) has, AVX2 with fused multiply-add, and with one
thread; elsewhere with what there is. The environment variable ``HB_KERNELS`` names another set:
``native``, or ``sse4`` for those of a processor of 2010; ``HB_THREADS`` another number of threads.
"""

import os
import platform
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4"
KERNELS = {
    "avx2": {
        "OPENBLAS_CORETYPE": "Haswell",
        "MKL_CBWR": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": _AVX512,
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "",
    },
    "native": {},
    "sse4": {
        "OPENBLAS_CORETYPE": "Nehalem",
        "MKL_CBWR": "SSE4_2",
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "NPY_DISABLE_CPU_FEATURES": f"AVX2 FMA3 X86_V3 {_AVX512}",
        "NUMBA_CPU_NAME": "nehalem",
        "NUMBA_CPU_FEATURES": "",
        # The C library's own exp, log and sin have versions with fused multiply-add.
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
    },
}


def environment():
    """Environment variables with which a chapter is executed.

    They must be set before NumPy, SciPy, torch or numba is imported.

    Returns
    -------
    dict of str to str

    Raises
    ------
    ValueError
        If ``HB_KERNELS`` names no set of kernels, or ``HB_THREADS`` is no number above 0.
    """
    name, threads = os.environ.get("HB_KERNELS", "avx2"), os.environ.get("HB_THREADS", "1")
    if name not in KERNELS:
        raise ValueError(f"HB_KERNELS must be one of {', '.join(KERNELS)}, not {name!r}")
    if not (threads.isdecimal() and int(threads) > 0):
        raise ValueError(f"HB_THREADS must be a number of threads from 1 on, not {threads!r}")
    return dict.fromkeys(THREADS, threads) | (KERNELS[name] if _has_avx2() else {})


def _has_avx2():
    """Whether the processor has AVX2; where that is not known its own kernels are left alone."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    listed = Path("/proc/cpuinfo")
    flags = listed.read_text(encoding="utf-8").split() if listed.is_file() else []
    return {"avx2", "fma"} <= set(flags)
