"""The book's questions, asked of your own network.

`activations` reads the layers of any torch model, `load` reads them from
files. Each question is a
function whose answer holds an estimate beside its null, a p-value, a sentence, and what it does not
allow one to say: are the axes marked (`marked_axes`)? Do units mean more than random directions
(`unit_meaning`)? Is a layer a sum of few atoms (`few_atoms`)? Are two layers alike (`alike`,
`alike_pairs`)? Which symmetry does a network have (`layer_symmetry`, `residual_symmetry`), and does
training keep it (`training_symmetry`)?

Examples
--------
>>> import numpy as np
>>> import torch
>>> from hblib import probe
>>> torch.manual_seed(0)  # doctest: +ELLIPSIS
<torch._C.Generator object at ...>
>>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
>>> X = np.random.default_rng(0).normal(size=(200, 8))
>>> H = probe.activations(model, X, layers="1")["1"]
>>> print(probe.marked_axes(H, n_rotations=199).sentence.partition(":")[0])
The axes are marked (p = 0.04)
"""

from hblib.probe._activations import activations
from hblib.probe._alike import alike, alike_pairs
from hblib.probe._answers import Answer
from hblib.probe._atoms import few_atoms
from hblib.probe._axes import marked_axes, unequal_variance
from hblib.probe._files import load, load_labels
from hblib.probe._minilm import MiniLM
from hblib.probe._stream import streamed_cka, streamed_gram
from hblib.probe._symmetry import (
    layer_symmetry,
    residual_symmetry,
    training_symmetry,
    transformed,
)
from hblib.probe._units import attributes_of, unit_meaning

__all__ = [
    "Answer", "MiniLM", "activations", "alike", "alike_pairs", "attributes_of", "few_atoms",
    "layer_symmetry", "load", "load_labels", "marked_axes", "residual_symmetry",
    "streamed_cka", "streamed_gram", "training_symmetry", "transformed", "unequal_variance",
    "unit_meaning",
]  # fmt: skip
