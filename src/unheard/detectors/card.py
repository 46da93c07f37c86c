"""The card of a bundle: what bundle.json holds, checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from unheard.detectors.card_values import check_values, too_deep
from unheard.detectors.segment_point import SegmentPoint
from unheard.errors import BundleError, suggestion
from unheard.metrics import Calibration, OperatingPoints

__all__ = [
    "FORMAT",
    "LEFT_OUT",
    "Base",
    "Built",
    "Card",
    "Export",
    "Material",
    "Provenance",
    "Rate",
    "Result",
    "Shift",
    "parse_card",
    "parse_rates",
    "parse_results",
]

LEFT_OUT = "left out in turn"
"""Protocol of results on families that a detector of the same recipe has not seen."""

FORMAT = 1
"""Format of bundles that this version writes, and the newest that it reads."""

_LARGEST = 1e6

Line = TypeVar("Line", bound="_Strict")


class _Strict(BaseModel):
    """Unknown names, wrong types and numbers that are not finite are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Built(_Strict):
    """Which detector: a row of DETECTORS and its fields, as `spec_to_json` gives them."""

    kind: str = ""
    fields: dict[str, JsonValue] = {}


class Base(_Strict):
    """Published weights that a detector stands on and that its bundle does not hold.

    Attributes:
        source: Where they were found: a name, a hub id or a path.
        sha256: Hash of them by name, shape and value.
        n_parameters: How many numbers they are.
    """

    source: str
    sha256: str
    n_parameters: int = Field(ge=0)


class Material(_Strict):
    """Speech that a detector was trained or tuned on, of one corpus under one licence.

    Attributes:
        part: "train", or "dev" for what it was selected and calibrated on.
        corpus: Corpus or package.
        licence: Licence of the audio.
        n_bonafide: Bona fide clips.
        n_spoof: Spoofed clips.
        hours: Length of all of them.
    """

    part: str
    corpus: str
    licence: str = ""
    n_bonafide: int = Field(ge=0)
    n_spoof: int = Field(ge=0)
    hours: float = Field(default=0.0, ge=0)


class Provenance(_Strict):
    """Where a detector comes from.

    Attributes:
        recipe: Name of the recipe.
        settings: The recipe as it was run, every value written out.
        seed: Seed of the run.
        revision: Revision of the source code.
        manifests: Hash of the clips of each part, by the part's name.
        material: What it was trained and tuned on.
        families: Number of training clips of each attack family.
        systems: Base systems of the spoofed clips that it was trained or tuned on, sorted; empty
            if they are not known.
        pages: Demonstration pages that clips come from, sorted; empty if none, or not known.
        notes: What else a training run records.
    """

    recipe: str = ""
    settings: dict[str, JsonValue] = {}
    seed: int = 0
    revision: str = ""
    manifests: dict[str, str] = {}
    material: list[Material] = []
    families: dict[str, int] = {}
    systems: list[str] = []
    pages: list[str] = []
    notes: dict[str, JsonValue] = {}


class Result(_Strict):
    """One line of an evaluation.

    Attributes:
        protocol: What it was tested on.
        group: "all", or the family or attack that the spoofed clips belong to.
        n_bonafide: Bona fide clips.
        n_spoof: Spoofed clips.
        eer: Equal error rate in [0, 1].
        eer_low: Lower end of its 95 % interval.
        eer_high: Upper end.
        metrics: Further metrics by name, such as "cllr".
        language: Language of the clips, of both classes; "" for all.
        condition: Condition of `unheard.audio.conditions` that they came under; "" for as they are.
        date: Day of the evaluation, ISO 8601.
        manifest: Hash of the clips.
    """

    protocol: str
    group: str = "all"
    n_bonafide: int = Field(ge=0)
    n_spoof: int = Field(ge=0)
    eer: float = Field(ge=0, le=1)
    eer_low: float = Field(ge=0, le=1)
    eer_high: float = Field(ge=0, le=1)
    metrics: dict[str, float] = {}
    language: str = ""
    condition: str = ""
    date: str = ""
    manifest: str = ""


class Rate(_Strict):
    """One number over pages or systems, or the share of a group's clips that something is said of.

    Attributes:
        protocol: What it was measured on, protocol and part.
        name: What it is, in words, such as "mean over systems" or "people called spoof, by page".
        value: In [0, 1].
        low: Lower end of its 95 % interval, pages and systems drawn whole; None if there is none.
        high: Upper end.
        n_bonafide: Bona fide clips that it is of.
        n_spoof: Spoofed clips.
        n_groups: Systems or pages with clips enough for a value of their own.
        worst: Highest value of those; None if there is none.
        worst_group: Which that is.
        date: Day of the evaluation, ISO 8601.
        manifest: Hash of the clips.
    """

    protocol: str
    name: str
    value: float = Field(ge=0, le=1)
    low: float | None = Field(default=None, ge=0, le=1)
    high: float | None = Field(default=None, ge=0, le=1)
    n_bonafide: int = Field(ge=0)
    n_spoof: int = Field(ge=0)
    n_groups: int = Field(default=0, ge=0)
    worst: float | None = Field(default=None, ge=0, le=1)
    worst_group: str = ""
    date: str = ""
    manifest: str = ""


class Shift(_Strict):
    """What rounding the weights of an export did to its scores.

    Attributes:
        protocol: On what it was measured, protocol and part.
        n_bonafide: Bona fide clips of it.
        n_spoof: Spoofed clips.
        drift: Mean absolute change of a clip's raw score.
        largest: Largest change.
        spread: Standard deviation of the raw scores before, to compare those with.
        eer_before: Equal error rate in [0, 1] with the weights as they were trained.
        eer_after: Equal error rate of the export.
    """

    protocol: str
    n_bonafide: int = Field(ge=0)
    n_spoof: int = Field(ge=0)
    drift: float = Field(ge=0)
    largest: float = Field(ge=0)
    spread: float = Field(ge=0)
    eer_before: float = Field(ge=0, le=1)
    eer_after: float = Field(ge=0, le=1)


class Export(_Strict):
    """How a trained detector was written as a graph that needs no torch.

    Attributes:
        source: sha256 of the card of the bundle that it was made from.
        precision: "float32", or "int8" if the weights of its linear layers were rounded.
        parity: Largest absolute difference of raw scores between torch and the graph, before
            rounding.
        parity_on: What they were compared on.
        experts: Names of the detectors that it is a mixture of.
        n_parameters: Numbers that it holds, published ones included.
        tools: Versions of what made it, by name.
        shift: What rounding did; None in float32.
    """

    source: str
    precision: Literal["float32", "int8"] = "float32"
    parity: float = Field(ge=0)
    parity_on: str
    experts: list[str] = []
    n_parameters: int = Field(ge=0)
    tools: dict[str, str] = {}
    shift: Shift | None = None


class Card(_Strict):
    """What bundle.json holds.

    Attributes:
        format: Format of the bundle.
        name: Name of the detector.
        version: Of the detector: where we trained it, of the Unheard that did.
        created: When it was saved, ISO 8601, UTC.
        detector: What to build; `save` fills it in.
        base: The published weights that it stands on; `save` fills it in.
        export: How it was written as a graph; None if it holds weights.
        window_s: Length of the windows that it scores.
        hop_s: Distance between windows.
        pooling: Rule that makes one score of the windows' scores; `unheard.scoring.scorer.POOLING`.
        calibration: From pooled raw scores to natural-log likelihood ratios, fitted on dev.
        operating_points: Thresholds on that ratio, fitted on dev.
        segments: Operating point of segments, fitted on dev; None if that was not done.
        provenance: Where the detector comes from.
        results: What evaluations found.
        rates: What they found over pages and systems.
        limits: What it is not good for, as sentences.
        files: sha256 of each file of the bundle, by name; `save` fills it in.
    """

    format: int = FORMAT
    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    detector: Built = Built()
    base: Base | None = None
    export: Export | None = None
    window_s: float = Field(ge=0.01, le=600)
    hop_s: float = Field(ge=0.01, le=600)
    pooling: str = "mean"
    calibration: Calibration
    operating_points: OperatingPoints
    segments: SegmentPoint | None = None
    provenance: Provenance = Provenance()
    results: list[Result] = []
    rates: list[Rate] = []
    limits: list[str] = []
    files: dict[str, str] = {}

    @property
    def weights_sha256(self) -> str:
        """Hash of the file with the weights; results that are added do not change it."""
        return self.files["weights.safetensors" if self.export is None else "model.onnx"]


_NAMES: dict[tuple[str, ...], Sequence[str]] = {
    (): list(Card.model_fields),
    ("detector",): list(Built.model_fields),
    ("base",): list(Base.model_fields),
    ("export",): list(Export.model_fields),
    ("export", "shift"): list(Shift.model_fields),
    ("calibration",): list(Calibration.__dataclass_fields__),
    ("operating_points",): list(OperatingPoints.__dataclass_fields__),
    ("segments",): list(SegmentPoint.model_fields),
    ("provenance",): list(Provenance.model_fields),
    ("provenance", "material"): list(Material.model_fields),
    ("results",): list(Result.model_fields),
    ("rates",): list(Rate.model_fields),
}


def parse_card(text: bytes, where: str) -> Card:
    """Return the card that the bytes of a bundle.json hold.

    Args:
        text: The bytes.
        where: What messages call the file.

    Raises:
        BundleError: If it is not JSON, was written by a newer version, or a name or value is wrong.
    """
    try:
        written = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise too_deep(where) from error
    except ValueError as error:
        raise BundleError(
            f"{where}: not JSON ({error}); a bundle is written by `unheard train`: copy it again"
        ) from error
    check_values(written, where)
    if not isinstance(written, dict):
        raise BundleError(f"{where}: holds no JSON object; a bundle is written by `unheard train`")
    version = written.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise BundleError(
            f"{where}: written by a newer Unheard (format {version}; this one reads up to "
            f"{FORMAT}); update with: pip install --upgrade unheard"
        )
    if version != FORMAT:
        raise BundleError(
            f"{where}: format is {version!r}, {FORMAT} needed; train the detector again"
        )
    try:
        card = Card.model_validate_json(text)
    except ValidationError as error:
        raise BundleError(f"{where}: {_problem(error, ())}") from error
    _check_line(card, where)
    return card


def parse_results(results: Sequence[Mapping[str, Any]]) -> list[Result]:
    """Return the lines of an evaluation, checked.

    Raises:
        BundleError: If a name or value is wrong.
    """
    return _parsed(Result, results, "results")


def parse_rates(rates: Sequence[Mapping[str, Any]]) -> list[Rate]:
    """Return the numbers over pages and systems of an evaluation, checked.

    Raises:
        BundleError: If a name or value is wrong.
    """
    return _parsed(Rate, rates, "rates")


def _parsed(kind: type[Line], lines: Sequence[Mapping[str, Any]], field: str) -> list[Line]:
    try:
        return [kind.model_validate(dict(line)) for line in lines]
    except ValidationError as error:
        raise BundleError(f"{field}: {_problem(error, (field,))}") from error


def _check_line(card: Card, where: str) -> None:
    """Refuse a line that turns scores round, or off any scale."""
    line, points = card.calibration, asdict(card.operating_points)
    if not 0 < line.scale <= _LARGEST:
        raise BundleError(
            f"{where}: calibration.scale is {line.scale:g}, a number above 0 and up to "
            f"{_LARGEST:g} needed; calibrate the detector again"
        )
    for name, value in {"calibration.offset": line.offset, **points}.items():
        if not abs(value) <= _LARGEST:
            raise BundleError(
                f"{where}: {name} is {value:g}, a score within +-{_LARGEST:g} needed; calibrate "
                "the detector again"
            )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _problem(error: ValidationError, root: tuple[str, ...]) -> str:
    """Return the first problem that pydantic found, in our words."""
    first = error.errors()[0]
    path = root + tuple(str(step) for step in first["loc"] if not isinstance(step, int))
    if not path:
        return f"{first['msg'].lower()}; copy the bundle again"
    inside, name = path[:-1], path[-1]
    place = f" in {'.'.join(inside)!r}" if inside else ""
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown name {name!r}{place}{suggestion(name, _NAMES[inside])}"
    if first["type"] == "missing":
        return f"lacks the name {name!r}{place}; a bundle is written by `unheard train`"
    return f"{'.'.join(path)} is {first['input']!r}: {first['msg'].lower()}; correct the value"
