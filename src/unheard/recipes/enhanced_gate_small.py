"""The mixture's second predecessor, small: the gate is a network over embeddings and their product.

Experts and training are those of attention_mixture_small, so what differs is the gate.

Expects: EER 24.1 % on eval_in, 40.4 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    as attention_mixture_small.
Run:     unheard train enhanced_gate_small --data MANIFEST --out runs/enhanced_gate_small
"""

from dataclasses import replace

from unheard.detectors.table import EnhancedGate, Mixture
from unheard.recipes import attention_mixture_small

recipe = replace(
    attention_mixture_small.recipe,
    name="enhanced_gate_small",
    detector=Mixture(
        experts=tuple(one.detector for one in attention_mixture_small.EXPERTS), gate=EnhancedGate()
    ),
)
