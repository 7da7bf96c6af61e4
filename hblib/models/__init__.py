"""Models to look into: many small networks at once, an autoencoder, a captioner, and your own.

`train_networks` trains one classifier from many starting points side by side; `train_autoencoder`
and `train_captioner` give codes of pictures and decode them again, into pictures or into captions,
whose distribution is a tree. `activations` reads the layers of any torch model. Language
models have a package of their own, `hblib.models.language`.

>>> import torch
>>> from hblib import models
>>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
>>> H = models.activations(model, torch.zeros(5, 8))
>>> H["1"].shape
(5, 16)
"""

from hblib.models._activations import activations
from hblib.models._autoencoder import (
    Autoencoder,
    AutoencoderSettings,
    load_autoencoder,
    train_autoencoder,
)
from hblib.models._autoencoders import Autoencoders, train_autoencoders
from hblib.models._caption_trees import (
    CaptionTree,
    draw_tree,
    expand_tree,
    show_trees,
    tree_branches,
    tree_from_captions,
    tree_sentences,
    tree_text,
)
from hblib.models._captioner import (
    END,
    MAX_WORDS,
    WORDS,
    Captioner,
    load_captioner,
    train_captioner,
)
from hblib.models._loaded_captioner import LoadedCaptioner, load_codes, load_hugging_face
from hblib.models._networks import (
    CNN,
    MLP,
    SOURCE_SCALE,
    Networks,
    lay_out_units,
    train_networks,
)
from hblib.models._shallow import train_shallow

__all__ = [
    "CNN",
    "END",
    "MAX_WORDS",
    "MLP",
    "SOURCE_SCALE",
    "WORDS",
    "Autoencoder",
    "AutoencoderSettings",
    "Autoencoders",
    "CaptionTree",
    "Captioner",
    "LoadedCaptioner",
    "Networks",
    "activations",
    "draw_tree",
    "expand_tree",
    "lay_out_units",
    "load_autoencoder",
    "load_captioner",
    "load_codes",
    "load_hugging_face",
    "show_trees",
    "train_autoencoder",
    "train_autoencoders",
    "train_captioner",
    "train_networks",
    "train_shallow",
    "tree_branches",
    "tree_from_captions",
    "tree_sentences",
    "tree_text",
]
