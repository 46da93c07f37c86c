"""Mixture of LoRA experts on XLS-R 300M with AASIST, trained by MLDG: papers 1 and 2 together.

The detector of moe_lora, trained as mldg_lora; no paper tried the two together.

Expects: not run by this project: it needs the published weights and a GPU. Nothing is published.
Cost:    as moe_lora: each clip is passed once, and what is trained is held twice.
Run:     unheard train mldg_moe_lora --data MANIFEST --out runs/mldg_moe_lora
"""

from dataclasses import replace

from unheard.recipes import mldg_lora, moe_lora

recipe = replace(mldg_lora.recipe, name="mldg_moe_lora", detector=moe_lora.recipe.detector)
