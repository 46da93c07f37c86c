"""ResNet18 on a log-mel spectrogram, a quarter of the usual width: small and short.

The baseline of dropin_resnet18 and plasticity_resnet18: the same network, trained as long, that
never grows.

Expects: EER 25.6 % on eval_in, 44.5 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 3 minutes of processor time, estimated from bench/growth.py and the loading of clips.
Run:     unheard train resnet18_small --data MANIFEST --out runs/resnet18_small
"""

from dataclasses import replace

from unheard.detectors.table import ResNet18
from unheard.recipes import grnn
from unheard.training.recipe import Adam

recipe = replace(
    grnn.recipe,
    name="resnet18_small",
    detector=ResNet18(feature="mel", width=16),
    optimiser=Adam(weight_decay=1e-3),
)
