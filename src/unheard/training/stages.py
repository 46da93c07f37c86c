"""Training in stages: what a recipe starts from is trained first, unless its bundle is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from unheard.data.clip import Manifest
from unheard.training import distributed, run_page
from unheard.training.initial_weights import BUNDLE
from unheard.training.loop import train
from unheard.training.recipe import Recipe
from unheard.types import Say

__all__ = ["train_stages"]


def train_stages(
    recipe: Recipe,
    manifest: Manifest,
    out: Path,
    *,
    workers: int = 0,
    resume: bool = True,
    sharded: bool = False,
    say: Say = lambda _: None,
) -> Path:
    """Train the recipes that a recipe starts from, then the recipe itself.

    They lie next to its run: runs/attention_mixture stands on runs/mel_lcnn. A bundle that is there
    is taken as it is, whichever run made it; one that is not is trained with the seed and on the
    parts of the recipe that asks for it. Each run that ends writes its page and its curves.
    Arguments and errors are those of `loop.train`.

    Returns:
        The folder of the bundle.
    """
    for _, needed in recipe.init_from:
        folder = out.parent / needed.name
        if (folder / BUNDLE).is_dir():
            say(f"{folder}: taken as it is")
            continue
        say(f"{folder}: to be trained first")
        first = replace(
            needed,
            seed=recipe.seed,
            train_parts=recipe.train_parts,
            dev_parts=recipe.dev_parts,
            may_share=recipe.may_share,
        )
        train_stages(first, manifest, folder, workers=workers, say=say)
    bundle = train(recipe, manifest, out, workers=workers, resume=resume, sharded=sharded, say=say)
    if distributed.is_first() and not (out / run_page.PAGE).is_file():
        run_page.write(out)
    return bundle
