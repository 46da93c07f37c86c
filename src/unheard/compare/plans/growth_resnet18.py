"""Dropin and plasticity for ResNet18, and what a gain must be told from.

As it is (the baseline), grown from the start, random new units beside an old part that stays;
dropin and plasticity, which are our reading of the paper (2603.24343).

Run: unheard compare growth_resnet18 --data MANIFEST --out runs
"""

from unheard.compare.plan import Comparison, Entry

STILL = ("method.init=kaiming", "method.train=new")

plan = Comparison(
    name="growth_resnet18",
    entries=(
        Entry("resnet18_small", "resnet18_small"),
        Entry("resnet18_grown", "resnet18_grown"),
        Entry("dropin_resnet18", "dropin_resnet18"),
        Entry("dropin_resnet18_new", "dropin_resnet18", STILL),
        Entry("plasticity_resnet18", "plasticity_resnet18"),
    ),
    baseline="resnet18_small",
)
