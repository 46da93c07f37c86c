"""What the detector inside the package is made of: two unlike parts, fused.

    unheard encoder whisper-base
    unheard corpus build demos --every --at-most 100
    unheard train shipped_tuned --data ~/.cache/unheard/demos --out runs/shipped_tuned
    unheard train shipped_probe --data ~/.cache/unheard/demos --out runs/shipped_probe
    unheard fuse runs/shipped_tuned runs/shipped_probe --name shipped --out runs/shipped
    unheard export runs/shipped --to onnx --int8 --data ~/.cache/unheard/demos --out shipped

Chosen on dev, whose laboratories training lacks; docs/log.md has what was tried.
"""

from dataclasses import replace

from unheard.audio.augment import Augment, Step
from unheard.data.batches import Balanced
from unheard.detectors.layers.encoder import WHISPER_BASE
from unheard.detectors.table import LinearStates, SslPooled
from unheard.recipes.baselines import linear_states
from unheard.training.recipe import Adam, Budget, Cosine, Recipe

__all__ = ["MILD", "shipped_probe", "shipped_tuned"]

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

shipped_tuned = Recipe(
    name="shipped_tuned",
    detector=SslPooled(
        encoder=replace(WHISPER_BASE, n_layers=4), reading="weighted", spectral=True
    ),
    sampler=Balanced(
        batch_clips=16, by="notes.page|family/attack", bonafide_by="notes.page|corpus"
    ),
    augment=MILD,
    optimiser=Adam(weight_decay=1e-2, pretrained_scale=0.1, encoder_waits=0.05),
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

Every page, and on it every system, has an equal share of the batches.
"""

shipped_probe = replace(
    linear_states,
    name="shipped_probe",
    detector=LinearStates(layers=(0, 1, 2, 3, 4), spectral=True),
    augment=MILD,
    budget=Budget(n_steps=1567, eval_every=1567, log_every=37, precision="bfloat16"),
)
"""Logistic regression on frozen states of the same four layers and statistics of the spectrum."""
