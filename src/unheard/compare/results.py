"""What a comparison of methods over seeds holds; `comparing` makes it, no text, no pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["KNOWN_PART", "ComparisonResult", "Estimate", "Line", "Ranking", "Run"]

KNOWN_PART = "eval_in"
"""The part whose attack families are in training; those of all others are not."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One detector that was trained and evaluated.

    Attributes:
        method: Name of the method.
        seed: Seed of its training.
        scores: Its score file.
        held_out: Family that was held out of its training; "" where the parts were left as they
            were.
        training_core_s: Processor seconds of its training, and of what it starts from; None if not
            known.
        parameters: Numbers that scoring needs; 0 if not known.
        trained: How many of them training changed.
        core_s: Seconds of one core for a second of audio; None if not known.
        dev_scores: Scores of dev, as its bundle keeps them; None if not known.
    """

    method: str
    seed: int
    scores: Path
    held_out: str = ""
    training_core_s: float | None = None
    parameters: int = 0
    trained: int = 0
    core_s: float | None = None
    dev_scores: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number of one method.

    Attributes:
        value: Mean over seeds.
        low: Lower end of its 95 % interval, over clips.
        high: Upper end.
        seeds: The number of each seed.
        difference: The mean less the baseline's; below 0, this method errs less. None if it was
            not tested.
        difference_low: Lower end of its 95 % interval.
        difference_high: Upper end.
        p: Two-sided p value of no difference.
        p_holm: The same, corrected for all tests of its table.
    """

    value: float
    low: float
    high: float
    seeds: tuple[float, ...]
    difference: float | None = None
    difference_low: float = 0.0
    difference_high: float = 0.0
    p: float = 1.0
    p_holm: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Line:
    """All numbers of one method.

    Attributes:
        method: Its name.
        seeds: Seeds that are there.
        numbers: Of the main protocol, by name: "in_eer", "in_cllr", "out_eer", "out_mean",
            "out_worst", "out_cllr".
        families: Equal error rate of each family, by part and family.
        held_out: Equal error rate of each family that was held out of training, and their "mean"
            and "worst".
        training_core_s: Processor seconds of training, what the method starts from included, mean
            over seeds.
        parameters: Numbers that scoring needs; 0 if not known.
        trained: How many of them training changed.
        core_s: Seconds of one core for a second of audio, mean over seeds.
    """

    method: str
    seeds: tuple[int, ...]
    numbers: Mapping[str, Estimate]
    families: Mapping[tuple[str, str], Estimate]
    held_out: Mapping[str, Estimate]
    training_core_s: float | None
    parameters: int
    trained: int
    core_s: float | None


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """How methods rank over families of the main protocol and seeds.

    Attributes:
        means: Mean rank by method, 1 for always best.
        p: Friedman's test of all ranking alike.
        critical_difference: Mean ranks further apart than this differ (Nemenyi).
        n_tasks: Families times seeds.
        alike: Runs of methods, by mean rank, that cannot be distinguished.
    """

    means: Mapping[str, float]
    p: float
    critical_difference: float
    n_tasks: int
    alike: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class ComparisonResult:
    """A comparison.

    Attributes:
        baseline: The method that the others are tested against.
        lines: A line per method, the best out of the domain first.
        ranking: None with fewer than three methods or two tasks.
        notes: What is to be known of it, as sentences.
        n_draws: Bootstrap draws.
        seed: Seed of the bootstrap.
    """

    baseline: str
    lines: tuple[Line, ...]
    ranking: Ranking | None
    notes: tuple[str, ...]
    n_draws: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON has it."""
        content = {"format": 1, **asdict(self)}
        for line in content["lines"]:
            families = line["families"].items()
            line["families"] = {
                f"{part}/{family}": estimate for (part, family), estimate in families
            }
        return content

    @property
    def base(self) -> Line | None:
        """The line of the baseline, if it is there."""
        return next((line for line in self.lines if line.method == self.baseline), None)
