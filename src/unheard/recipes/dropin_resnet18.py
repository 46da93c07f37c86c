"""dropin on ResNet18: the inside of every block grows by half after a quarter of the run.

Our reading of the paper (2603.24343), which is known to add neurons to chosen layers of a ResNet,
and to claim up to 39 % less EER; how many, where, when and how they start is ours.

It is compared with
(a) the same network trained as long without growth: recipe resnet18_small, or
    --set method.n_growths=0 here;
(b) the final size from the first step on: recipe resnet18_grown;
(d) new channels drawn at random, and nothing else trained after the growth:
    --set method.init=kaiming --set method.train=new.
(c), LoRA, does not apply: the network has no attention.

Expects: EER 25.5 % on eval_in, 45.0 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 1.2 times the training steps of resnet18_small.
Run:     unheard train dropin_resnet18 --data MANIFEST --out runs/dropin_resnet18
         how it went: unheard curves runs/resnet18_small runs/dropin_resnet18 --out growth.png
"""

from dataclasses import replace

from unheard.recipes import dropin_grnn, resnet18_small

recipe = replace(resnet18_small.recipe, name="dropin_resnet18", method=dropin_grnn.recipe.method)
