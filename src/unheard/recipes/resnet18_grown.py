"""The ResNet18 that dropin_resnet18 ends with, at that size from the first step on.

Expects: not measured yet.
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
