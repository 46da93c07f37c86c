"""XLS-R 300M with AASIST, everything tuned, under RawBoost: the field's baseline.

Values of the public recipe of SSL + AASIST (logical access): its encoder, crop, class weights,
optimiser, batch, epochs and RawBoost 5. Differences: crops start anywhere, not at the first sample;
dev clips are not augmented; the step is chosen by EER on dev; a clip is scored over all of it.

Expects: not run by this project: it needs the published weights and a GPU. The recipe's authors
         report EER 0.82 % on ASVspoof 2021 LA and 2.85 % on 2021 DF.
Cost:    181,200 steps of 14 clips, 315.9 million trained parameters: days on one GPU.
Run:     unheard train ssl_aasist --data MANIFEST --out runs/ssl_aasist
         on ASVspoof 2019 LA imported with `unheard corpus import asvspoof2019_la`
"""

from unheard.audio.augment import Augment, Step
from unheard.data.batches import Shuffled
from unheard.detectors.table import SslAasist
from unheard.training.objectives import WeightedCrossEntropy
from unheard.training.recipe import Adam, Budget, Constant, Recipe

recipe = Recipe(
    name="ssl_aasist",
    detector=SslAasist(),
    objective=WeightedCrossEntropy(bonafide_weight=0.9, spoof_weight=0.1),
    sampler=Shuffled(batch_clips=14),
    augment=Augment((Step("rawboost", 1.0, {"algorithm": 5}),)),
    optimiser=Adam(weight_decay=1e-4, decoupled=False, clip_norm=0.0),
    schedule=Constant(rate=1e-6),
    budget=Budget(n_steps=181_200, eval_every=1_812, log_every=50, precision="bfloat16"),
    window_s=4.0375,
    hop_s=4.0375,
    seed=1234,
)
