"""ResNet18 on a linear-frequency log spectrogram, half as wide: for attention_mixture_small.

Expects: EER 23.9 % on eval_in, 39.6 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    5 minutes on one core.
Run:     unheard train resnet18_linear_small --data MANIFEST --out runs/resnet18_linear_small
"""

from dataclasses import replace

from unheard.detectors.table import ResNet18
from unheard.recipes import mel_lcnn_small

recipe = replace(
    mel_lcnn_small.recipe,
    name="resnet18_linear_small",
    detector=ResNet18(
        feature="linear",
        window="hamming",
        pre_emphasis=0.97,
        low_hz=0.0,
        high_hz=8000.0,
        width=32,
    ),
)
