"""A report in words and tables."""

from __future__ import annotations

from collections.abc import Iterator

from unheard.evaluation.condition_text import conditions
from unheard.evaluation.group_text import METRIC_NAMES, averages, grids, pages, rate
from unheard.evaluation.markup import Block, Bullets, Heading, Picture, Table, Words
from unheard.evaluation.results import ALL_PARTS, FEW_CLIPS, Report, Row, Value
from unheard.evaluation.segment_text import segments

__all__ = ["cautions", "document"]

MOST_LISTED = 50
"""Most clips without a score that a report lists by name; the score file has all."""

REVERSED_EER = 0.6
"""Above it, with an interval above chance, the polarity is called into question."""

POINT_NAMES = {
    "default": "sure, the default (three states)",
    "Bayes": "log-likelihood ratio 0",
    "balanced": "balanced",
    "false_alarm_1pct": "1 % false alarms on bona fide",
    "miss_1pct": "1 % misses",
}


def document(report: Report) -> list[Block]:
    """Return a report as blocks, in reading order."""
    facts = report.facts
    name = facts.name or "a score file"
    protocol = f" on the protocol {facts.protocol!r}" if facts.protocol else ""
    return [
        Heading(f"Evaluation of {name}{protocol}", 1),
        *_plain_words(report),
        *_overall(report),
        Picture(
            "det.png",
            "Error rates over all thresholds; the closer to the lower left corner, "
            "the better. Left by part, right by attack family, or by attack if no family is named.",
        ),
        *pages(report),
        *segments(report),
        *averages(report),
        Picture("scores.png", "Scores of each class. Calibrated scores cross at zero."),
        Picture(
            "calibration.png",
            "Left: calibrated scores lie on the diagonal, both classes weighing the same. Right: "
            "the share of each class with at least a score; what lies on the wrong side of 0 "
            "misleads.",
        ),
        *_decisions(report),
        *_groups(report, "family", "By attack family"),
        *_groups(report, "attack", "By attack"),
        *_groups(report, "language", "By language"),
        *grids(report),
        *conditions(report),
        *_unscored(report),
        *_provenance(report),
        *_definitions(report),
    ]


def _plain_words(report: Report) -> Iterator[Block]:
    yield Heading("In plain words")
    sentences = []
    for part in report.parts:
        row = report.pooled(part)
        text = f"{_part(report, part)}: "
        decided = [shares for shares in report.rates if shares.part == part]
        if decided:
            shares = decided[0]
            text += (
                f"of {row.n_bonafide:,} human clips {_percent(shares.bonafide_as_spoof)} were "
                f"called spoof and {_percent(shares.bonafide_undecided)} left undecided; of "
                f"{row.n_spoof:,} spoofed clips {_percent(shares.spoof_as_bonafide)} were called "
                f"bona fide and {_percent(shares.spoof_undecided)} left undecided. "
            )
        sentences.append(
            f"{text}At the threshold where both errors are equally frequent, "
            f"{_percent(row.metrics['eer'].value)} of the clips of either kind are mistaken"
            f"{_interval(row.metrics['eer'])}."
        )
    yield Bullets(tuple(sentences))
    warnings = [*cautions(report), *_few(report), *_ties(report)]
    sentences = [f"Caution: {warning}" for warning in warnings]
    sentences += [f"Note: {note}." for note in report.facts.notes]
    if not report.facts.calibrated:
        sentences.append(
            "Note: nothing says that these scores are log-likelihood ratios; actDCF, Cllr and the "
            "picture of calibration take them for such. Fit a calibration with --calibrate-on."
        )
    if sentences:
        yield Bullets(tuple(sentences))


def cautions(report: Report) -> list[str]:
    """Return what must be known before any number is believed, as sentences."""
    return list(_polarity(report))


def _polarity(report: Report) -> Iterator[str]:
    """Say it of a detector that is far worse than chance; nothing is turned round by itself."""
    for part in report.parts:
        pooled_eer = report.pooled(part).metrics["eer"]
        if pooled_eer.value > REVERSED_EER and (pooled_eer.low or 0.0) > 0.5:
            yield (
                f"{part} has an EER of {pooled_eer.value:.1%}, far above chance: the scores very "
                "likely point the other way, higher being more spoof. Nothing was turned round; if "
                "that is so, evaluate again with --higher-is spoof."
            )


def _few(report: Report) -> Iterator[str]:
    for part in report.parts:
        row = report.pooled(part)
        if row.few:
            yield (
                f"{part} has {row.n_bonafide} bona fide and {row.n_spoof} spoofed clips; with "
                f"fewer than {FEW_CLIPS} of a class its rates are hardly more than anecdotes."
            )
    groups = [row for row in report.rows if row.by != "all" and row.few]
    if groups:
        yield (
            f"{len(groups)} of the rows by family, attack or language, marked *, stand on fewer "
            f"than {FEW_CLIPS} clips of a class."
        )
    perfect = [row for row in report.rows if row.metrics["eer"].high == 0]
    if perfect:
        yield (
            "an interval of 0 to 0 means that no error was seen, not that none will be: with no "
            "error in n clips, a rate of up to 3 / n is still plausible."
        )


def _ties(report: Report) -> Iterator[str]:
    for row in report.rows:
        if row.by == "all" and row.ties:
            yield f"{row.part}: {row.ties}."


def _overall(report: Report) -> Iterator[Block]:
    yield Heading("Overall")
    rows = [row for row in report.rows if row.by == "all"]
    names = [name for name in METRIC_NAMES if any(name in row.metrics for row in rows)]
    body = [("bona fide clips", *(f"{row.n_bonafide:,}" for row in rows))]
    body.append(("spoofed clips", *(f"{row.n_spoof:,}" for row in rows)))
    for name in names:
        body.append((METRIC_NAMES[name], *(_cell(name, row.metrics.get(name)) for row in rows)))
    yield Table(("", *(_part(report, row.part) for row in rows)), tuple(body))


def _decisions(report: Report) -> Iterator[Block]:
    if not report.rates:
        return
    yield Heading("Decisions")
    yield Words(
        "At operating points fitted on dev clips: those that the detector was published with, or "
        "that its calibration gives. "
        "A clip below the first threshold is called spoof, from the second on bona fide, "
        "between them undecided."
    )
    yield Table(
        (
            "part, operating point",
            "thresholds",
            "bona fide called spoof",
            "bona fide undecided",
            "spoof called bona fide",
            "spoof undecided",
        ),
        tuple(
            (
                f"{shares.part}, {POINT_NAMES.get(shares.point, shares.point)}",
                f"{shares.low:.2f}"
                if shares.low == shares.high
                else f"{shares.low:.2f}, {shares.high:.2f}",
                f"{shares.bonafide_as_spoof:.1%}",
                f"{shares.bonafide_undecided:.1%}",
                f"{shares.spoof_as_bonafide:.1%}",
                f"{shares.spoof_undecided:.1%}",
            )
            for shares in report.rates
        ),
    )


def _groups(report: Report, by: str, title: str) -> Iterator[Block]:
    rows = [row for row in report.rows if row.by == by]
    if not rows:
        return
    yield Heading(title)
    if by == "language":
        yield Words("Bona fide against spoofed clips of the same language.")
    else:
        yield Words(f"The spoofed clips of each {by} against all bona fide clips of its part.")
    names = [name for name in METRIC_NAMES if name in rows[0].metrics]
    trained = any(row.trained is not None for row in rows)
    yield Table(
        (
            f"{by}",
            "part",
            *(("in training",) if trained else ()),
            "bona fide",
            "spoof",
            *(METRIC_NAMES[name] for name in names),
        ),
        tuple(
            (
                f"{row.group} *" if row.few else row.group,
                row.part,
                *((_yes(row),) if trained else ()),
                f"{row.n_bonafide:,}",
                f"{row.n_spoof:,}",
                *(_cell(name, row.metrics[name]) for name in names),
            )
            for row in rows
        ),
    )


def _unscored(report: Report) -> Iterator[Block]:
    yield Heading("Clips")
    yield Table(
        ("part, class", "clips", "scored", "no verdict", "unreadable"),
        tuple(
            (
                f"{count.part}, {'bona fide' if count.bonafide else 'spoof'}",
                f"{count.n_clips:,}",
                f"{count.n_scored:,}",
                f"{count.n_no_verdict:,}",
                f"{count.n_unreadable:,}",
            )
            for count in report.counts
        ),
    )
    if not report.unscored:
        return
    yield Words(
        f"{len(report.unscored):,} clips have no score and are left out of all numbers above"
        + (f"; the first {MOST_LISTED}:" if len(report.unscored) > MOST_LISTED else ":")
    )
    yield Bullets(
        tuple(
            f"{name}: {status}{f' ({reason})' if reason else ''}"
            for name, status, reason in report.unscored[:MOST_LISTED]
        )
    )


def _provenance(report: Report) -> Iterator[Block]:
    facts = report.facts
    stated = {
        "Detector": facts.bundle,
        "sha256 of its bundle.json": facts.bundle_sha256,
        "sha256 of its weights": facts.weights_sha256,
        "Protocol": facts.protocol,
        "Hash of the clips": facts.manifest_sha256,
        "Date": facts.date,
        "Scores": facts.source,
        "Command": facts.command,
        "Intervals": f"95 %, bootstrap, {report.n_draws:,} draws, seed {report.seed}",
    }
    yield Heading("How it was made")
    yield Bullets(tuple(f"{name}: {value}" for name, value in stated.items() if value))


def _definitions(report: Report) -> Iterator[Block]:
    yield Heading("What the numbers mean")
    items = [
        "Score: natural-log likelihood ratio; up is bona fide, 0 is undecided evidence."
        if report.facts.calibrated
        else "Score: as in the file; up is bona fide.",
        "EER: error rate at the threshold where bona fide clips called spoof and spoofed clips "
        "called bona fide are equally frequent; 50 % is chance. The threshold is chosen on these "
        "very clips, so it measures separation, not what a user sees.",
        "minDCF, actDCF: cost with 5 % spoofed clips, accepting one being ten times worse than "
        "rejecting a bona fide clip; at the best threshold, and at the one that calibrated scores "
        "should use. 1 is what deciding blindly costs.",
        "Cllr: cost of the scores as probabilities; min Cllr: the same after ideal calibration. "
        "1 bit is what knowing nothing costs; the gap between the two is calibration.",
        "Intervals resample clips. Clips of one speaker or attack resemble each other, so where "
        "an interval by speaker and attack is given, the truth is nearer to that one.",
    ]
    names = {name for row in report.rows for name in row.metrics}
    if "eer_official" in names:
        items.append(
            "EER, official: as the ASVspoof packages compute it, the mean of the two rates at the "
            "clip where they are nearest, bona fide clips before spoofed ones of the same score."
        )
    if "min_tdcf" in names:
        items.append(
            "min t-DCF: cost of the detector in front of the given speaker verifier, at the best "
            "threshold; legacy as in ASVspoof 2019, revised as in 2021 and 5. 1 is what a "
            "detector that decides blindly costs."
        )
    yield Bullets(tuple(items))


def _cell(name: str, value: Value | None) -> str:
    if value is None:
        return "-"
    text = rate(name, value.value)
    if value.low is None or value.high is None:
        return text
    return f"{text} ({rate(name, value.low)} to {rate(name, value.high)})"


def _yes(row: Row) -> str:
    return {True: "yes", False: "no", None: "-"}[row.trained]


def _part(report: Report, part: str) -> str:
    """Name a part, and say which of its families the detector was trained on."""
    if part == ALL_PARTS:
        return f"{part} (pooled)"
    families = [row for row in report.rows if row.part == part and row.trained is not None]
    known = [row for row in families if row.trained]
    if not families:
        return part
    if len(known) in (0, len(families)):
        return f"{part} ({'known' if known else 'unknown'} families)"
    return f"{part} ({len(known)} of {len(families)} families known)"


def _interval(value: Value) -> str:
    if value.low is None or value.high is None:
        return ""
    return f" (95 % interval {_percent(value.low)} to {_percent(value.high)})"


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %".replace(".0 %", " %")
