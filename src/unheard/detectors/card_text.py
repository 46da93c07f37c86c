"""The card of a bundle as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from unheard.detectors.card import LEFT_OUT, Card, Export, Provenance, Rate, Result
from unheard.detectors.segment_point import SegmentPoint

__all__ = ["in_training", "model_card"]


def model_card(card: Card) -> str:
    """Return a card as Markdown, for people who must decide whether to use the detector."""
    calibration = card.calibration
    lines = [
        f"# {card.name} {card.version}",
        "",
        "A detector of synthetic speech. It gives a natural-log likelihood ratio: above zero the",
        "recording looks bona fide, below zero it looks spoofed. It is no proof of either.",
        "",
        f"- Detector: {_kind(card.detector.model_dump())}",
        *_base(card),
        *_export(card.export),
        f"- Scores windows of {card.window_s:g} s every {card.hop_s:g} s, "
        f"pooled by the rule {card.pooling!r}",
        f"- Calibration: {calibration.scale:.4g} x raw score {calibration.offset:+.4g}",
        f"- Created: {card.created}",
        "",
        "## Trained on",
        "",
        *_trained_on(card.provenance),
        "",
        *_on_pages(card.rates),
        "## Tested on",
        "",
        *_tested_on(card.results, card.provenance.families),
        "",
        *_operating_points(card),
        "## Not good for",
        "",
        *_limits(card),
        "",
        "## Built as",
        "",
        *[f"- {name}: {_value(value)}" for name, value in card.detector.fields.items()],
    ]
    return "\n".join(lines) + "\n"


def _kind(written: Mapping[str, Any]) -> str:
    """Return the kind of a detector; of a mixture, those that it is made of too."""
    experts = written["fields"].get("experts", [])
    inside = ", ".join(_kind(expert) for expert in experts)
    return f"{written['kind']} of {inside}" if inside else str(written["kind"])


def _value(value: JsonValue) -> str:
    """Return a field of a detector in one line; a part or a detector inside it in brackets."""
    if isinstance(value, dict) and isinstance(fields := value.get("fields"), dict):
        inside = ", ".join(f"{name}={_value(item)}" for name, item in fields.items())
        return f"{value.get('part', value.get('kind'))}({inside})"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return str(value)


def _base(card: Card) -> list[str]:
    base = card.base
    if base is None:
        return []
    weights = f"{base.n_parameters:,} published weights"
    source = f"{base.source!r}, hash {base.sha256[:12]}"
    if card.export is not None:
        return [f"- Holds {weights} of {source}: their licence is that of who published them"]
    return [
        f"- Stands on {weights} that this bundle does not hold, from {source}; no others will do"
    ]


def _export(export: Export | None) -> list[str]:
    if export is None:
        return []
    tools = ", ".join(f"{name} {version}" for name, version in export.tools.items())
    lines = [
        f"- Exported from the bundle {export.source[:12]} by {tools}; raw scores differ from "
        f"PyTorch's by at most {export.parity:.1g} ({export.parity_on})"
    ]
    if (shift := export.shift) is not None:
        lines.append(
            "- Large linear layers rounded to 8 bits, which moved raw scores by "
            f"{shift.drift:.2g} on average and {shift.largest:.2g} at most (they spread by "
            f"{shift.spread:.2g}), on {shift.n_bonafide:,} bona fide and {shift.n_spoof:,} spoofed "
            f"clips of {shift.protocol}: an EER of {shift.eer_before:.2%} before and "
            f"{shift.eer_after:.2%} after"
        )
    return lines


def _operating_points(card: Card) -> list[str]:
    points, clips = card.operating_points, card.provenance.notes.get("calibrated_on", "")
    return [
        "## Operating points",
        "",
        f"Thresholds on the score, fitted on {clips or 'dev'}; on other speech "
        "their rates will differ.",
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
        _segments(card.segments),
        "",
    ]


def _segments(point: SegmentPoint | None) -> str:
    if point is None:
        return (
            "- segments, none: it does not say which part of a recording is synthetic; "
            "`unheard segments` fits it"
        )
    return (
        f"- segments, level {point.level:+.2f} and evidence {point.evidence:.2f}: stretches that "
        f"are called synthetic; on dev, {point.false_per_hour:.2g} ({point.low:.2g} to "
        f"{point.high:.2g}) false ones in an hour of people's speech, of {point.hours:.2g} hours, "
        f"and {point.found:.0%} of {point.n_inserted:,} inserted stretches found"
    )


def _trained_on(provenance: Provenance) -> list[str]:
    if not provenance.material:
        return ["Nothing is recorded of what it was trained on: do not rely on it."]
    rows = [
        f"| {line.part} | {line.corpus} | {line.licence or 'unknown'} | {line.n_bonafide:,} "
        f"| {line.n_spoof:,} | {_hours(line.hours)} |"
        for line in provenance.material
    ]
    families = ", ".join(f"{name} ({n:,})" for name, n in sorted(provenance.families.items()))
    return [
        "| part | corpus | licence | bona fide clips | spoofed clips | hours |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"- Attack families in training, with clips: {families or 'not recorded'}",
        *_named("Demonstration pages", provenance.pages),
        *_named("Systems", provenance.systems),
        f"- Recipe {provenance.recipe or 'not recorded'}, seed {provenance.seed}, "
        f"revision {provenance.revision or 'not recorded'}",
    ]


def _hours(hours: float) -> str:
    """Return hours for a table; 0 is what was not measured."""
    if not hours:
        return "unknown"
    return "under 0.01" if hours < 0.01 else f"{hours:.2f}"


def _named(what: str, names: Sequence[str]) -> list[str]:
    return [f"- {what}, {len(names)}: {', '.join(names)}"] if names else []


def _on_pages(rates: Sequence[Rate]) -> list[str]:
    """What it does on recordings of laboratories: numbers over pages and systems."""
    if not rates:
        return []
    rows = [
        f"| {rate.protocol} | {rate.name} | {rate.value:.1%}{_interval(rate)} "
        f"| {rate.n_bonafide:,} + {rate.n_spoof:,} | {_worst(rate)} |"
        for rate in rates
    ]
    return [
        "## On real pages",
        "",
        "Unseen systems: none of them, nor one of the same name, was trained on. Intervals draw "
        "pages and systems whole.",
        "",
        "| protocol | what | value (95 % interval) | clips of people + synthetic | worst group |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


def _interval(rate: Rate) -> str:
    if rate.low is None or rate.high is None:
        return ""
    return f" ({rate.low:.1%} to {rate.high:.1%})"


def _worst(rate: Rate) -> str:
    return "" if rate.worst is None else f"{rate.worst_group} {rate.worst:.1%}, of {rate.n_groups}"


def _tested_on(results: Sequence[Result], families: Mapping[str, int]) -> list[str]:
    if not results:
        return ["Not tested: nothing is known of how often it is wrong."]
    rows = [
        f"| {line.protocol}{f' under {line.condition}' if line.condition else ''} "
        f"| {line.group}{f', language {line.language}' if line.language else ''} "
        f"| {in_training(line.protocol, line.group, families)} "
        f"| {line.n_bonafide:,} | {line.n_spoof:,} "
        f"| {line.eer:.1%} ({line.eer_low:.1%} to {line.eer_high:.1%}) |"
        for line in results
    ]
    return [
        "| protocol | spoofed clips of | in training | bona fide | spoofed | EER (95 % interval) |",
        "|---|---|---|---|---|---|",
        *rows,
    ]


def in_training(protocol: str, group: str, families: Mapping[str, int]) -> str:
    """Return whether what a result is about was seen in training: "yes", "no", "" if it is all.

    Args:
        protocol: Of the result.
        group: Of the result: a family or attack, or "all".
        families: Of the training clips.
    """
    if group == "all":
        return ""
    return "yes" if group in families and protocol != LEFT_OUT else "no"


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
