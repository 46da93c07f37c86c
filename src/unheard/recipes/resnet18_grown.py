"""The ResNet18 that dropin_resnet18 ends with, at that size from the first step on.

Expects: EER 26.0 % on eval_in, 42.2 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 1.2 times the training steps of resnet18_small.
Run:     unheard train resnet18_grown --data MANIFEST --out runs/resnet18_grown
"""

from dataclasses import replace

from unheard.detectors.table import ResNet18
from unheard.recipes import resnet18_small

recipe = replace(
    resnet18_small.recipe,
    name="resnet18_grown",
    detector=ResNet18(feature="mel", width=16, inner_widths=(24, 24, 48, 48, 96, 96, 192, 192)),
)
