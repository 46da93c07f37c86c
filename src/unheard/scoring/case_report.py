"""A case report: a verdict on one HTML page with all inside, and the same as JSON.

It names the recording by its hash, the detector by its own, when and how it was asked, the
score of each part, why to doubt it, and how to repeat it. docs/page.md says how to read it.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unheard import __version__
from unheard.detectors.card_text import in_training
from unheard.files import in_one_step, open_regular, spelt
from unheard.scoring.parts import track_number
from unheard.scoring.plain_words import (
    NO_PROOF,
    NO_SEGMENTS,
    SAYS,
    headline,
    meaning,
    more_like,
    reliability,
    segment_rates,
)
from unheard.scoring.spectrogram import SmallSpectrogram, read_spectrogram
from unheard.scoring.timeline_svg import svg
from unheard.scoring.verdict import Verdict, clock, percent

if TYPE_CHECKING:
    from unheard.detectors.card import Card

__all__ = ["about", "case", "render", "write"]

Json = dict[str, Any]

STYLE = Path(__file__).with_name("case_report.css")
"""Style sheet of the report, which the page of the service shares."""

_SETTINGS = {"minimum_speech_s": "Least speech for a verdict", "hop_s": "Distance between parts"}
_OPTIONS = {"minimum_speech_s": "--min-speech", "hop_s": "--hop"}
_LISTEN = 3
_SHORT_TABLE = 12


def about(card: Card) -> Json:
    """Return what a reader must know of a detector, as JSON: a card without its settings."""
    fields = card.model_dump(mode="json", exclude={"provenance", "files", "base", "format"})
    provenance = card.provenance.model_dump(
        mode="json", include={"recipe", "revision", "seed", "families", "material"}
    )
    return {**fields, "detector": card.detector.kind, **provenance}


def case(result: Mapping[str, Any], card: Card) -> Json:
    """Return the JSON of a case: a result, in words too, with the detector that gave it.

    Args:
        result: "verdict" as `Verdict.to_dict()` gives it; "audio" with name, bytes and sha256;
            "scored_at", ISO 8601; if known "elapsed_s", "request_id" and "settings".
        card: Of the detector.
    """
    verdict = result["verdict"]
    return {
        "unheard": __version__,
        **{name: value for name, value in result.items() if name != "report_html"},
        "words": {"headline": headline(verdict), "meaning": meaning(verdict)},
        "detector": about(card),
    }


def render(case: Mapping[str, Any], picture: SmallSpectrogram | None = None) -> str:
    """Return a case as one HTML page that needs nothing else and asks for nothing.

    Args:
        case: As `case` gives it.
        picture: Spectrogram of the recording; without one only the scores are drawn.
    """
    verdict, audio = case["verdict"], case["audio"]
    body = "\n".join(
        [
            f'<header><p class="kind">Report on a recording</p><h1>{escape(audio["name"])}</h1>'
            f"<p>Scored {escape(_when(case['scored_at']))} by Unheard {escape(case['unheard'])} "
            f"with the detector {escape(_detector(verdict))}</p></header>",
            _verdict(case),
            _section("warnings", "Reasons to doubt it", _warnings(verdict)),
            _section("picture", "Along the recording", [_figure(verdict, picture)]),
            _section("parts", "Part by part", _parts(verdict)),
            _section("experts", "What each expert said", _experts(verdict)),
            _section("detector", "What is known of the detector", _known(case["detector"])),
            _section("recording", "Recording", [_recording(case)]),
            _section("asked", "How it was asked", _asked(case)),
            _section("again", "How to repeat it", _again(case)),
        ]
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(headline(verdict))}: {escape(audio['name'])}</title>\n"
        f"<style>\n{STYLE.read_text()}</style></head>\n"
        f'<body class="report"><main>\n{body}\n</main>\n'
        f'<script type="application/json" id="case">{_json(case)}</script></body></html>\n'
    )


def write(
    verdict: Verdict,
    source: Path,
    file: Path,
    *,
    detector: Path,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report of a recording, and next to it the same as JSON.

    Args:
        verdict: Of the recording.
        source: The recording.
        file: The report, ending in ".html"; both are written in one step.
        detector: The bundle that gave the verdict.
        settings: Of the scoring, as far as the verdict does not have them.

    Returns:
        The report.

    Raises:
        AudioError: If the recording cannot be read.
        BundleError: If the bundle's card cannot be read.
    """
    from unheard.detectors import bundle

    with open_regular(source) as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    result = {
        "verdict": verdict.to_dict(),
        "audio": {
            "name": spelt(Path(verdict.source).name),
            "bytes": source.stat().st_size,
            "sha256": sha256,
        },
        "scored_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": dict(settings or {}),
    }
    whole = case(result, bundle.read_card(detector))
    track = track_number(verdict.track)
    with in_one_step(file) as unfinished:
        unfinished.write_text(
            render(whole, read_spectrogram(source, verdict.channel, track)), encoding="utf-8"
        )
    with in_one_step(file.with_suffix(".json")) as unfinished:
        unfinished.write_text(_json(whole), encoding="utf-8")
    return file


def _json(case: Mapping[str, Any]) -> str:
    """Return a case as JSON text that may stand inside HTML too."""
    return json.dumps(case, indent=2, allow_nan=False).replace("<", "\\u003c") + "\n"


def _section(name: str, title: str, lines: Iterable[str]) -> str:
    content = "\n".join(lines)
    if not content:
        return ""
    return f'<section id="{name}"><h2>{escape(title)}</h2>\n{content}</section>'


def _verdict(case: Mapping[str, Any]) -> str:
    verdict = case["verdict"]
    kind = verdict["decision"] or "none"
    lines = "".join(f"<p>{escape(line)}</p>" for line in meaning(verdict))
    n_warnings = len(verdict["warnings"])
    doubt = {0: "", 1: "<p>There is a reason to doubt it, below.</p>"}.get(
        n_warnings, f"<p>There are {n_warnings} reasons to doubt it, below.</p>"
    )
    return (
        f'<section id="verdict" class="verdict {kind}"><h2>{escape(headline(verdict))}</h2>\n'
        f"{lines}{doubt}<p>{escape(reliability(case['detector']))}</p>"
        f'<p class="caveat">{NO_PROOF}</p></section>'
    )


def _figure(verdict: Mapping[str, Any], picture: SmallSpectrogram | None) -> str:
    drawn = ("Waveform, spectrogram and " if picture is not None else "") + "score of each part"
    words = (
        f"{drawn[0].upper()}{drawn[1:]} over time. A score is the natural logarithm of how many "
        "times better a part fits human than synthetic speech. Dashed lines: where the decision "
        "changes. Grey: too little speech to score. A bar above: called synthetic."
    )
    return (
        f'<figure><div class="wide">{svg(verdict, picture)}</div>'
        f"<figcaption>{words}</figcaption></figure>"
    )


def _parts(verdict: Mapping[str, Any]) -> Iterator[str]:
    windows = verdict["windows"]
    scored = [window for window in windows if window["score"] is not None]
    if not windows:
        return
    segments = verdict.get("segments")
    if segments is None:
        yield f"<p>{NO_SEGMENTS}</p>"
    elif len(segments) > 1:
        says = [(SAYS[part["decision"]], _number(part["score"])) for part in segments]
        stretches = [(_times(part), *line) for part, line in zip(segments, says, strict=True)]
        head = ("stretch", "says", "mean score")
        yield _table(head, stretches, n_words=2, marks=[_mark(part) for part in segments])
    lowest = sorted(scored, key=lambda window: float(window["score"]))[:_LISTEN]
    if len(scored) > 1:
        times = ", ".join(clock(window["start_s"]) for window in lowest)
        yield f"<p>Most like synthetic speech, to be listened to first: from {times}.</p>"
    low, high = verdict["thresholds"]
    rows = [
        (
            _times(window),
            more_like(window["score"], low, high),
            _number(window["score"]),
            f"{window['speech_s']:.1f} s",
        )
        for window in windows
    ]
    marks = [_mark(window) for window in windows]
    table = _table(("time", "more like", "score", "speech in it"), rows, n_words=2, marks=marks)
    opened = " open" if len(rows) <= _SHORT_TABLE else ""
    summary = f"All {len(rows)} parts" if len(rows) > 1 else "The only part"
    yield f"<details{opened}><summary>{summary}</summary>{table}</details>"


def _times(part: Json) -> str:
    return f"{clock(part['start_s'])} to {clock(part['end_s'])}"


def _mark(part: Json) -> str:
    return f' data-start="{part["start_s"]}" data-end="{part["end_s"]}"'


def _warnings(verdict: Mapping[str, Any]) -> Iterator[str]:
    if verdict["warnings"]:
        yield _list(f"{line[0].upper()}{line[1:]}." for line in verdict["warnings"])
    else:
        yield "<p>The recording itself gave none. The limits of the detector hold all the same.</p>"


def _experts(verdict: Mapping[str, Any]) -> Iterator[str]:
    if not verdict["experts"]:
        return
    rows = [
        (expert["name"], _number(expert["score"]), f"{100 * expert['weight']:.0f} %")
        for expert in verdict["experts"]
    ]
    yield "<p>The detector is a mixture: these are the detectors in it, and how much each counted."
    yield f"</p>{_table(('expert', 'score', 'weight'), rows)}"


def _known(detector: Mapping[str, Any]) -> Iterator[str]:
    limits = [line.rstrip(".") for line in detector["limits"]]
    limits.append("Kinds of synthesis, languages and channels that are not named here: unknown")
    yield f"<h3>Not good for</h3>{_list(f'{line}.' for line in limits)}"
    rows = [
        (
            line["protocol"],
            line["group"] + (f", language {line['language']}" if line["language"] else ""),
            in_training(line["protocol"], line["group"], detector["families"]),
            f"{line['n_bonafide']:,}",
            f"{line['n_spoof']:,}",
            f"{100 * line['eer']:.1f} % ({100 * line['eer_low']:.1f} to "
            f"{100 * line['eer_high']:.1f})",
        )
        for line in detector["results"]
        if not line["condition"]
    ]
    if rows:
        head = ("test", "kind of synthesis", "trained on it", "human", "synthetic", "wrong (95 %)")
        yield f"<h3>Tested on</h3>{_table(head, rows, n_words=3)}"
        yield '<p class="small">Wrong: share of recordings on each side that it gets wrong when '
        yield "made to err as often on one side as on the other (equal error rate).</p>"
    if detector.get("segments"):
        yield f"<p>{escape(segment_rates(detector['segments']))}</p>"
    counts = [
        sum(line[name] for line in detector["material"]) for name in ("n_bonafide", "n_spoof")
    ]
    if any(counts):
        corpora = ", ".join(sorted({line["corpus"] for line in detector["material"]}))
        kinds = ", ".join(sorted(detector["families"])) or "not recorded"
        yield "<h3>Trained and tuned on</h3>"
        yield f"<p>{counts[0]:,} recordings of people and {counts[1]:,} synthetic ones, from "
        yield f"{escape(corpora)}. Kinds of synthesis: {escape(kinds)}.</p>"


def _recording(case: Mapping[str, Any]) -> str:
    verdict, audio = case["verdict"], case["audio"]
    return _facts(
        {
            "Name": audio["name"],
            "SHA-256": audio["sha256"],
            "Size": f"{audio['bytes']:,} bytes",
            "Length": f"{clock(verdict['duration_s'])} ({verdict['duration_s']:.2f} s)",
            "Speech in it": f"{verdict['speech_s']:.1f} s",
        }
    )


def _asked(case: Mapping[str, Any]) -> Iterator[str]:
    verdict, settings = case["verdict"], case.get("settings", {})
    detector, (low, high) = verdict["detector"], verdict["thresholds"]
    facts = {
        "Score": f"{_number(verdict['score'])} (natural logarithm of a likelihood ratio)",
        "Decision rule": verdict["operating_point"],
        "Thresholds": f"synthetic below {low:+.3f}, human from {high:+.3f}",
        "Probability of spoof before listening": percent(verdict["spoof_prior"]),
        **{_SETTINGS[name]: f"{value:g} s" for name, value in settings.items() if value},
        "Detector": _detector(verdict),
        "SHA-256 of its bundle.json": detector["sha256"],
        "Program": f"Unheard {case['unheard']}",
        "Time": _when(case["scored_at"]),
    }
    if case.get("request_id"):
        facts["Request"] = case["request_id"]
    yield _facts(facts)


def _again(case: Mapping[str, Any]) -> Iterator[str]:
    verdict, settings = case["verdict"], case.get("settings", {})
    name = shlex.quote(case["audio"]["name"])
    options = [f"--spoof-prior {verdict['spoof_prior']:g}"]
    if verdict["operating_point"] == "threshold":
        options.append(f"--threshold={verdict['thresholds'][0]!r}")
    else:
        options.append(f"--operating-point {verdict['operating_point']}")
    options += [
        f"{_OPTIONS[name]} {value:g}" for name, value in settings.items() if value is not None
    ]
    commands = [
        f"sha256sum {name}",
        "sha256sum BUNDLE/bundle.json",
        f"unheard score {name} --detector BUNDLE {' '.join(options)}",
    ]
    yield "<p>The first two commands must print the hashes above; BUNDLE is the folder of the "
    yield "detector. The third then gives the same score, up to rounding, with Unheard "
    yield f"{escape(case['unheard'])}.</p><pre>{escape(chr(10).join(commands))}</pre>"


def _detector(verdict: Mapping[str, Any]) -> str:
    return f"{verdict['detector']['name']} {verdict['detector']['version']}"


def _when(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _number(score: float | None) -> str:
    return "none" if score is None else f"{score:+.2f}"


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _facts(facts: Mapping[str, str]) -> str:
    rows = (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"<dl>{''.join(rows)}</dl>"


def _table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    n_words: int = 1,
    marks: Sequence[str] = (),
) -> str:
    """Return a table whose first columns are words, the others numbers.

    Args:
        head: Names of the columns.
        rows: Text of the cells.
        n_words: Columns that are words.
        marks: Attributes of the first cell of each row, if any.
    """
    kinds = [' class="words"'] * n_words + [""] * (len(head) - n_words)
    top = "".join(
        f'<th scope="col"{kind}>{escape(cell)}</th>' for kind, cell in zip(kinds, head, strict=True)
    )
    lines = "\n".join(
        f'<tr><th scope="row" class="words"{mark}>{escape(row[0])}</th>'
        + "".join(
            f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds[1:], row[1:], strict=True)
        )
        + "</tr>"
        for mark, row in zip(marks or [""] * len(rows), rows, strict=True)
    )
    inside = f"<thead><tr>{top}</tr></thead>\n<tbody>{lines}</tbody>"
    return f'<div class="wide"><table>{inside}</table></div>'
