"""ResNet18 on a linear-frequency log spectrogram, a quarter of the usual width.

Expects: EER 23.4 % on eval_in, 49.3 % on eval_out, open corpus medium, one seed, 2026-11-22.
Cost:    13 minutes on one busy core.
Run:     unheard train resnet18_linear --data MANIFEST --out runs/resnet18_linear
"""

from dataclasses import replace

from unheard.detectors.table import ResNet18
from unheard.recipes import resnet18_mel
from unheard.training.recipe import Budget

recipe = replace(
    resnet18_mel.recipe,
    name="resnet18_linear",
    detector=ResNet18(feature="linear", width=16, high_hz=8000.0),
    budget=Budget(n_steps=500, eval_every=100, dev_clips=300),
)
