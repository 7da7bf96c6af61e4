"""Which numerical kernels a chapter runs with."""

import os
import subprocess
import sys

import pytest

from runner import processor

SHOW = """
import numpy, scipy.linalg, torch
from threadpoolctl import threadpool_info
blas = [lib for lib in threadpool_info() if lib["user_api"] == "blas"]
print(sorted({lib["architecture"] for lib in blas}), torch.backends.cpu.get_cpu_capability(),
      {lib["num_threads"] for lib in blas})
"""


@pytest.mark.parametrize("name", [*processor.KERNELS])
def test_every_library_takes_the_kernels(monkeypatch, name):
    if not processor._has_avx2():
        pytest.skip("this processor's kernels cannot be chosen")
    monkeypatch.setenv("HB_KERNELS", name)
    monkeypatch.delenv("HB_THREADS", raising=False)
    # What an outer run has set must not show through.
    outside = {k: v for k, v in os.environ.items() if k not in processor.KERNELS["sse4"]}
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=outside | processor.environment(),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""  # a chapter that warns is refused
    expected = {"avx2": "['Haswell'] AVX2 {1}", "sse4": "['Nehalem'] DEFAULT {1}"}
    if name == "native":
        assert "{1}" in done.stdout
    else:
        assert done.stdout.strip() == expected[name]


def test_threads_are_chosen(monkeypatch):
    monkeypatch.setenv("HB_THREADS", "2")
    assert {processor.environment()[key] for key in processor.THREADS} == {"2"}
    monkeypatch.setenv("OMP_NUM_THREADS", "8")  # the caller's shell has no say
    assert processor.environment()["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("HB_KERNELS", "fast", "HB_KERNELS must be one of avx2, native, sse4, not 'fast'"),
        ("HB_THREADS", "0", "HB_THREADS must be a number of threads from 1 on, not '0'"),
        ("HB_THREADS", "two", "HB_THREADS must be a number of threads from 1 on, not 'two'"),
    ],
)
def test_a_wrong_choice_is_refused(monkeypatch, variable, value, said):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=said):
        processor.environment()


def test_other_processors_are_left_alone(monkeypatch):
    monkeypatch.setattr(processor.platform, "machine", lambda: "arm64")
    monkeypatch.delenv("HB_KERNELS", raising=False)
    assert processor.environment().keys() == {*processor.THREADS}
