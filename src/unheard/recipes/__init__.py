"""Recipes: nine files, one a paper or a purpose, and one table of all.

A recipe is a value in one of the files, with a docstring after it that says what to expect, what
it costs and how to run it. One of your own is a Python file anywhere, with a value `recipe`, named
by its path.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from unheard.errors import RecipeError, suggestion

if TYPE_CHECKING:
    from unheard.training.recipe import Recipe

__all__ = ["GROUPS", "RECIPES", "Row", "load", "names"]


@dataclass(frozen=True)
class Row:
    """A recipe as `unheard recipes` lists it.

    Attributes:
        file: File of this package that holds it.
        needs: Machine and data.
        takes: About how long.
        choose: When to choose it.
        control: Whether it is there for others to be compared with.
    """

    file: str
    needs: str
    takes: str
    choose: str
    control: bool = False

    @property
    def group(self) -> str:
        """Key of GROUPS."""
        return "controls" if self.control else self.file


GROUPS = {
    "shipped": "The detector inside the package",
    "baselines": "Baselines",
    "moe_lora": "Paper 1: mixture of LoRA experts",
    "mldg_lora": "Paper 2: meta-learned LoRA",
    "attention_mixture": "Paper 3: whole detectors under a gate",
    "plasticity": "Paper 4: dropin and plasticity",
    "racl": "Paper 5: twins and RACL",
    "compositions": "Compositions of several papers",
    "controls": "Controls: what a gain must be distinguished from",
    "toys": "Toys",
}
"""Headings of `unheard recipes`, in its order; files, and the controls out of all of them."""

_OPEN = "CPU, open corpus"
_PROBED = "CPU, any corpus, Whisper-base"
_PAGES = "CPU, all demonstration pages, Whisper-base"
_CAPPED = "CPU, demonstration pages, Whisper-tiny"
_NOTHING = "CPU, demonstration pages"
_TWINS = "CPU, open corpus with twins"
_XLSR = "GPU, XLS-R 300M, ASVspoof 2019 LA"
_POOLED = "GPU, pooled corpora"

RECIPES = {
    "shipped": Row("shipped", f"{_PAGES}, CAM++", "20 min", "to make the packaged detector again"),
    "linear_states": Row("baselines", _PROBED, "10 min", "first of all: what any method must beat"),
    "linear_states_spectral": Row(
        "baselines", _PROBED, "10 min", "the same, with statistics of the spectrum"
    ),
    "ssl_pooled_base": Row(
        "baselines", _PAGES, "60 min", "Whisper-base tuned whole: what a tuned method must beat"
    ),
    "linear_states_tiny": Row("baselines", _CAPPED, "2 min", "the probe that lora_pages must beat"),
    "lora_pages": Row(
        "baselines", _CAPPED, "10 min", "what the papers must beat on real generators"
    ),
    "resnet18_pages": Row("baselines", _NOTHING, "6 min", "a spectral network on real generators"),
    "lcnn_pages": Row("baselines", _NOTHING, "12 min", "the classic LFCC-LCNN on real generators"),
    "lora_small": Row("baselines", _OPEN, "6 min", "the strongest plain network on a CPU"),
    "ssl_aasist_small": Row("baselines", _OPEN, "8 min", "to tune a whole encoder, or none of it"),
    "lcnn": Row("baselines", _OPEN, "28 min", "the classic LFCC-LCNN, no encoder"),
    "resnet18_mel_w32": Row("baselines", _OPEN, "22 min", "a spectral network, no encoder"),
    "resnet18_linear_w16": Row("baselines", _OPEN, "13 min", "the same, linear frequencies"),
    "ssl_aasist": Row("baselines", _XLSR, "days", "the field's baseline, everything tuned"),
    "lora": Row("baselines", _XLSR, "days", "the same by adapters, a quarter of the memory"),
    "moe_lora_small": Row("moe_lora", _OPEN, "6 min", "paper 1 on a CPU"),
    "moe_lora": Row("moe_lora", _XLSR, "days", "paper 1 as published"),
    "mldg_lora_small": Row("mldg_lora", _OPEN, "6 min", "paper 2 on a CPU"),
    "mldg_lora_pages": Row("mldg_lora", _CAPPED, "11 min", "paper 2 over laboratories"),
    "mldg_lora": Row("mldg_lora", _XLSR, "days", "paper 2 as published"),
    "attention_mixture_small": Row("attention_mixture", _OPEN, "16 min", "paper 3 on a CPU"),
    "attention_mixture_pages": Row(
        "attention_mixture", _CAPPED, "20 min", "paper 3 over experts that differ"
    ),
    "enhanced_gate_small": Row("attention_mixture", _OPEN, "16 min", "its second predecessor"),
    "waveform_gate_small": Row("attention_mixture", _OPEN, "16 min", "its first predecessor"),
    "mel_lcnn_expert_small": Row("attention_mixture", _OPEN, "6 min", "an expert of the above"),
    "resnet18_mel_w32_expert": Row("attention_mixture", _OPEN, "2 min", "an expert of the above"),
    "resnet18_linear_w32_expert": Row("attention_mixture", _OPEN, "5 min", "an expert of them"),
    "attention_mixture": Row("attention_mixture", _POOLED, "days", "paper 3 as far as published"),
    "mel_lcnn_expert": Row("attention_mixture", _POOLED, "a day", "an expert of it"),
    "resnet18_mel_w64_expert": Row("attention_mixture", _POOLED, "a day", "an expert of it"),
    "resnet18_linear_w64_expert": Row("attention_mixture", _POOLED, "a day", "an expert of it"),
    "ssl_aasist_small_dropin": Row("plasticity", _OPEN, "6 min", "paper 4: an encoder grows"),
    "ssl_aasist_small_plasticity": Row("plasticity", _OPEN, "6 min", "it grows and shrinks"),
    "resnet18_mel_w16_dropin": Row("plasticity", _OPEN, "4 min", "paper 4: a ResNet grows"),
    "resnet18_mel_w16_plasticity": Row("plasticity", _OPEN, "4 min", "it grows and shrinks"),
    "resnet18_pages_dropin": Row("plasticity", _NOTHING, "7 min", "paper 4 on real generators"),
    "grnn_w128_dropin": Row("plasticity", _OPEN, "4 min", "paper 4: a recurrent network grows"),
    "grnn_w128_plasticity": Row("plasticity", _OPEN, "4 min", "it grows and shrinks"),
    "racl_small": Row("racl", _TWINS, "4 min", "paper 5 on a CPU"),
    "racl_pages": Row("racl", f"{_CAPPED}, twins", "11 min", "paper 5 on real generators"),
    "racl": Row("racl", "GPU, XLS-R 300M, a diffusion codec", "days", "paper 5 as published"),
    "aggregated_lora_small": Row("compositions", _TWINS, "5 min", "LoRA, twins, sum of layers"),
    "spectral_and_adapted_small": Row(
        "compositions", _OPEN, "14 min", "papers 1 and 3, unlike experts"
    ),
    "mldg_moe_lora_small": Row("compositions", _OPEN, "5 min", "papers 1 and 2"),
    "racl_moe_lora_small": Row("compositions", _TWINS, "5 min", "papers 1 and 5"),
    "racl_mldg_moe_lora_small": Row("compositions", _TWINS, "6 min", "papers 1, 2 and 5"),
    "mldg_moe_lora": Row("compositions", _XLSR, "days", "papers 1 and 2 at full scale"),
    "racl_moe_lora": Row("compositions", _XLSR, "days", "papers 1 and 5 at full scale"),
    "racl_small_control": Row(
        "racl", _OPEN, "4 min", "racl_small without what is new in it", control=True
    ),
    "resnet18_mel_w16": Row(
        "plasticity", _OPEN, "3 min", "the ResNet that never grows", control=True
    ),
    "resnet18_mel_w24_control": Row(
        "plasticity", _OPEN, "4 min", "large from the first step", control=True
    ),
    "grnn_w128": Row(
        "plasticity", _OPEN, "3 min", "the recurrent network that never grows", control=True
    ),
    "grnn_w192_control": Row(
        "plasticity", _OPEN, "4 min", "large from the first step", control=True
    ),
    "ssl_aasist_small_grown_control": Row(
        "plasticity", _OPEN, "6 min", "large from the first step", control=True
    ),
    "toy": Row("toys", "CPU, any corpus", "seconds", "to try the commands out"),
    "toy_further": Row("toys", "CPU, any corpus", "seconds", "to try training in stages out"),
}
"""Every recipe, by the name that `unheard train` takes."""


def names() -> list[str]:
    """Return the names of all recipes, sorted, without loading them."""
    return sorted(RECIPES)


def load(name: str) -> Recipe:
    """Return a recipe by its name, or by the path of a Python file with a value `recipe`.

    Raises:
        RecipeError: If there is none.
    """
    from unheard.training.recipe import Recipe, value_of

    if name.endswith(".py"):
        return value_of(name, "recipe", Recipe)
    if name not in RECIPES:
        raise RecipeError(f"no recipe is called {name!r}{suggestion(name, RECIPES)}")
    recipe: Recipe = getattr(import_module(f"unheard.recipes.{RECIPES[name].file}"), name)
    return recipe
