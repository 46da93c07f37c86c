"""Paper 5: frozen XLS-R 300M, an adaptive sum of its layers, AASIST, trained on twins with RACL.

Of "Diffusion reconstruction towards generalizable audio deepfake detection" (2604.26465) are known:
encoder, sum, back-end and losses with their weights; Adam, rate, its halving and weight decay; 100
epochs, averaging over five of them, crops, seed; rooms, and noise at 0 to 15 dB. Not known: how
many clips a batch has and of which kind (128 is what the code has that it seems to stand on; of
every kind as many as the data have), kernel and activation of the sum, form and margin of the
contrasts, how often a clip is augmented (here half of the time).

Differences: the best epoch is the one with the lowest EER on dev, not the lowest loss; for MUSAN's
noise, music and speech stands noise drawn at random; crops start anywhere. An epoch is 397 steps of
128 clips: the 25,380 clips of ASVspoof 2019 LA's train part, each with one twin. Make the twins
first: docs/racl.md.

Expects: not run by this project: it needs the published weights, a diffusion codec and a GPU. The
         paper reports a mean EER of 8.25 % over five corpora, against 15.79 % without twins, sum
         and losses.
Cost:    39,700 steps of 128 clips through 300 million frozen parameters; 446,733 are trained.
Run:     unheard train racl --data MANIFEST --out runs/racl
"""

from unheard.audio.augment import Augment, Step
from unheard.data.samplers import WithTwins
from unheard.detectors.table import SslAasist
from unheard.training.objectives import Racl
from unheard.training.recipe import Adam, Budget, HalveEvery, Recipe

EPOCH = 397

recipe = Recipe(
    name="racl",
    detector=SslAasist(frozen=True, reading="adaptive"),
    objective=Racl(),
    sampler=WithTwins(batch_clips=128, bonafide_clips=6, by="attack"),
    augment=Augment(
        (Step("shoebox", 0.5), Step("noise", 0.5, {"low_db": 0.0, "high_db": 15.0})),
    ),
    optimiser=Adam(weight_decay=5e-4, decoupled=False, clip_norm=0.0),
    schedule=HalveEvery(rate=5e-4, steps=10 * EPOCH),
    budget=Budget(
        n_steps=100 * EPOCH, eval_every=EPOCH, log_every=50, average=5, precision="bfloat16"
    ),
    window_s=4.0375,
    hop_s=4.0375,
    seed=688,
)
