"""Hidden units on a grid: penalties that make activity look like a picture, and what they cost.

A penalty asks neighbouring units to agree (`adjacency_penalty`) or each class to light up its own
place (`GaussianGrid`); `LayerPenalty` adds either to any torch network. `assign_units` finds the
best layout of a network trained without a penalty, `gradient_flow` shows why learned coordinates
collapse, and the measures tell what a map is worth: smoothness, information, ablation.
`smoothness_penalty` and `blur_penalty` ask for a map without classes, and `arrange_units` sorts an
ordinary layer to compare.

>>> from hblib import grid
>>> H = [[0.1, 0.9, 0.1, 0.5], [0.9, 0.1, 0.5, 0.1]]                 # two samples, four units
>>> grid.assign_units(H, [0, 1], (1, 4), [[0, 0], [0, 3]], sigma=1.0)
array([3, 0, 2, 1])
"""

from hblib.grid._grid import (
    DIVERGENCES,
    EPS,
    GaussianGrid,
    adjacency_penalty,
    by_readout,
    lattice,
    log_surfaces,
    ring_centres,
    surface_penalty,
    tsne_centres,
    uniform_positions,
)
from hblib.grid._hooks import LayerPenalty, suppressed
from hblib.grid._layout import (
    assign_units,
    best_response,
    coordinate_gradient,
    gradient_flow,
    inward,
    linear_response,
    spread,
    uniform_response,
)
from hblib.grid._measures import (
    ablation,
    centroids,
    class_information,
    class_maps,
    decode_classes,
    morans_i,
    random_masks,
    regions,
    selectivity,
    source_mask,
)
from hblib.grid._places import even_centres
from hblib.grid._topography import arrange_units, blur_penalty, smoothness_penalty

__all__ = [
    "DIVERGENCES",
    "EPS",
    "GaussianGrid",
    "LayerPenalty",
    "ablation",
    "adjacency_penalty",
    "arrange_units",
    "assign_units",
    "best_response",
    "blur_penalty",
    "by_readout",
    "centroids",
    "class_information",
    "class_maps",
    "coordinate_gradient",
    "decode_classes",
    "even_centres",
    "gradient_flow",
    "inward",
    "lattice",
    "linear_response",
    "log_surfaces",
    "morans_i",
    "random_masks",
    "regions",
    "ring_centres",
    "selectivity",
    "smoothness_penalty",
    "source_mask",
    "spread",
    "suppressed",
    "surface_penalty",
    "tsne_centres",
    "uniform_positions",
    "uniform_response",
]
