"""Turn the residual stream of a small language model: what changes and what does not."""

from hblib import probe, rotation
from hblib.models import language

model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
print(probe.residual_symmetry(model, [5, 7, 5, 9]).sentence)

# An equal model with other coordinates: the logits agree, the axes of the stream are gone.
turned = language.rotate(language.fold(model), rotation.haar(32, rng=1))
difference = language.logits(turned, [5, 7, 5, 9]) - language.logits(model, [5, 7, 5, 9])
print(f"largest difference of the logits: {difference.abs().max():.0e}")
