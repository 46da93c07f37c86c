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

from dataclasses import replace

from unheard.detectors.table import LoraExperts, SslAasist
from unheard.recipes import lora

recipe = replace(
    lora.recipe,
    name="moe_lora",
    detector=SslAasist(adapters=LoraExperts(rank=8, alpha=8.0, n_experts=8, n_active=2)),
)
