"""Light CNN on a log-mel spectrogram: the small variant of mel_lcnn, for the open corpus.

Expects: EER 25.4 % on eval_in, 40.6 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    6 minutes on one core.
Run:     unheard train mel_lcnn_small --data MANIFEST --out runs/mel_lcnn_small
"""

from dataclasses import replace

from unheard.data.batches import Balanced
from unheard.recipes import lcnn, mel_lcnn
from unheard.training.recipe import Adam, Budget, Cosine

recipe = replace(
    mel_lcnn.recipe,
    name="mel_lcnn_small",
    sampler=Balanced(batch_clips=16, by="family"),
    augment=lcnn.recipe.augment,
    optimiser=Adam(weight_decay=1e-4),
    schedule=Cosine(rate=1e-3),
    budget=Budget(n_steps=300, eval_every=75, dev_clips=160),
    hop_s=1.5,
    seed=1,
)
