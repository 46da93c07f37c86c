"""ResNet18 on a linear-frequency log spectrogram at its usual width: an expert of the mixture.

As resnet18_mel_full, over the whole band.

Expects: not run by this project: it needs the pooled corpora.
Cost:    60,000 steps of 64 clips, 11.2 million parameters.
Run:     unheard train resnet18_linear_full --data MANIFEST --out runs/resnet18_linear_full
"""

from dataclasses import replace

from unheard.detectors.table import ResNet18
from unheard.recipes import resnet18_mel_full

recipe = replace(
    resnet18_mel_full.recipe,
    name="resnet18_linear_full",
    detector=ResNet18(
        feature="linear", window="hamming", pre_emphasis=0.97, low_hz=0.0, high_hz=8000.0
    ),
)
