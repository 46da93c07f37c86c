"""Three small spectral detectors under an attention gate: attention_mixture for the open corpus.

The experts, mel_lcnn_small, resnet18_mel_small and resnet18_linear_small, are trained first, unless
their bundles lie beside this run; then the gate, on experts that stay as they are.

Expects: EER 23.8 % on eval_in, 41.0 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    3 minutes on one core; 13 more if the experts have to be trained.
Run:     unheard train attention_mixture_small --data MANIFEST --out runs/attention_mixture_small
         experts too: --set detector.frozen=false --set schedule.rate=1e-4
"""

from dataclasses import replace

from unheard.detectors.table import AttentionGate, Mixture
from unheard.recipes import mel_lcnn_small, resnet18_linear_small, resnet18_mel_small
from unheard.training.objectives import WeightedCrossEntropy
from unheard.training.recipe import Budget

EXPERTS = (mel_lcnn_small.recipe, resnet18_mel_small.recipe, resnet18_linear_small.recipe)

recipe = replace(
    mel_lcnn_small.recipe,
    name="attention_mixture_small",
    detector=Mixture(experts=tuple(one.detector for one in EXPERTS), gate=AttentionGate()),
    objective=WeightedCrossEntropy(),
    budget=Budget(n_steps=120, eval_every=40, log_every=10, dev_clips=160),
    init_from=tuple((f"detectors.{place}", one) for place, one in enumerate(EXPERTS)),
)
