"""Check a corpus: files and hashes, leaks between parts, and cues that let a detector cheat."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unheard import audio
from unheard.corpora.open.design import text_key
from unheard.corpora.open.make import in_parallel
from unheard.corpora.open.packages import sha256_of
from unheard.corpora.open.probe import PROBES, Cues, ProbeResult, cues, run_on, run_probe
from unheard.corpora.open.single_cues import (
    SINGLE_CUES,
    meaning,
    single_features,
    tells,
)
from unheard.data import shards
from unheard.data.clip import Clip, Manifest
from unheard.errors import AudioError, CorpusError, MetricError
from unheard.types import FloatArray, Say
from unheard.workers import with_progress

__all__ = ["FEWEST_TO_TRAIN", "CheckReport", "CueRow", "check", "leaks"]

FEWEST_TO_TRAIN = 40
"""Clips of the train part below which no probe is trained: its number would mean nothing."""


_SILENT = "every sample is zero; leave the clip out, or fetch it again"


@dataclass(frozen=True)
class CueRow:
    """How one cue is distributed, by label.

    Attributes:
        cue: Field of `Cues`, or "codec KEY" for the share of clips with a codec.
        part: Part of the corpus.
        bonafide: 5th, 50th and 95th percentile over bona fide clips.
        spoof: The same over spoofed clips.
        distance: Largest difference of the two cumulative distributions, 0 to 1.
    """

    cue: str
    part: str
    bonafide: tuple[float, float, float]
    spoof: tuple[float, float, float]
    distance: float


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        counts: Clips by part: bona fide and spoofed.
        broken: Files that are missing, unreadable, silent, or have another hash; one line each.
        leaks: What two parts share and must not; one line each.
        findings: What is no error but weakens results; one line each.
        cue_rows: Distributions of the cues.
        probes: Results of the shallow probes.
    """

    counts: dict[str, tuple[int, int]]
    broken: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    cue_rows: tuple[CueRow, ...] = ()
    probes: tuple[ProbeResult, ...] = field(default=())

    @property
    def failed(self) -> bool:
        """Whether a file is broken or a leak was found."""
        return bool(self.broken or self.leaks)

    @property
    def cues(self) -> tuple[str, ...]:
        """The probes that are off chance, by name and part: the corpus has cues."""
        return tuple(f"{result.name} on {result.part}" for result in self.probes if tells(result))

    def verdict(self) -> str:
        """Return what the check comes to, in a line."""
        if self.failed:
            return "FAILED"
        if self.cues:
            return (
                f"CUES: {len(self.cues)} probes are off chance ({', '.join(self.cues)}); results "
                "on this corpus partly measure them: see the findings"
            )
        return "passed" if self.probes else "passed; no probe has looked for cues"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, with its verdict."""
        return {"failed": self.failed, "cues": self.cues, "verdict": self.verdict()} | asdict(self)

    def render(self) -> str:
        """Return the report as text."""
        lines = ["part          bona fide   spoof"]
        lines += [f"{part:12} {b:10d} {s:7d}" for part, (b, s) in sorted(self.counts.items())]
        for title, problems in (("broken files", self.broken), ("leaks", self.leaks)):
            lines.append(f"{title}: {len(problems) or 'none'}")
            lines += [f"  {line}" for line in problems[:20]]
        lines += [f"finding: {line}" for line in self.findings]
        if self.cue_rows:
            lines += [
                "",
                "cue           part       bona fide 5/50/95 %          spoof 5/50/95 %   KS",
            ]
            lines += [_row(row) for row in self.cue_rows]
        for result in self.probes:
            lines.append(
                f"probe on {result.name}, {result.part}: EER {100 * result.eer:.1f} % "
                f"[{100 * result.low:.1f}, {100 * result.high:.1f}]; chance is 50 %"
            )
        lines.append(self.verdict())
        return "\n".join(lines) + "\n"


def check(
    manifest: Manifest,
    *,
    files: bool = True,
    probe: bool = True,
    jobs: int = 1,
    say: Say = lambda line: None,
) -> CheckReport:
    """Check a corpus.

    Args:
        manifest: The corpus. Probes need a part called "train" with both labels.
        files: Whether to read every file and compare hashes where the manifest has them.
        probe: Whether to measure cues and train the probes, which reads every file too.
        jobs: Processes.
        say: Receives progress.

    Raises:
        CorpusError: If the manifest is empty.
    """
    clips = list(manifest)
    if not clips:
        raise CorpusError("a manifest without clips cannot be checked; build or import one first")
    counts: dict[str, tuple[int, int]] = {}
    for part in sorted({clip.part for clip in clips}):
        truth = [clip.bonafide for clip in clips if clip.part == part]
        counts[part] = (sum(truth), len(truth) - sum(truth))
    broken: list[str] = []
    if files:
        say(f"hashing {len(clips)} files")
        # Where cues are measured, silent and unreadable files are found then.
        tasks = [(manifest.root, clip.path, clip.sha256, not probe) for clip in clips]
        hashed = with_progress(
            in_parallel(_hash, tasks, jobs, chunk=64), len(tasks), say, "files hashed"
        )
        broken = sorted(line for line in hashed if line)
    findings = _language_findings(clips)
    rows: list[CueRow] = []
    results: list[ProbeResult] = []
    if probe and not broken:
        say(f"measuring cues of {len(clips)} clips")
        where = [(clip.id, manifest.root, clip.path) for clip in clips]
        measuring = in_parallel(_cues, where, jobs, chunk=64)
        cues_of = dict(with_progress(measuring, len(where), say, "clips measured"))
        broken = sorted(line for line in cues_of.values() if isinstance(line, str))
        clips = [clip for clip in clips if not isinstance(cues_of[clip.id], str)]
        measured = [of_clip for clip in clips if not isinstance(of_clip := cues_of[clip.id], str)]
        rows = _cue_rows(clips, [measurement for measurement, _ in measured])
        results, more = _probes(clips, measured)
        findings += more
    return CheckReport(
        counts, tuple(broken), tuple(leaks(manifest)), tuple(findings), tuple(rows), tuple(results)
    )


def leaks(manifest: Iterable[Clip]) -> list[str]:
    """Return what parts share and must not, one line per shared thing.

    Speakers (and so voices: a voice is the speaker of what it says) may be shared by two parts with
    one stem, such as eval_in and eval_out; recordings, files and texts by no two parts. Extra parts
    of one stem, such as train and train_extra, may share everything but files.
    """
    owners: dict[tuple[str, str], set[str]] = defaultdict(set)
    for clip in manifest:
        stem = _stem(clip.part)
        part = stem if stem in ("train", "dev") else clip.part
        origin = clip.source_clip or (clip.id if clip.bonafide else "")
        for kind, value, where in (
            ("file", clip.sha256, clip.part),
            ("recording", origin, part),
            ("speaker", clip.speaker, stem),
            ("text", text_key(clip.text), part),
        ):
            if value:
                owners[kind, value].add(where)
    return [
        f"{kind} {value[:60]!r} is in {' and '.join(sorted(parts))}; move it to one of them"
        for (kind, value), parts in sorted(owners.items())
        if len(parts) > 1
    ]


def _stem(part: str) -> str:
    return part.partition("_")[0]


def _language_findings(clips: list[Clip]) -> list[str]:
    """Languages under one label, in parts that hold both: extra parts are spoofed by design."""
    sides: dict[tuple[str, str], set[bool]] = defaultdict(set)
    labels: dict[str, set[bool]] = defaultdict(set)
    for clip in clips:
        labels[clip.part].add(clip.bonafide)
        if clip.language:
            sides[clip.part, clip.language].add(clip.bonafide)
    return [
        f"in {part} the language {language} is {'bona fide' if True in classes else 'spoofed'} only"
        for (part, language), classes in sorted(sides.items())
        if len(classes) == 1 and len(labels[part]) == 2
    ]


def _hash(task: tuple[Path, str, str, bool]) -> str:
    root, path, wanted, listen = task
    name = Path(path).name
    try:
        content = shards.source(root, path)
    except AudioError as error:
        return f"{name}: {error}"
    if isinstance(content, Path) and not content.is_file():
        return f"{name}: no such file; build or import the corpus again"
    actual = _sha256(content) if wanted else ""
    if actual != wanted:
        return f"{name}: sha256 {actual[:12]}, the manifest says {wanted[:12]}; build it again"
    return _unusable(content, name) if listen else ""


def _unusable(content: Path | bytes, name: str) -> str:
    """What makes a file useless as a clip; "" if nothing."""
    try:
        samples = audio.read(content, minimum_s=0.0, name=name).samples
    except AudioError as error:
        return str(error)
    return "" if samples.any() else f"{name}: {_SILENT}"


def _sha256(content: Path | bytes) -> str:
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else sha256_of(content)


def _cues(task: tuple[str, Path, str]) -> tuple[str, tuple[Cues, FloatArray] | str]:
    """Cues of a clip, or what makes its file useless."""
    name, root, path = task
    try:
        measured = cues(shards.source(root, path))
    except AudioError as error:
        return name, str(error)
    return name, f"{Path(path).name}: {_SILENT}" if measured[0].zeros == 1.0 else measured


def _cue_rows(clips: list[Clip], measured: list[Cues]) -> list[CueRow]:
    truth = np.array([clip.bonafide for clip in clips])
    parts = np.array([clip.part for clip in clips])
    columns = {
        name: np.array([asdict(cues)[name] for cues in measured]) for name in asdict(measured[0])
    }
    for codec in sorted({clip.codec.partition("-")[0] for clip in clips if clip.codec}):
        columns[f"codec {codec}"] = np.array(
            [float(clip.codec.partition("-")[0] == codec) for clip in clips]
        )
    rows = []
    for part in sorted(set(parts)):
        both = [(parts == part) & truth, (parts == part) & ~truth]
        if not all(mask.any() for mask in both):
            continue
        rows += [_cue_row(name, part, *(c[mask] for mask in both)) for name, c in columns.items()]
    return rows


def _cue_row(name: str, part: str, human: FloatArray, machine: FloatArray) -> CueRow:
    share = name.startswith("codec ")
    spread = [(float(v.mean()),) * 3 if share else _percentiles(v) for v in (human, machine)]
    values = np.unique(np.concatenate([human, machine]))
    steps = [np.searchsorted(np.sort(v), values, "right") / v.size for v in (human, machine)]
    return CueRow(name, part, spread[0], spread[1], float(np.abs(steps[0] - steps[1]).max()))


def _percentiles(values: FloatArray) -> tuple[float, float, float]:
    low, middle, high = np.percentile(values, (5, 50, 95)).tolist()
    return low, middle, high


def _probes(
    clips: list[Clip], measured: list[tuple[Cues, FloatArray]]
) -> tuple[list[ProbeResult], list[str]]:
    truth = np.array([clip.bonafide for clip in clips])
    parts = [clip.part for clip in clips]
    both = {p for p in parts if len({t for t, q in zip(truth, parts, strict=True) if q == p}) == 2}
    if "train" not in both:
        return [], ["no part called train with both labels, so no probe was trained"]
    if parts.count("train") < FEWEST_TO_TRAIN:
        return [], [
            f"no probe was trained: {parts.count('train')} clips in train, "
            f"at least {FEWEST_TO_TRAIN} are needed"
        ]
    judged = sorted(part for part in both if not part.startswith("train"))
    results: list[ProbeResult] = []
    findings: list[str] = []
    wanted = {name: partial(run_probe, name, measured) for name in PROBES}
    for name in SINGLE_CUES:
        features = single_features(name, clips, measured)
        if features is not None:
            wanted[name] = partial(run_on, name, features)
    for name, run in wanted.items():
        try:
            results += run(truth, parts, "train", judged)
        except MetricError as error:
            findings.append(f"probe on {name}: {error}")
    findings += [meaning(result) for result in results if tells(result)]
    return results, findings


def _row(row: CueRow) -> str:
    bonafide, spoof = (
        " ".join(f"{v:9.4g}" for v in values) for values in (row.bonafide, row.spoof)
    )
    return f"{row.cue:13} {row.part:10} {bonafide}   {spoof}   {row.distance:.2f}"
