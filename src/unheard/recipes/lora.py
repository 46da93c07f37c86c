"""XLS-R 300M with AASIST, the encoder frozen but for one LoRA adapter per projection.

Rank 16 on query, key, value and output of all 24 layers: with the back-end 3,592,970 parameters,
what the meta-learned LoRA paper (2502.10838) counts. Alpha, dropout and learning rate are not
published: 16 and 0 are ours, the rate is one that suits adapters.

Expects: not run by this project: it needs the published weights and a GPU.
Cost:    as ssl_aasist, with about two thirds of its time per step and a quarter of its memory.
Run:     unheard train lora --data MANIFEST --out runs/lora
"""

from dataclasses import replace

from unheard.detectors.table import LoraExperts, SslAasist
from unheard.recipes import ssl_aasist
from unheard.training.recipe import Adam, Constant

recipe = replace(
    ssl_aasist.recipe,
    name="lora",
    detector=SslAasist(adapters=LoraExperts(rank=16, alpha=16.0)),
    optimiser=Adam(weight_decay=1e-4, decoupled=False),
    schedule=Constant(rate=1e-4),
)
