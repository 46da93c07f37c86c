"""ResNet18 on a log-mel spectrogram, half of the usual width.

Expects: EER 23.3 % on eval_in, 44.6 % on eval_out, open corpus medium, one seed, 2026-11-22.
Cost:    22 minutes on one busy core.
Run:     unheard train resnet18_mel --data MANIFEST --out runs/resnet18_mel
"""

from dataclasses import replace

from unheard.detectors.table import ResNet18
from unheard.recipes import lcnn
from unheard.training.recipe import Adam, Budget, Cosine

recipe = replace(
    lcnn.recipe,
    name="resnet18_mel",
    detector=ResNet18(feature="mel", width=32),
    optimiser=Adam(weight_decay=1e-3),
    schedule=Cosine(rate=1e-3),
    budget=Budget(n_steps=800, eval_every=100, dev_clips=300),
)
