"""The gated recurrent network that dropin_grnn ends with, at that size from the first step on.

Expects: EER 36.7 % on eval_in, 42.5 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 1.3 times the training steps of grnn.
Run:     unheard train grnn_grown --data MANIFEST --out runs/grnn_grown
"""

from dataclasses import replace

from unheard.detectors.table import Grnn
from unheard.recipes import grnn

recipe = replace(grnn.recipe, name="grnn_grown", detector=Grnn(hidden=(192, 192)))
