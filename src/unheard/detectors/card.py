"""The card of a bundle: what bundle.json holds, checked, and as text for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from unheard.errors import BundleError, suggestion
from unheard.metrics import Calibration, OperatingPoints

__all__ = [
    "FORMAT",
    "Base",
    "Built",
    "Card",
    "Material",
    "Provenance",
    "Result",
    "model_card",
    "parse_card",
    "parse_results",
]

FORMAT = 1
"""Format of bundles that this version writes, and the newest that it reads."""


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
        notes: Whatever else a training run tells.
    """

    recipe: str = ""
    settings: dict[str, JsonValue] = {}
    seed: int = 0
    revision: str = ""
    manifests: dict[str, str] = {}
    material: list[Material] = []
    families: dict[str, int] = {}
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
    date: str = ""
    manifest: str = ""


class Card(_Strict):
    """What bundle.json holds.

    Attributes:
        format: Format of the bundle.
        name: Name of the detector.
        version: Version of the detector.
        created: When it was saved, ISO 8601, UTC.
        detector: What to build; `save` fills it in.
        base: The published weights that it stands on; `save` fills it in.
        window_s: Length of the windows that it scores.
        hop_s: Distance between windows.
        pooling: Rule that makes one score of the windows' scores; `unheard.score.POOLING`.
        calibration: From pooled raw scores to natural-log likelihood ratios, fitted on dev.
        operating_points: Thresholds on that ratio, fitted on dev.
        provenance: Where the detector comes from.
        results: What evaluations found.
        limits: What it is not good for, as sentences.
        files: sha256 of each file of the bundle, by name; `save` fills it in.
    """

    format: int = FORMAT
    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    detector: Built = Built()
    base: Base | None = None
    window_s: float = Field(gt=0, le=600)
    hop_s: float = Field(gt=0, le=600)
    pooling: str = "mean"
    calibration: Calibration
    operating_points: OperatingPoints
    provenance: Provenance = Provenance()
    results: list[Result] = []
    limits: list[str] = []
    files: dict[str, str] = {}


_NAMES: dict[tuple[str, ...], Sequence[str]] = {
    (): list(Card.model_fields),
    ("detector",): list(Built.model_fields),
    ("calibration",): list(Calibration.__dataclass_fields__),
    ("operating_points",): list(OperatingPoints.__dataclass_fields__),
    ("provenance",): list(Provenance.model_fields),
    ("provenance", "material"): list(Material.model_fields),
    ("results",): list(Result.model_fields),
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
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"{where}: not JSON ({error}); a bundle is written by `unheard train`: copy it again"
        ) from error
    if not isinstance(written, dict):
        raise BundleError(f"{where}: holds no JSON object; a bundle is written by `unheard train`")
    found = written.get("format")
    if isinstance(found, int) and found > FORMAT:
        raise BundleError(
            f"{where}: written by a newer Unheard (format {found}; this one reads up to {FORMAT}); "
            "update with: pip install --upgrade unheard"
        )
    if found != FORMAT:
        raise BundleError(
            f"{where}: format is {found!r}, {FORMAT} needed; train the detector again"
        )
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        raise BundleError(f"{where}: {_problem(error, ())}") from error


def parse_results(results: Sequence[Mapping[str, Any]]) -> list[Result]:
    """Return the lines of an evaluation, checked.

    Raises:
        BundleError: If a name or value is wrong.
    """
    try:
        return [Result.model_validate(dict(line)) for line in results]
    except ValidationError as error:
        raise BundleError(f"result: {_problem(error, ('results',))}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _problem(error: ValidationError, root: tuple[str, ...]) -> str:
    """Return the first problem that pydantic found, in our words."""
    first = error.errors()[0]
    path = root + tuple(str(step) for step in first["loc"] if not isinstance(step, int))
    inside, name = path[:-1], path[-1]
    place = f" in {'.'.join(inside)!r}" if inside else ""
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown name {name!r}{place}{suggestion(name, _NAMES[inside])}"
    if first["type"] == "missing":
        return f"lacks the name {name!r}{place}; a bundle is written by `unheard train`"
    return f"{'.'.join(path)} is {first['input']!r}: {first['msg'].lower()}; correct the value"


def model_card(card: Card) -> str:
    """Return a card as Markdown, for people who must decide whether to use the detector."""
    calibration = card.calibration
    kind = card.detector.kind
    fields = ", ".join(f"{name}={_value(value)}" for name, value in card.detector.fields.items())
    lines = [
        f"# {card.name} {card.version}",
        "",
        "A detector of synthetic speech. It gives a natural-log likelihood ratio: above zero the",
        "recording looks bona fide, below zero it looks spoofed. It is no proof of either.",
        "",
        f"- Detector: {kind} ({fields})",
        *_base(card.base),
        f"- Scores windows of {card.window_s:g} s every {card.hop_s:g} s, "
        f"pooled by the rule {card.pooling!r}",
        f"- Calibration: {calibration.scale:.4g} x raw score {calibration.offset:+.4g}",
        f"- Created: {card.created}",
        "",
        "## Trained on",
        "",
        *_trained_on(card.provenance),
        "",
        "## Tested on",
        "",
        *_tested_on(card.results, card.provenance.families),
        "",
        *_operating_points(card.operating_points),
        "## Not good for",
        "",
        *_limits(card),
    ]
    return "\n".join(lines) + "\n"


def _value(value: JsonValue) -> str:
    """Return a field of a detector in one line; a part or a detector inside it in brackets."""
    if isinstance(value, dict) and isinstance(held := value.get("fields"), dict):
        inside = ", ".join(f"{name}={_value(one)}" for name, one in held.items())
        return f"{value.get('part', value.get('kind'))}({inside})"
    if isinstance(value, list):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return str(value)


def _base(base: Base | None) -> list[str]:
    if base is None:
        return []
    return [
        f"- Stands on {base.n_parameters:,} published weights that this bundle does not hold, from "
        f"{base.source!r}, hash {base.sha256[:12]}; no others will do"
    ]


def _operating_points(points: OperatingPoints) -> list[str]:
    return [
        "## Operating points",
        "",
        "Thresholds on the score, fitted on the dev part; on other speech their rates will differ.",
        "",
        f"- sure (the default), {points.surely_spoof:+.2f} and {points.surely_bonafide:+.2f}: "
        "below the first it says spoof, from the second bona fide, in between undecided; on dev, "
        "at most 5 % of what it decides on either side is wrong",
        f"- balanced, {points.balanced:+.2f}: on dev, bona fide clips are called spoof as rarely "
        "as spoofed clips are called bona fide",
        f"- false_alarm_1pct, {points.false_alarm_1pct:+.2f}: on dev, at most 1 % of bona fide "
        "clips are called spoof; for when a false accusation is the worse mistake",
        f"- miss_1pct, {points.miss_1pct:+.2f}: on dev, at most 1 % of spoofed clips are called "
        "bona fide; "
        "for when letting a spoofed clip pass is the worse mistake",
        "",
    ]


def _trained_on(provenance: Provenance) -> list[str]:
    if not provenance.material:
        return ["Nothing is recorded of what it was trained on: do not rely on it."]
    rows = [
        f"| {line.part} | {line.corpus} | {line.licence or 'unknown'} | {line.n_bonafide:,} "
        f"| {line.n_spoof:,} | {line.hours:.2f} |"
        for line in provenance.material
    ]
    families = ", ".join(f"{name} ({n:,})" for name, n in sorted(provenance.families.items()))
    return [
        "| part | corpus | licence | bona fide clips | spoofed clips | hours |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"- Attack families in training, with clips: {families or 'not recorded'}",
        f"- Recipe {provenance.recipe or 'not recorded'}, seed {provenance.seed}, "
        f"revision {provenance.revision or 'not recorded'}",
    ]


def _tested_on(results: Sequence[Result], families: Mapping[str, int]) -> list[str]:
    if not results:
        return ["Not tested: nothing is known of how often it is wrong."]
    rows = [
        f"| {line.protocol} | {line.group} | {_heard(line.group, families)} "
        f"| {line.n_bonafide:,} | {line.n_spoof:,} "
        f"| {line.eer:.1%} ({line.eer_low:.1%} to {line.eer_high:.1%}) |"
        for line in results
    ]
    return [
        "| protocol | spoofed clips of | in training | bona fide | spoofed | EER (95 % interval) |",
        "|---|---|---|---|---|---|",
        *rows,
    ]


def _heard(group: str, families: Mapping[str, int]) -> str:
    if group == "all":
        return ""
    return "yes" if group in families else "no"


def _limits(card: Card) -> list[str]:
    tested = {line.group for line in card.results}
    untested = sorted(set(card.provenance.families) - tested)
    limits = list(card.limits)
    if card.results and untested:
        limits.append(f"Attack families it was trained on but not tested on: {', '.join(untested)}")
    limits.append(
        "Kinds of synthesis, languages and channels that are not named above: "
        "its error rate there is unknown and usually higher"
    )
    return [f"- {limit}" for limit in limits]
