"""Conditions in words and tables."""

from __future__ import annotations

from collections.abc import Iterator

from unheard.audio.conditions import CONDITIONS, RAW
from unheard.evaluation.conditions import SURE, ConditionRow
from unheard.evaluation.markup import Block, Bullets, Heading, Picture, Table, Words
from unheard.evaluation.results import FEW_CLIPS, Report

__all__ = ["conditions"]


def conditions(report: Report) -> Iterator[Block]:
    """Yield the section on conditions, if clips were scored under any."""
    if not report.conditions:
        return
    rows = report.conditions
    yield Heading("Under conditions")
    yield Words(
        "The same clips under each condition; everything above is about the clips as they are "
        f"({RAW}). The difference to {RAW} is over the clips that have a score in both, resampled "
        "for both at once; above 0 the condition does harm. Its p value is corrected by Holm for "
        f"all {sum(row.p is not None for row in rows)} differences of this section. Shares of "
        "decisions are those at the detector's default thresholds: undecided and wrong (errors "
        "among the clips decided) with both classes weighing the same. * marks fewer than "
        f"{FEW_CLIPS} clips of a class."
    )
    yield Bullets(tuple(_summary(report, part) for part in report.parts))
    yield Picture(
        "conditions.png",
        "EER of each part under each condition, with 95 % intervals; dashed: the clips as they "
        "are. A filled mark: the difference is more than luck "
        f"(corrected p below {SURE:g}).",
    )
    for part in report.parts:
        yield Heading(f"Conditions, {part}", 3)
        yield _table([row for row in rows if row.part == part])
    names = dict.fromkeys(row.condition for row in rows)
    explained = [f"{name}: {CONDITIONS[name].words}" for name in names if name in CONDITIONS]
    yield Bullets(tuple(explained))


def _summary(report: Report, part: str) -> str:
    rows = [row for row in report.conditions if row.part == part]
    measured = [row for row in rows if row.eer is not None]
    if not measured:
        return f"{part}: no condition left clips of both classes a score."
    worst = max(measured, key=lambda row: row.eer or 0.0)
    harmed = [row.condition for row in measured if row.sure and (row.difference or 0) > 0]
    helped = [row.condition for row in measured if row.sure and (row.difference or 0) < 0]
    text = f"{part}: worst under {worst.condition}, EER {_percent(worst.eer)}"
    if rows[0].eer is not None:
        text += f" (as it is {_percent(rows[0].eer)})"
    text += f"; surely worse under {', '.join(harmed) or 'none'}"
    if helped:
        text += f"; surely better under {', '.join(helped)}"
    mistakes = (
        ("bona fide clips called spoof", [row.bonafide_as_spoof for row in measured]),
        ("spoofed clips called bona fide", [row.spoof_as_bonafide for row in measured]),
    )
    for words, shares in mistakes:
        known = [share or 0.0 for share in shares]
        most = max(range(len(known)), key=known.__getitem__)
        if known[most] > 0 and measured[0].condition == RAW:
            text += (
                f"; most {words} under {measured[most].condition}, {_percent(known[most])} "
                f"(as it is {_percent(known[0])})"
            )
    return f"{text}."


def _table(rows: list[ConditionRow]) -> Table:
    decided = any(row.undecided is not None for row in rows)
    shares = ("undecided", "wrong", "bona fide called spoof", "spoof called bona fide")
    return Table(
        (
            "condition",
            "clips",
            "no score",
            "EER",
            f"difference to {RAW}",
            "p",
            *(shares if decided else ()),
        ),
        tuple(
            (
                row.condition + (" *" if min(row.n_bonafide, row.n_spoof) < FEW_CLIPS else ""),
                f"{row.n_bonafide + row.n_spoof:,}",
                f"{row.n_unscored:,}",
                _spread(row.eer, row.eer_low, row.eer_high),
                _spread(row.difference, row.low, row.high, sign="+"),
                "-" if row.p_holm is None else f"{row.p_holm:.3g}",
                *(
                    (
                        _percent(row.undecided),
                        _percent(row.wrong),
                        _percent(row.bonafide_as_spoof),
                        _percent(row.spoof_as_bonafide),
                    )
                    if decided
                    else ()
                ),
            )
            for row in rows
        ),
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _spread(value: float | None, low: float | None, high: float | None, sign: str = "") -> str:
    if value is None:
        return "-"
    return f"{value:{sign}.2%} ({low:{sign}.2%} to {high:{sign}.2%})"
