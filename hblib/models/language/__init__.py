"""A language model to look into: load, run in pieces, turn and round it, or train a small one.

The model is of the type Llama (RMSNorm, rotary positions, grouped-query attention, SwiGLU), real
ones such as SmolLM2 among them, and its forward pass is our own: every place can be read and
replaced by a hook, in float32 and float64. `rotate` turns the residual stream of a model whose
gains are folded (`fold`), which changes its coordinates and not what it computes; `rounding`
rounds activations to few bits, which a change of coordinates does change.

>>> import torch
>>> from hblib import rotation
>>> from hblib.models import language
>>> model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
>>> turned = language.rotate(language.fold(model), rotation.haar(32, rng=1))
>>> tokens = [5, 7, 5, 9]
>>> torch.allclose(language.logits(turned, tokens), language.logits(model, tokens), atol=1e-5)
True
"""

from hblib.models.language._equivariance import axis_kurtosis, training_defect
from hblib.models.language._files import MODELS, load
from hblib.models.language._kept import kept
from hblib.models.language._letters import LETTERS, letter_model, page_data
from hblib.models.language._model import (
    INPUTS,
    LanguageModel,
    Sizes,
    logits,
    places,
)
from hblib.models.language._rounding import round_to_bits, rounding
from hblib.models.language._symmetries import (
    fold,
    hadamard,
    is_folded,
    random_hadamard,
    rotary_matrix,
    rotate,
    turn_neurons,
    turn_queries,
    turn_values,
    untie,
)
from hblib.models.language._tokens import Tokenizer
from hblib.models.language._training import RULES, LanguageTraining, train_language
from hblib.models.language._twins import random_model, random_twin, shuffled_twin
from hblib.models.language._use import encode, generate, read, token_losses

__all__ = [
    "INPUTS", "LETTERS", "LanguageModel", "LanguageTraining", "MODELS", "RULES", "Sizes",
    "Tokenizer", "axis_kurtosis", "encode", "fold", "generate", "hadamard", "is_folded", "kept",
    "letter_model", "load", "logits", "page_data", "places", "random_hadamard", "random_model",
    "random_twin", "read", "rotary_matrix", "rotate", "round_to_bits", "rounding", "shuffled_twin",
    "token_losses", "train_language", "training_defect", "turn_neurons", "turn_queries",
    "turn_values", "untie",
]  # fmt: skip
