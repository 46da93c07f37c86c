"""The toy detector in seconds: for tests and documentation; it detects nothing real.

Expects: nothing.
Cost:    seconds.
Run:     unheard train toy --data MANIFEST --out runs/toy
"""

from unheard.data.batches import Balanced
from unheard.detectors.table import Toy
from unheard.training.recipe import Budget, Constant, Recipe

recipe = Recipe(
    name="toy",
    detector=Toy(),
    sampler=Balanced(batch_clips=8),
    schedule=Constant(rate=0.01),
    budget=Budget(n_steps=20, eval_every=10, log_every=5),
    window_s=0.5,
    hop_s=0.5,
    seed=1,
)
