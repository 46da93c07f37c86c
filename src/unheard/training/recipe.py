"""Recipe: everything that decides the outcome of a training run, as one frozen value."""

from __future__ import annotations

import math
import runpy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

import torch
from torch import nn

from unheard.audio.augment import Augment
from unheard.data.batches import Balanced, Sampler
from unheard.detectors.detector import Detector, Spec
from unheard.detectors.layers.encoder import Encoder
from unheard.errors import RecipeError, suggestion
from unheard.scoring.windowed import POOLING
from unheard.training.method import Method, Objective
from unheard.training.objectives import WeightedCrossEntropy
from unheard.training.supervised import Supervised

__all__ = [
    "Adam",
    "Budget",
    "Constant",
    "Cosine",
    "HalveEvery",
    "Optimiser",
    "Recipe",
    "Schedule",
    "recipe_to_json",
    "value_of",
    "with_settings",
]

T = TypeVar("T")


class Schedule(Protocol):
    """A frozen dataclass that gives the learning rate of each step."""

    def at(self, step: int, n_steps: int) -> float:
        """Return the learning rate of a step, counted from 0, of n_steps."""
        ...


@dataclass(frozen=True)
class Constant:
    """One learning rate throughout."""

    rate: float = 1e-3

    def at(self, step: int, n_steps: int) -> float:
        """Return the rate."""
        return self.rate


@dataclass(frozen=True)
class Cosine:
    """Rise in a straight line, then fall as half a cosine.

    Attributes:
        rate: Highest learning rate.
        warm_up: Share of the steps that rise, in [0, 1).
        floor: Rate at the end, as a share of the highest.
    """

    rate: float = 1e-3
    warm_up: float = 0.05
    floor: float = 0.01

    def at(self, step: int, n_steps: int) -> float:
        """Return the learning rate of a step, counted from 0, of n_steps."""
        n_rising = int(self.warm_up * n_steps)
        if step < n_rising:
            return self.rate * (step + 1) / n_rising
        done = (step - n_rising) / max(n_steps - n_rising, 1)
        return self.rate * (self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2)


@dataclass(frozen=True)
class HalveEvery:
    """Half the learning rate after every so many steps."""

    rate: float = 1e-3
    steps: int = 1000

    def at(self, step: int, n_steps: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        return self.rate * 0.5 ** (step // self.steps)


class Optimiser(Protocol):
    """A frozen dataclass that says how gradients become updates."""

    @property
    def clip_norm(self) -> float:
        """Largest norm of the gradient over all parameters; 0 for no limit."""
        ...

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return an optimizer over the parameters that want a gradient.

        Each of its groups has a "scale", by which the loop multiplies the schedule's rate, and
        "waits", the share of the steps in which its rate is 0.
        """
        ...


@dataclass(frozen=True)
class Adam:
    """Adam, or AdamW if the weight decay is decoupled.

    Attributes:
        beta_1: Decay of the mean of gradients.
        beta_2: Decay of the mean of squared gradients.
        epsilon: Added to the denominator.
        weight_decay: Strength of the pull to zero.
        decoupled: Apply the decay to the weights (AdamW), not to the gradient.
        clip_norm: Largest norm of the gradient over all parameters; 0 for no limit.
        pretrained_scale: The learning rate of weights that were pretrained, as a share of that of
            new ones.
        encoder_waits: Share of the steps, the first ones, in which the encoder and its adapters
            stay as they are, so that they do not follow a random back-end.
        fused: Go over the weights once instead of several times: on a processor a fifth of a step
            of a tuned encoder. Rounds otherwise, and knows no weights split over processes.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 1e-4
    decoupled: bool = True
    clip_norm: float = 5.0
    pretrained_scale: float = 1.0
    encoder_waits: float = 0.0
    fused: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.encoder_waits < 1:
            raise RecipeError(
                f"optimiser.encoder_waits is {self.encoder_waits:g}; give a share of the steps, "
                "from 0 up to below 1"
            )

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return an optimizer over the parameters that want a gradient.

        Raises:
            RecipeError: If no parameter wants one.
        """
        pretrained_names = model.pretrained_names() if isinstance(model, Detector) else frozenset()
        groups: dict[tuple[float, float], list[nn.Parameter]] = {(1.0, 0.0): []}
        for name, parameter in model.named_parameters():
            scale = self.pretrained_scale if name in pretrained_names else 1.0
            waits = self.encoder_waits if ".encoder." in f".{name}" else 0.0
            if parameter.requires_grad:
                groups.setdefault((scale, waits), []).append(parameter)
        if not any(groups.values()):
            raise RecipeError(
                "nothing in this detector is trained: all of its weights are frozen; train a part "
                "of it, as with --set detector.frozen=false, or, to average trained detectors, "
                "fuse their scores with `unheard scores fuse`"
            )
        kind = torch.optim.AdamW if self.decoupled else torch.optim.Adam
        return kind(
            [
                {"params": parameters, "scale": scale, "waits": waits}
                for (scale, waits), parameters in groups.items()
                if parameters
            ],
            betas=(self.beta_1, self.beta_2),
            eps=self.epsilon,
            weight_decay=self.weight_decay,
            fused=self.fused,
        )


@dataclass(frozen=True)
class Budget:
    """How long to train, and how often to look.

    Attributes:
        n_steps: Steps in all.
        eval_every: Steps between checks on dev; each leaves a checkpoint.
        log_every: Steps between lines of the log.
        dev_clips: At most this many dev clips in a check, spread over both classes; 0 for all.
            Calibration at the end always takes all.
        batches_per_step: Batches whose gradients are averaged into one step, for a batch that does
            not fit into memory at once. Normalisation sees each batch alone.
        precision: "bfloat16" computes forward passes in it on a device that gains from it: an
            accelerator, or a processor on which the first batch is faster (see
            `precision.gains`). A run resumes in what it began in. Scoring is float32 all the same.
        choose_by: EER on dev that the best step has the lowest of: "pooled" over all clips, or the
            mean over "systems", each attack with four clips or more against all bona fide ones.
            Attacks whose system is trained on are left out of the mean where others are there.
        average: Checks whose weights make the detector: the best one and up to average - 1 right
            before it, the mean of their parameters and running statistics; see
            `checkpoint.mean_of`. 1 takes the best one alone.
    """

    n_steps: int = 2000
    eval_every: int = 200
    log_every: int = 20
    dev_clips: int = 0
    batches_per_step: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    choose_by: Literal["pooled", "systems"] = "pooled"
    average: int = 1

    def __post_init__(self) -> None:
        for name in ("n_steps", "eval_every", "log_every", "batches_per_step", "average"):
            if getattr(self, name) < 1:
                raise RecipeError(f"budget.{name} is {getattr(self, name)}; give 1 or more")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run: detector x objective x method x data.

    Attributes:
        name: Name of the recipe, and of the detector it makes.
        detector: What to build.
        objective: What to minimise.
        method: How.
        sampler: How batches are composed.
        augment: What happens to the waveform of a training clip; dev is never touched.
        optimiser: How gradients become updates.
        schedule: The learning rate.
        budget: How long.
        window_s: Seconds that the detector sees at once, in training and in scoring.
        hop_s: Seconds from window to window in scoring.
        pooling: Row of `score.POOLING` that makes one score of a clip's windows.
        seed: Of weights, batches and augmentation.
        train_parts: Parts of the manifest that are trained on.
        dev_parts: Parts that select the best step and fit calibration.
        may_share: Columns of which training and dev clips may share values, for corpora whose own
            split does: "speaker" or "source_clip". Dev then flatters the detector.
        init_from: Submodules of the detector, "" for all of it, and the recipe whose bundle gives
            each its weights, as in (("detectors.0", mel_lcnn.recipe),). Their runs lie next to
            this run's folder, each under its recipe's name.
    """

    name: str
    detector: Spec
    objective: Objective = field(default_factory=WeightedCrossEntropy)
    method: Method = field(default_factory=Supervised)
    sampler: Sampler = field(default_factory=Balanced)
    augment: Augment = field(default_factory=Augment)
    optimiser: Optimiser = field(default_factory=Adam)
    schedule: Schedule = field(default_factory=Cosine)
    budget: Budget = field(default_factory=Budget)
    window_s: float = 4.0
    hop_s: float = 2.0
    pooling: str = "mean"
    seed: int = 0
    train_parts: tuple[str, ...] = ("train",)
    dev_parts: tuple[str, ...] = ("dev",)
    may_share: tuple[str, ...] = ()
    init_from: tuple[tuple[str, Recipe], ...] = ()

    def __post_init__(self) -> None:
        if self.pooling not in POOLING:
            raise RecipeError(f"no pooling {self.pooling!r}{suggestion(self.pooling, POOLING)}")
        for column in self.may_share:
            if column not in ("speaker", "source_clip"):
                raise RecipeError(
                    f"may_share names {column!r}{suggestion(column, ['speaker', 'source_clip'])}"
                )
        if not 0 < self.hop_s <= self.window_s:
            raise RecipeError(
                f"hop_s is {self.hop_s:g} and window_s is {self.window_s:g}; "
                "give a hop above 0 and at most the window, or speech between windows is not scored"
            )
        if self.seed < 0:
            raise RecipeError(f"seed is {self.seed}; give 0 or more")


def with_settings(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """Return a recipe with numbers, words or names changed, or an optional part set to none.

    Args:
        recipe: Where to start.
        settings: Texts such as "schedule.rate=1e-4", applied in order; several names or whole
            numbers, such as those of train_parts, comma-separated.

    Raises:
        RecipeError: If a name does not exist, is not a scalar, or the value does not fit its type.
    """
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise RecipeError(f"{setting!r} sets nothing; write name=value, as in seed=3")
        recipe = _set(recipe, path.strip().split("."), text.strip(), path.strip())
    return recipe


def recipe_to_json(recipe: Recipe) -> dict[str, Any]:
    """Return every number of a recipe as plain JSON values; "kind" names the class of a value."""
    inside = {field.name: _plain(getattr(recipe, field.name)) for field in fields(recipe)}
    return {"kind": type(recipe).__name__} | inside


def _set(value: Any, names: list[str], text: str, path: str) -> Any:
    """Return a dataclass with the scalar at a path of names replaced."""
    known = [field.name for field in fields(value)] if is_dataclass(value) else []
    if names[0] not in known:
        hint = suggestion(names[0], known) if known else "; it is a single value"
        raise RecipeError(f"{path}: {type(value).__name__} has no field {names[0]!r}{hint}")
    if isinstance(value, Encoder) and names == ["source"]:
        return value.at(text)
    field_value = getattr(value, names[0])
    if len(names) > 1:
        return replace(value, **{names[0]: _set(field_value, names[1:], text, path)})
    wanted = get_type_hints(type(value))[names[0]]
    may_lack = NoneType in get_args(wanted) and text.lower() == "none"
    if is_dataclass(field_value) and not may_lack:
        inside = ", ".join(f"{path}.{field.name}" for field in fields(field_value))
        raise RecipeError(
            f"{path} is a {type(field_value).__name__}, not a single value; set {inside}"
        )
    return replace(value, **{names[0]: _scalar(text, wanted, path)})


def _scalar(text: str, wanted: Any, path: str) -> object:
    """Return a text as the type that a field is annotated with."""
    if get_origin(wanted) in (Union, UnionType):
        if NoneType in get_args(wanted) and text.lower() == "none":
            return None
        (wanted,) = [kind for kind in get_args(wanted) if kind is not NoneType]
    if get_origin(wanted) is Literal:
        if text not in get_args(wanted):
            raise RecipeError(f"{path} cannot be {text!r}{suggestion(text, get_args(wanted))}")
        return text
    words = {"true": True, "false": False}
    try:
        if wanted is bool:
            return words[text.lower()]
        if wanted in (int, float):
            number = wanted(text)
            if math.isfinite(number):
                return number
            raise ValueError
    except (ValueError, KeyError):
        kind = {bool: "true or false", int: "a whole number", float: "a finite number"}[wanted]
        raise RecipeError(f"{path}={text}: {path} holds {kind}; give one") from None
    if wanted is str:
        return text
    if wanted == tuple[int, ...] and all(number.isdecimal() for number in text.split(",")):
        return tuple(int(number) for number in text.split(","))
    if wanted == tuple[str, ...] and (names := tuple(filter(None, text.split(",")))):
        return names
    raise RecipeError(f"{path} is not a single value; change it in a recipe file of your own")


def _plain(value: Any) -> object:
    if isinstance(value, Recipe):
        return value.name
    if is_dataclass(value) and not isinstance(value, type):
        inside = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"kind": type(value).__name__} | inside
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    assert value is None or isinstance(value, bool | int | float | str), f"{value!r} in a recipe"
    return value


def value_of(path: str, name: str, kind: type[T]) -> T:
    """Run a Python file of a user's own, and return a value of it.

    Args:
        path: The file.
        name: What the value is called there, such as "recipe".
        kind: Its class.

    Raises:
        RecipeError: If there is no such file, or it holds something else under that name.
    """
    if not Path(path).is_file():
        raise RecipeError(f"{path}: no such file; give a Python file with a value `{name}`")
    values = runpy.run_path(path)
    value = values.get(name)
    if not isinstance(value, kind):
        what = f"its `{name}` is {value!r}" if name in values else f"has no value `{name}`"
        raise RecipeError(f"{path}: {what}; wanted a value `{name} = {kind.__name__}(...)`")
    return value
