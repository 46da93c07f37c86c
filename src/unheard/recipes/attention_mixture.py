"""Paper 3: a light CNN and two ResNet18 under a gate that lets them attend to each other.

Of "Attention-based mixture of experts" (2509.17585) the three experts and the kind of gate are
known; see docs/mixture.md for what is not. The experts are trained first, unless their bundles lie
beside this run; then the gate, on experts that stay as they are, with plain cross-entropy and the
training of the predecessor's gates. Corpora are balanced as for the experts; the paper's domain
partition is not published.

Expects: not run by this project: it needs the pooled corpora. The paper reports the first place in
         all three tasks of the SAFE challenge; no error rate of it could be checked.
Cost:    20,000 steps of 64 clips, forward passes of three experts; before them the experts' own.
Run:     unheard train attention_mixture --data MANIFEST --out runs/attention_mixture
         experts too: --set detector.frozen=false
"""

from dataclasses import replace

from unheard.detectors.table import AttentionGate, Mixture
from unheard.recipes import mel_lcnn, resnet18_linear_full, resnet18_mel_full
from unheard.training.objectives import WeightedCrossEntropy

EXPERTS = (mel_lcnn.recipe, resnet18_mel_full.recipe, resnet18_linear_full.recipe)

recipe = replace(
    mel_lcnn.recipe,
    name="attention_mixture",
    detector=Mixture(experts=tuple(one.detector for one in EXPERTS), gate=AttentionGate()),
    objective=WeightedCrossEntropy(),
    budget=replace(mel_lcnn.recipe.budget, n_steps=20_000),
    init_from=tuple((f"detectors.{place}", one) for place, one in enumerate(EXPERTS)),
)
