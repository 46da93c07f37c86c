"""plasticity on a gated recurrent network: twice its layers grow by half, then shrink back.

Our reading of the paper (2603.24343): units are added, trained for a fifth of the run, and as many
of the least important (weights times gradients), old or new, are removed. The paper claims up to
66 % less EER; numbers, times and the score are ours. In the end the network is as large as before.

It is compared with
(a) the same network trained as long without growth: recipe grnn, or --set method.n_growths=0 here;
(b) the final size from the first step on: the same recipe, since nothing is gained in the end; what
    it grows to in between is grnn_grown;
(d) new units drawn at random, and nothing else trained after the first growth:
    --set method.init=kaiming --set method.train=new.
Which units go is told apart from when by --set method.score=random.

Expects: EER 37.6 % on eval_in, 43.5 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 1.1 times the training steps of grnn.
Run:     unheard train plasticity_grnn --data MANIFEST --out runs/plasticity_grnn
         how it went: unheard curves runs/grnn runs/plasticity_grnn --out growth.png
"""

from dataclasses import replace

from unheard.recipes import grnn
from unheard.training.methods import Plasticity

recipe = replace(
    grnn.recipe,
    name="plasticity_grnn",
    method=Plasticity(n_growths=2, first=0.2, every=0.3, grow=0.5, remove=1.0, remove_after=0.2),
)
