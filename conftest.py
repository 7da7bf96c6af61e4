"""What nbval calls the same: typed outputs, compared by `runner.compare`.

It also sets the numerical kernels (`runner.processor`) before anything loads NumPy or torch.
"""

import os

from runner import processor

os.environ.update(processor.environment())


def pytest_collectstart(collector):
    if not hasattr(collector, "skip_compare"):
        return  # not a notebook
    from nbval.plugin import IPyNbCell

    IPyNbCell.compare_outputs = _compare_outputs


def _compare_outputs(cell, test, ref, skip_compare=None):
    """In the place of nbval's comparison of texts."""
    from runner import compare

    cell.comparison_traceback = compare.differences(ref, test)
    return not cell.comparison_traceback
