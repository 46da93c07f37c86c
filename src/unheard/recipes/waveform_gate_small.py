"""The mixture's first predecessor, small: the gate is one linear layer over the raw window.

Experts and training are those of attention_mixture_small, so what differs is the gate.

Expects: EER 23.9 % on eval_in, 39.5 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    as attention_mixture_small.
Run:     unheard train waveform_gate_small --data MANIFEST --out runs/waveform_gate_small
"""

from dataclasses import replace

from unheard.detectors.table import Mixture, WaveformGate
from unheard.recipes import attention_mixture_small

recipe = replace(
    attention_mixture_small.recipe,
    name="waveform_gate_small",
    detector=Mixture(
        experts=tuple(one.detector for one in attention_mixture_small.EXPERTS), gate=WaveformGate()
    ),
)
