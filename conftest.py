"""What nbval calls the same: typed outputs, compared by `runner.compare`.

It also sets the numerical kernels (`runner.processor`) before anything loads NumPy or torch, and
lets the chapters that took longest start first, so that no worker waits long for the last.
"""

import functools
import json
import os

from runner import processor

os.environ.update(processor.environment())


def pytest_collectstart(collector):
    if not hasattr(collector, "skip_compare"):
        return  # not a notebook
    from nbval.plugin import IPyNbCell

    IPyNbCell.compare_outputs = _compare_outputs


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: -_seconds(item.path))


@functools.cache
def _seconds(path):
    """How long a chapter took when it was executed; 0 for what is none."""
    if path.suffix != ".ipynb":
        return 0
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    return metadata.get("hblib", {}).get("seconds", 0)


def _compare_outputs(cell, test, ref, skip_compare=None):
    """In the place of nbval's comparison of texts."""
    from runner import compare

    cell.comparison_traceback = compare.differences(ref, test)
    return not cell.comparison_traceback
