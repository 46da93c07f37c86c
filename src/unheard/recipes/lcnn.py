"""LFCC-LCNN: cepstral coefficients over the whole band, light CNN, recurrent layers.

Expects: EER 34.7 % on eval_in, 42.7 % on eval_out, open corpus medium, one seed, 2026-11-22.
Cost:    28 minutes on one busy core.
Run:     unheard train lcnn --data MANIFEST --out runs/lcnn
"""

from unheard.audio.augment import Augment, Step
from unheard.data.batches import Balanced
from unheard.detectors.table import Lcnn
from unheard.training.recipe import Adam, Budget, Cosine, Recipe

recipe = Recipe(
    name="lcnn",
    detector=Lcnn(band=1.0),
    sampler=Balanced(batch_clips=32, by="family"),
    augment=Augment(
        (
            Step("room", 0.4),
            Step("noise", 0.6),
            Step("clip", 0.1),
            Step("mu_law", 0.1),
            Step("codec", 0.25),
            Step("low_pass", 0.4),
            Step("notch", 0.5),
            Step("notch", 0.5),
            Step("polarity", 0.5),
            Step("gain", 0.8),
        )
    ),
    optimiser=Adam(weight_decay=1e-4),
    schedule=Cosine(rate=1e-3),
    budget=Budget(n_steps=400, eval_every=50, dev_clips=300),
    seed=1,
)
