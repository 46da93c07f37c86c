"""dropin on a gated recurrent network: both layers grow by half after a quarter of the run.

Our reading of the paper (2603.24343), which is known to add neurons to chosen layers of a gated
recurrent network, and to claim up to 39 % less EER; how many, when and how they start is ours.

It is compared with
(a) the same network trained as long without growth: recipe grnn, or --set method.n_growths=0 here;
(b) the final size from the first step on: recipe grnn_grown;
(d) new units drawn at random, and nothing else trained after the growth:
    --set method.init=kaiming --set method.train=new.
(c), LoRA, does not apply: the network has no attention.

Expects: EER 35.4 % on eval_in, 43.2 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 1.2 times the training steps of grnn.
Run:     unheard train dropin_grnn --data MANIFEST --out runs/dropin_grnn
         how it went: unheard curves runs/grnn runs/dropin_grnn --out growth.png
"""

from dataclasses import replace

from unheard.recipes import grnn
from unheard.training.methods import Plasticity

recipe = replace(
    grnn.recipe,
    name="dropin_grnn",
    method=Plasticity(n_growths=1, first=0.25, grow=0.5, remove=0.0),
)
