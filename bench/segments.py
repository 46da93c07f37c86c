"""All that docs/segments_measured.md says of a detector: choice, tables, hours, pictures.

    OMP_NUM_THREADS=1 python bench/segments.py DETECTOR --data DEMOS --work WORK [--steps ...]

DETECTOR is a bundle that may be written to; DEMOS a built corpus `demos` or a manifest of it. Steps
are made in this order, and not again where their output lies in WORK:

    splices   recordings with known stretches, of dev and eval
    fit       `unheard segments`: level and evidence, chosen on dev, into the card
    dev       `unheard evaluate` on dev
    people    hours of real speech of the open corpus's packages, joined by speaker, and their score
    cases     70 s of a person with Flite from 0:40 to 1:00; ten minutes with a minute of it
    pictures  ten recordings of dev along time, with the truth under them
    page      docs/segments_measured.md, of all that is there
    eval      `unheard evaluate` on eval; only if named, as it is to be opened once
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from unheard import audio
from unheard.attacks import Speech, attacks
from unheard.corpora.open.packages import PACKAGES, fetch
from unheard.corpora.open.speech import Recording, catalogue, load
from unheard.corpora.open.texts import SENTENCES
from unheard.corpora.splices import LENGTHS_S, level
from unheard.data.clip import Clip, Manifest, values_of
from unheard.data.segment_labels import NOTE, read_stretches, written
from unheard.detectors.bundle import read_card
from unheard.errors import AudioError
from unheard.evaluation.scores import read_scores
from unheard.evaluation.segments import SegmentRow, segment_rows
from unheard.files import in_one_step
from unheard.scoring.many import Settings, Task, score_many
from unheard.scoring.picture import png, standalone
from unheard.scoring.plain_words import headline, where_sentence
from unheard.types import FloatArray

RATE = audio.SAMPLE_RATE_HZ
STEPS = ("splices", "fit", "dev", "people", "cases", "pictures", "page", "eval")
DOCS = Path(__file__).parents[1] / "docs"
LONGEST_S, LEAST_S, MOST_OF_A_SPEAKER_S = 120.0, 1.6, 3600.0
N_PICTURES = 10
LEVEL = 0.05


def unheard(*words: str | Path) -> None:
    """Run the command line, and say so."""
    line = ["unheard", *map(str, words)]
    print("$", " ".join(line), flush=True)
    subprocess.run([sys.executable, "-m", *line], check=True)


def joined(cache: Path, out: Path) -> None:
    """Write real speech of packages, clips of one speaker joined to recordings of two minutes."""
    fetch(cache, [package for package in PACKAGES if package.role == "speech"], print)
    voices: dict[tuple[str, str], list[Recording]] = defaultdict(list)
    for recording in catalogue(cache):
        voices[recording.speaker, recording.language].append(recording)
    clips = [
        _clip(voice, number, samples, out)
        for voice in voices.values()
        for number, samples in enumerate(_tapes(cache, voice))
    ]
    Manifest.of(clips, out).write(out / "manifest.parquet")
    print(f"{len(clips)} recordings, {sum(clip.duration_s for clip in clips) / 3600:.2f} hours")


def _tapes(cache: Path, voice: Sequence[Recording]) -> Iterator[FloatArray]:
    """Yield clips of a speaker joined to LONGEST_S or more, the rest as it is; an hour at most."""
    order = np.random.default_rng(0).permutation(len(voice))
    waiting: list[FloatArray] = []
    waiting_s = total_s = 0.0
    for place in order:
        try:
            samples = load(cache, voice[place])
        except AudioError as error:
            print(f"left out: {error}")
            continue
        if samples.size < LEAST_S * RATE:
            continue
        waiting.append(samples)
        waiting_s += samples.size / RATE
        if waiting_s >= LONGEST_S:
            yield np.concatenate(waiting)
            total_s += waiting_s
            waiting, waiting_s = [], 0.0
            if total_s >= MOST_OF_A_SPEAKER_S:
                return
    if waiting_s:
        yield np.concatenate(waiting)


def _clip(voice: Sequence[Recording], number: int, samples: FloatArray, out: Path) -> Clip:
    first = voice[0]
    name = f"{first.speaker}-{first.language}-{number:02d}"
    path = Path("audio") / f"{name}.flac"
    audio.write(out / path, np.clip(samples, -1, 1))
    return Clip(
        id=f"people/{name}",
        path=path.as_posix(),
        bonafide=True,
        part="dev",
        speaker=first.speaker,
        corpus=first.package,
        language=first.language,
        licence=first.licence,
        duration_s=samples.size / RATE,
        notes={NOTE: written(()), "recording": name, "engine": first.package, "inserted_s": "0"},
    )


def cases(detector: Path, people: Manifest, cache: Path, work: Path) -> list[dict[str, Any]]:
    """Return the verdicts on two recordings of people with Flite in them, with the truth.

    The shorter is of the voice or page that has most speech, the longer of all of them.
    """
    read = [audio.read(people.audio(clip), minimum_s=0.0).samples for clip in people]
    read = [samples * (LEVEL / max(level(samples), 1e-4)) for samples in read]
    spoken = _spoken(cache, 60 * RATE)
    rows: list[dict[str, Any]] = []
    for total_s, start_s, end_s in ((70, 40, 60), (600, 300, 360)):
        human = max(read, key=np.size) if total_s < LONGEST_S else np.concatenate(read)
        real = np.resize(human, (total_s - end_s + start_s) * RATE)
        before, after = np.split(real, [start_s * RATE])
        pieces = [before, spoken[: (end_s - start_s) * RATE], after]
        path = work / "cases" / f"{total_s}s.flac"
        audio.write(path, np.clip(np.concatenate(pieces), -1, 1).astype(np.float32))
        (row,) = score_many([Task(str(path), path)], Settings(detector))
        rows.append({**row, "truth_s": [start_s, end_s]})
    return rows


def _spoken(cache: Path, n: int) -> FloatArray:
    """Return Flite's slt for n samples and more, at the level of the people."""
    flite = attacks(cache)["flite-slt"]
    rng = np.random.default_rng(0)
    parts: list[FloatArray] = []
    while sum(part.size for part in parts) < n:
        text = SENTENCES["en"][int(rng.integers(len(SENTENCES["en"])))]
        parts.append(flite.generate(Speech(text=text, language="en"), rng))
    spoken = np.concatenate(parts)
    return spoken * (LEVEL / level(spoken))


def pictures(detector: Path, manifest: Manifest, picture: Path) -> None:
    """Draw ten recordings with stretches of 5 s and more, one below the other, as one PNG."""
    lengths = [f"{length:g}" for length in LENGTHS_S if length >= 5]
    spliced = values_of(manifest, "notes.inserted_s")
    chosen = [clip for clip, length in zip(manifest, spliced, strict=True) if length in lengths]
    engines = sorted({clip.notes["engine"] for clip in chosen})
    turns = [
        [clip for clip in chosen if clip.notes["engine"] == engine][place::7]
        for place in range(7)
        for engine in engines
    ]
    shown = [clips[0] for clips in turns if clips][:N_PICTURES]
    tasks = [Task(str(manifest.file(clip)), manifest.file(clip)) for clip in shown]
    verdicts = {row["source"]: row for row in score_many(tasks, Settings(detector))}
    strips = [
        _strip(clip, verdicts[task.source])
        for clip, task in zip(shown, tasks, strict=True)
        if verdicts[task.source].get("score") is not None
    ]
    with in_one_step(picture) as unfinished:
        unfinished.write_bytes(png(_below(strips), width=1200))


def _strip(clip: Clip, verdict: dict[str, Any]) -> str:
    """Return a drawing of a verdict with words above and the truth below it."""
    share = 960 / verdict["duration_s"]
    words = f"{clip.notes['engine']}, {clip.codec or 'not coded'}. {where_sentence(verdict)}"
    truth = "".join(
        f'<rect x="{20 + share * part.start_s:.1f}" y="262" height="7" '
        f'width="{share * (part.end_s - part.start_s):.1f}" '
        f'fill="{"#2a6fbb" if part.bonafide else "#111111"}"/>'
        for part in read_stretches(clip.notes[NOTE])
    )
    return (
        f'<text x="20" y="20" font-family="sans-serif" font-size="15">{words}</text>'
        f'<svg x="20" y="28" width="960" height="230">{standalone(verdict, title=False)}</svg>'
        f"{truth}"
    )


def _below(strips: Sequence[str], height: int = 282) -> str:
    inside = "".join(
        f'<svg y="{height * row}" width="1000" height="{height}">{strip}</svg>'
        for row, strip in enumerate(strips)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="1000" height="{height * len(strips)}">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{inside}</svg>'
    )


def page(detector: Path, work: Path) -> str:
    """Return docs/segments_measured.md of what is in the working folder."""
    card = read_card(detector)
    point = card.segments
    assert point is not None, "the detector has no operating point of segments: run the step fit"
    lines = [
        "# Segments, measured",
        "",
        "Made by `python bench/segments.py DETECTOR --data DEMOS --work WORK`; do not edit.",
        "What the words mean: [segments](segments.md).",
        "",
        f"{card.name} {card.version}: level {point.level:g}, evidence {point.evidence:g}, chosen",
        f"on dev {point.date}, {point.n_inserted} inserted stretches, {point.found:.0%} found. On",
        f"hosts that the choice had not seen {point.false_per_hour:.2f} ({point.low:.2f} to",
        f"{point.high:.2f}) false segments an hour, in {point.hours:.2f} hours of speech.",
        "",
    ]
    for part in ("dev", "eval"):
        if (work / part / "scores.parquet").exists():
            lines += _tables(
                segment_rows(read_scores(work / part / "scores.parquet"), [part]), part
            )
    if (work / "people-scores" / "scores.parquet").exists():
        lines += _of_people(
            segment_rows(read_scores(work / "people-scores" / "scores.parquet"), ["dev"])
        )
    if (work / "cases.json").exists():
        lines += _of_cases(json.loads((work / "cases.json").read_text()))
    if (DOCS / "pictures" / "segments.png").exists():
        lines += [
            "## Ten recordings of dev",
            "",
            "Scores of windows along time; below them what is called synthetic, and in black what",
            "is so (in blue: another person).",
            "",
            "![Ten recordings](pictures/segments.png)",
            "",
        ]
    made = {
        "dev": work / "dev" / "scores.parquet",
        "people": work / "people-scores" / "scores.parquet",
        "cases": work / "cases.json",
        "pictures": DOCS / "pictures" / "segments.png",
        "eval": work / "eval" / "scores.parquet",
    }
    missing = [step for step, output in made.items() if not output.exists()]
    if missing:
        lines += [f"Steps that are not made yet: {', '.join(missing)}.", ""]
    return "\n".join(lines)


def _shown(row: SegmentRow | None, name: str, form: str) -> str:
    estimate = None if row is None else row.metrics.get(name)
    if estimate is None:
        return "-"
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"


def _tables(rows: Sequence[SegmentRow], part: str) -> list[str]:
    spliced = {(row.by, row.group): row for row in rows if not row.people}
    lengths = [f"{length:g}" for length in LENGTHS_S]
    sources = [group for by, group in spliced if by == "from"]
    lines = [
        f"## {part}: stretches found",
        "",
        f"| from | {' s | '.join(lengths)} s | all | F1 | range-based EER |",
        "|---" * (len(lengths) + 4) + "|",
    ]
    for source in [*sources, "all"]:
        of = [
            spliced.get(("length", length) if source == "all" else ("from and length", key))
            for length in lengths
            for key in [f"{source}, {length} s"]
        ]
        whole = spliced.get(("all", "all") if source == "all" else ("from", source))
        cells = [*map(_found, of), _found(whole), _shown(whole, "f1", ".2f")]
        lines += [f"| {source} | {' | '.join(cells)} | {_shown(whole, 'range_eer', '.1%')} |"]
    lines += [
        "",
        "| coding | stretches | found | boundary, s | range-based EER | hours of people | "
        "false an hour |",
        "|---|---|---|---|---|---|---|",
    ]
    people = {(row.by, row.group): row for row in rows if row.people}
    for key in sorted({*spliced, *people}):
        if key[0] in ("coding", "all"):
            row, human = spliced.get(key), people.get(key)
            cells = [
                "-" if row is None else str(row.n_stretches),
                _shown(row, "found", ".0%"),
                _shown(row, "boundary_s", ".2f"),
                _shown(row, "range_eer", ".1%"),
                "-" if human is None else f"{human.hours:.2f}",
                _shown(human, "false_per_hour", ".1f"),
            ]
            lines.append(f"| {key[1]} | {' | '.join(cells)} |")
    return [*lines, ""]


def _found(row: SegmentRow | None) -> str:
    if row is None or "found" not in row.metrics:
        return "-"
    return f"{round(row.metrics['found'].value * row.n_stretches)} of {row.n_stretches}"


def _of_people(rows: Sequence[SegmentRow]) -> list[str]:
    lines = [
        "## Real speech of unseen sources",
        "",
        "Packages of the [open corpus](corpus.md), which the packaged detector has not seen: clips",
        "of 1.6 s and more of one speaker, joined to recordings of two minutes, as they are, an",
        "hour of a speaker at most. The first row is all of them.",
        "",
        "| package | recordings | hours | false segments an hour |",
        "|---|---|---|---|",
    ]
    for row in rows:
        if row.people and row.by in ("all", "from"):
            rate = _shown(row, "false_per_hour", ".1f")
            lines.append(f"| {row.group} | {row.n_recordings} | {row.hours:.2f} | {rate} |")
    return [*lines, ""]


def _of_cases(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = ["## Two recordings", "", "| recording | verdict | where |", "|---|---|---|"]
    for row in rows:
        start_s, end_s = row["truth_s"]
        what = f"{row['duration_s']:.0f} s of people of dev, Flite from {start_s} to {end_s} s"
        score = f"{headline(row)}, score {row['score']:+.2f}"
        lines.append(f"| {what} | {score} | {where_sentence(row) or 'nothing'} |")
    return [*lines, ""]


def main() -> None:
    """Make the steps that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("detector", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="demos, built, or its manifest")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/unheard").expanduser())
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS[:-1])
    parser.add_argument("--each", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    for step in [step for step in STEPS if step in asked.steps]:
        _made(step, asked)


def _made(step: str, asked: argparse.Namespace) -> None:
    detector, work, jobs = asked.detector, asked.work, ("--jobs", str(asked.jobs))
    splices, people = (work / name / "manifest.parquet" for name in ("splices", "people"))
    if step == "splices" and not splices.exists():
        wanted: tuple[str | Path, ...] = ("--each", str(asked.each), "--engines", asked.cache)
        unheard("generate", "splices", "--data", asked.data, "--out", splices.parent, *wanted)
    elif step == "fit":
        unheard("segments", detector, "--data", splices, *jobs)
    elif step in ("dev", "eval"):
        wanted = ("--protocol", f"part:{step}", "--out", work / step)
        unheard("evaluate", detector, "--data", splices, *wanted, *jobs)
    elif step == "people":
        if not people.exists():
            joined(asked.cache, people.parent)
        wanted = ("--protocol", "part:dev", "--out", work / "people-scores")
        unheard("evaluate", detector, "--data", people, *wanted, *jobs)
    elif step == "cases":
        real = Manifest.read(splices).part("dev")
        real = real.where(values_of(real, "notes.inserted_s") == "0")
        real = real.where(values_of(real, "codec") == "")
        rows = cases(detector, real, asked.cache, work)
        (work / "cases.json").write_text(json.dumps(rows))
    elif step == "pictures":
        pictures(detector, Manifest.read(splices).part("dev"), DOCS / "pictures" / "segments.png")
    elif step == "page":
        (DOCS / "segments_measured.md").write_text(page(detector, work))


if __name__ == "__main__":
    main()
