"""The detector inside the package: ResNet18 on log-mel, trained on every free family.

It hears the families that the default protocol holds out too, so its results on eval_out are about
unknown speakers and voices, not about unknown families; for those see recipe resnet18_mel.

Expects: EER 27.1 % on eval_in, 37.1 % on eval_out (families that it has heard, by other voices);
         one seed, 2026-11-22.
Cost:    15 minutes on one busy core.
Run:     unheard train shipped --data MANIFEST --out runs/shipped
         on a manifest with the parts train_extra and dev_extra: sizes medium and full
"""

from dataclasses import replace

from unheard.recipe import Budget
from unheard.recipes import resnet18_mel

recipe = replace(
    resnet18_mel.recipe,
    name="shipped",
    train_parts=("train", "train_extra"),
    dev_parts=("dev", "dev_extra"),
    budget=Budget(n_steps=700, eval_every=100, dev_clips=400),
)
