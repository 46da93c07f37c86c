"""Light CNN on a log-mel spectrogram: an expert of the attention-gated mixture, at full scale.

Detector and training of the mixture's predecessor (2409.16077), whose code is public: windows of
3 s, 64 clips, AdamW, cosine to a tenth of the rate, label smoothing 0.2, no augmentation. Of its
successor (2509.17585) only the kind of detector is known, and that all experts see the same pooled
corpora. Pooling, steps and hop are ours: corpora take turns among bona fide clips, and corpora and
within each its attacks among spoofed ones; the paper's domain partition is not published.

Expects: not run by this project: it needs the pooled corpora.
Cost:    60,000 steps of 64 clips, 0.68 million parameters.
Run:     unheard train mel_lcnn --data MANIFEST --out runs/mel_lcnn
"""

from unheard.data.batches import Balanced
from unheard.detectors.table import MelLcnn
from unheard.training.objectives import WeightedCrossEntropy
from unheard.training.recipe import Adam, Budget, Cosine, Recipe

recipe = Recipe(
    name="mel_lcnn",
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
