"""Mixture of LoRA experts on XLS-R 300M, trained on twins with RACL: papers 1 and 5 together.

The detector of moe_lora, which reads an adaptive sum of layers, trained as racl, with a balance of
the experts; no paper tried the two together. The rate is that of moe_lora, halved as in racl.

Expects: not run by this project: it needs the published weights, a diffusion codec and a GPU.
         Nothing is published.
Cost:    39,700 steps of 128 clips forth and back through 300 million parameters.
Run:     unheard train racl_moe_lora --data MANIFEST --out runs/racl_moe_lora
"""

from dataclasses import replace

from unheard.detectors.table import LoraExperts, SslAasist
from unheard.recipes import racl
from unheard.training.objectives import WithTerms
from unheard.training.recipe import HalveEvery

recipe = replace(
    racl.recipe,
    name="racl_moe_lora",
    detector=SslAasist(
        adapters=LoraExperts(rank=8, alpha=8.0, n_experts=8, n_active=2),
        reading="adaptive",
        checkpointing=True,
    ),
    objective=WithTerms(racl.recipe.objective, weights=(("expert_balance", 0.01),)),
    schedule=HalveEvery(rate=1e-4, steps=10 * racl.EPOCH),
)
