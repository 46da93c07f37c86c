"""Dropin and plasticity for a gated recurrent network, and what a gain must be told from.

As it is (the baseline), grown from the start, random new units beside an old part that stays;
dropin and plasticity, which are our reading of the paper (2603.24343).

Run: unheard compare growth_grnn --data MANIFEST --out runs
"""

from unheard.compare.plan import Comparison, Entry

STILL = ("method.init=kaiming", "method.train=new")

plan = Comparison(
    name="growth_grnn",
    entries=(
        Entry("grnn", "grnn"),
        Entry("grnn_grown", "grnn_grown"),
        Entry("dropin_grnn", "dropin_grnn"),
        Entry("dropin_grnn_new", "dropin_grnn", STILL),
        Entry("plasticity_grnn", "plasticity_grnn"),
    ),
    baseline="grnn",
)
