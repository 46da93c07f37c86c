"""ResNet18 on a log-mel spectrogram at its usual width: an expert of the attention-gated mixture.

Of the paper (2509.17585) the kind of network and of spectrogram are known. Its settings are not:
those of mel_lcnn stand in, so that one transform serves all experts, and so does its training.

Expects: not run by this project: it needs the pooled corpora.
Cost:    60,000 steps of 64 clips, 11.2 million parameters.
Run:     unheard train resnet18_mel_full --data MANIFEST --out runs/resnet18_mel_full
"""

from dataclasses import replace

from unheard.detectors.table import ResNet18
from unheard.recipes import mel_lcnn

recipe = replace(
    mel_lcnn.recipe,
    name="resnet18_mel_full",
    detector=ResNet18(feature="mel", window="hamming", pre_emphasis=0.97),
)
