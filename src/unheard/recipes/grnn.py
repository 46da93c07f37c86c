"""A gated recurrent network on cepstral coefficients: two bidirectional GRU layers of 128 units.

The baseline of dropin_grnn and plasticity_grnn: the same network, trained as long, that never
grows.

Expects: EER 37.6 % on eval_in, 44.2 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 3 minutes of processor time, estimated from bench/growth.py and the loading of clips.
Run:     unheard train grnn --data MANIFEST --out runs/grnn
         other networks: --set detector.cell=lstm --set detector.feature=mel
"""

from unheard.data.batches import Balanced
from unheard.detectors.table import Grnn
from unheard.recipes import lcnn
from unheard.training.recipe import Adam, Budget, Cosine, Recipe

recipe = Recipe(
    name="grnn",
    detector=Grnn(hidden=(128, 128)),
    sampler=Balanced(batch_clips=16, by="family"),
    augment=lcnn.recipe.augment,
    optimiser=Adam(weight_decay=1e-4),
    schedule=Cosine(rate=1e-3),
    budget=Budget(n_steps=300, eval_every=50, log_every=5, dev_clips=160),
    seed=1,
)
