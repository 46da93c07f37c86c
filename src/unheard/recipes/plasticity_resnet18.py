"""plasticity on ResNet18: twice the inside of every block grows by half, then shrinks back.

Our reading of the paper (2603.24343), as plasticity_grnn; it claims up to 66 % less EER. In the end
the network is as large as before.

It is compared with
(a) the same network trained as long without growth: recipe resnet18_small, or
    --set method.n_growths=0 here;
(b) the final size from the first step on: the same recipe, since nothing is gained in the end; what
    it grows to in between is resnet18_grown;
(d) new channels drawn at random, and nothing else trained after the first growth:
    --set method.init=kaiming --set method.train=new.
Which channels go is told apart from when by --set method.score=random.

Expects: EER 25.6 % on eval_in, 42.9 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 1.1 times the training steps of resnet18_small.
Run:     unheard train plasticity_resnet18 --data MANIFEST --out runs/plasticity_resnet18
         how it went: unheard curves runs/resnet18_small runs/plasticity_resnet18 --out growth.png
"""

from dataclasses import replace

from unheard.recipes import plasticity_grnn, resnet18_small

recipe = replace(
    resnet18_small.recipe, name="plasticity_resnet18", method=plasticity_grnn.recipe.method
)
