"""ResNet18 on a linear-frequency log spectrogram, a quarter of the usual width.

Expects: see the results table in README.md.
Cost:    see the results table in README.md.
Run:     unheard train resnet18_linear --data MANIFEST --out runs/resnet18_linear
"""

from dataclasses import replace

from unheard.detectors import ResNet18
from unheard.recipe import Budget
from unheard.recipes import resnet18_mel

recipe = replace(
    resnet18_mel.recipe,
    name="resnet18_linear",
    detector=ResNet18(feature="linear", width=16, high_hz=8000.0),
    budget=Budget(n_steps=500, eval_every=100, dev_clips=300),
)
