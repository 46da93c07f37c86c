"""Toys: recipes of seconds for tests and documentation; they detect nothing real."""

from dataclasses import replace

from unheard.data.batches import Balanced
from unheard.detectors.toy import Toy
from unheard.training.recipe import Budget, Constant, Recipe

__all__ = ["toy", "toy_further"]

toy = Recipe(
    name="toy",
    detector=Toy(),
    sampler=Balanced(batch_clips=8),
    schedule=Constant(rate=0.01),
    budget=Budget(n_steps=20, eval_every=10, log_every=5),
    window_s=0.5,
    hop_s=0.5,
    seed=1,
)
"""The toy detector in seconds: for tests and documentation; it detects nothing real.

Expects: nothing.
Cost:    seconds.
Run:     unheard train toy --data MANIFEST --out runs/toy
"""

toy_further = replace(toy, name="toy_further", init_from=(("", toy),))
"""The toy detector, trained further from recipe toy: for tests and documentation of stages.

Expects: nothing.
Cost:    seconds.
Run:     unheard train toy_further --data MANIFEST --out runs/toy_further
"""
