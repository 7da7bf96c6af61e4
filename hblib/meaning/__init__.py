"""What a direction has to do with the world.

A direction is judged by the inputs along it, in the same way for pictures, words and tokens: its
top inputs share an attribute more often than chance allows, follow a known factor, occur together
in texts, or are what captions talk about. Beside every measure stands its null model: random sets
of inputs, shuffled factors, random directions of equal covariance, rotated copies of the axes.

Examples
--------
A unit that fires for one class, and random activations:

>>> import numpy as np
>>> from hblib import meaning
>>> rng = np.random.default_rng(0)
>>> label = np.arange(200) % 10
>>> has = label[:, None] == np.arange(10)
>>> level = meaning.chance_level(has, n_top=8, alpha=0.01, rng=rng)
>>> H = np.stack([label == 3, rng.random(200)], axis=1)
>>> meaning.name_directions(H, has, n_top=8).score > level
array([ True, False])
"""

from hblib.meaning._attributes import (
    Enrichment,
    TopInputs,
    attribute_table,
    chance_level,
    digit_attributes,
    enrichment,
    measure_digits,
    share_enriched,
    top_inputs,
)
from hblib.meaning._captions import (
    caption_jaccard,
    caption_lift,
    caption_quality,
    caption_statements,
    correlated_atoms,
    interpolate,
    minimal_pairs,
    named_by_atoms,
    named_sides,
    pairs_of_things,
    single_things,
    states_count,
    switches_abruptly,
    things_and_relations,
    two_things,
)
from hblib.meaning._directions import (
    AXIS_STATISTICS,
    AlignmentCosines,
    alignment_cosines,
    coherence,
    haar_test,
    holm,
    intrusion,
    mean_peak,
    npmi,
    superiority,
    unit_kurtosis,
    whiten,
    word_kurtosis,
    word_l1,
)
from hblib.meaning._factors import (
    FactorReader,
    Naming,
    best_rank_correlation,
    gaussian_twin,
    measure_portraits,
    name_directions,
    precision_at,
    random_directions,
    rank_correlations,
    shuffled_rank_correlation,
)
from hblib.meaning._frequency import frequency_corrected, plant_topic, shared_company
from hblib.meaning._naming import Names, name_one_to_one, named_correlations
from hblib.meaning._pairing import pair_units
from hblib.meaning._surplus import Surplus, luck_of, surplus, unexplained

__all__ = [
    "AXIS_STATISTICS",
    "AlignmentCosines",
    "Enrichment",
    "FactorReader",
    "Names",
    "Naming",
    "Surplus",
    "TopInputs",
    "alignment_cosines",
    "attribute_table",
    "best_rank_correlation",
    "caption_jaccard",
    "caption_lift",
    "caption_quality",
    "caption_statements",
    "chance_level",
    "coherence",
    "correlated_atoms",
    "digit_attributes",
    "enrichment",
    "frequency_corrected",
    "gaussian_twin",
    "haar_test",
    "holm",
    "interpolate",
    "intrusion",
    "luck_of",
    "mean_peak",
    "measure_digits",
    "measure_portraits",
    "minimal_pairs",
    "name_directions",
    "name_one_to_one",
    "named_by_atoms",
    "named_correlations",
    "named_sides",
    "npmi",
    "pair_units",
    "pairs_of_things",
    "plant_topic",
    "precision_at",
    "random_directions",
    "rank_correlations",
    "share_enriched",
    "shared_company",
    "shuffled_rank_correlation",
    "single_things",
    "states_count",
    "superiority",
    "surplus",
    "switches_abruptly",
    "things_and_relations",
    "top_inputs",
    "two_things",
    "unexplained",
    "unit_kurtosis",
    "whiten",
    "word_kurtosis",
    "word_l1",
]
