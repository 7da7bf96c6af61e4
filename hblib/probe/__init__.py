"""The book's questions, asked of your own network.

`activations` reads the layers of any torch model, `load` reads them from files.

Examples
--------
>>> import torch
>>> from hblib import probe
>>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
>>> H = probe.activations(model, torch.ones(50, 8), layers="1")["1"]
>>> H.shape
(50, 16)
"""

from hblib.probe._activations import activations
from hblib.probe._files import load

__all__ = ["activations", "load"]
