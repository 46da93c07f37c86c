"""ResNet18 on a log-mel spectrogram, half as wide: an expert of attention_mixture_small.

Window, framing and training are those of mel_lcnn_small; recipe resnet18_mel, of the same width, is
trained on more and longer windows.

Expects: EER 24.6 % on eval_in, 44.7 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    2 minutes on one core.
Run:     unheard train resnet18_mel_small --data MANIFEST --out runs/resnet18_mel_small
"""

from dataclasses import replace

from unheard.detectors.table import ResNet18
from unheard.recipes import mel_lcnn_small

recipe = replace(
    mel_lcnn_small.recipe,
    name="resnet18_mel_small",
    detector=ResNet18(feature="mel", window="hamming", pre_emphasis=0.97, width=32),
)
