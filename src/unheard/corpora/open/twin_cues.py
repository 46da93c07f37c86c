"""Can a twin be distinguished from its source by something that is not how it was made?

The shallow probes of the open corpus are trained to tell sources from twins instead of bona fide
clips from spoofed ones, and the cues of both sides are laid side by side.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from unheard.attacks.twins import NOTE
from unheard.corpora.open.checking import CueRow, check
from unheard.corpora.open.probe import ProbeResult
from unheard.corpora.open.single_cues import CHANCE
from unheard.data.clip import BONAFIDE_ATTACK, Clip, Manifest
from unheard.errors import AttackError
from unheard.types import Say

__all__ = ["TwinReport", "compare_twins"]


@dataclass(frozen=True)
class TwinReport:
    """How the twins of one generator differ from their sources.

    Attributes:
        generator: The generator, and the hash of its settings.
        n_twins: Twins that were compared with their sources.
        cue_rows: Distributions of the cues; "bonafide" stands for sources, "spoof" for twins.
        probes: How well the shallow probes tell twins from sources; chance is 0.5.
        findings: Why no probe was trained, if none was.
    """

    generator: str
    n_twins: int
    cue_rows: tuple[CueRow, ...]
    probes: tuple[ProbeResult, ...]
    findings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, with its sentence."""
        return asdict(self) | {"verdict": self.verdict()}

    def verdict(self) -> str:
        """Return a sentence that says which cue gives a twin away."""
        part = "dev" if any(row.part == "dev" for row in self.cue_rows) else "train"
        rows = [row for row in self.cue_rows if row.part == part]
        if not rows:
            return "No cue could be measured."
        most = max(rows, key=lambda row: row.distance)
        cue = (
            f"the cue that differs most is {most.cue}: {most.spoof[1]:.4g} in the median twin, "
            f"{most.bonafide[1]:.4g} in the median source (KS {most.distance:.2f})"
        )
        telling = [probe for probe in self.probes if probe.high < CHANCE[0]]
        if not self.probes:
            return f"No probe was trained; {cue}."
        if not telling:
            best = min(self.probes, key=lambda probe: probe.eer)
            known = f"{best.name} {100 * best.eer:.0f} % on {best.part}"
            return f"No probe tells twins from sources for certain (best: {known}); {cue}."
        names = ", ".join(
            f"{probe.name} {100 * probe.eer:.0f} % on {probe.part}" for probe in telling
        )
        return f"Twins are given away ({names}; chance is 50 %); {cue}."

    def render(self) -> str:
        """Return the report as text."""
        lines = [
            f"{self.generator}: {self.n_twins} twins",
            "",
            "cue           part            source 5/50/95 %               twin 5/50/95 %        KS",
        ]
        for row in self.cue_rows:
            probe, other = (
                " ".join(f"{value:9.4g}" for value in values)
                for values in (row.bonafide, row.spoof)
            )
            lines.append(f"{row.cue:13} {row.part:9} {probe}   {other}   {row.distance:.2f}")
        lines += [
            f"probe on {probe.name}, {probe.part}: EER {100 * probe.eer:.1f} % "
            f"[{100 * probe.low:.1f}, {100 * probe.high:.1f}]; chance is 50 %"
            for probe in self.probes
        ]
        return "\n".join([*lines, *self.findings, self.verdict()]) + "\n"


def compare_twins(
    manifest: Manifest, *, jobs: int = 1, say: Say = lambda line: None
) -> list[TwinReport]:
    """Compare the twins of each generator in a manifest with their sources.

    Args:
        manifest: Clips and twins, as `unheard.attacks.reconstruct` writes them. Probes are trained
            on part "train" and judged on "dev".
        jobs: Processes.
        say: Receives progress.

    Raises:
        AttackError: If there is no twin, or the source of one is not there.
    """
    clips = {clip.id: clip for clip in manifest}
    by_generator: dict[str, list[Clip]] = {}
    for clip in clips.values():
        if NOTE in clip.notes:
            name = f"{clip.attack} {clip.notes.get('generator_key', '')}".strip()
            by_generator.setdefault(name, []).append(clip)
    if not by_generator:
        raise AttackError(
            "the manifest has no twins; make some with `unheard generate copies`, and give the "
            "manifest that it writes"
        )
    lost = [
        twin.id
        for twins in by_generator.values()
        for twin in twins
        if twin.source_clip not in clips
    ]
    if lost:
        raise AttackError(
            f"the sources of {len(lost)} twins are not in the manifest, such as that of {lost[0]}; "
            "give the manifest that `unheard generate copies` wrote"
        )
    return [
        _report(name, twins, clips, manifest, jobs, say)
        for name, twins in sorted(by_generator.items())
    ]


def _report(
    name: str,
    twins: list[Clip],
    clips: dict[str, Clip],
    manifest: Manifest,
    jobs: int,
    say: Say,
) -> TwinReport:
    sources = [
        replace(clips[twin.source_clip], bonafide=True, attack=BONAFIDE_ATTACK) for twin in twins
    ]
    pairs = Manifest.of([*sources, *twins], manifest.root)
    report = check(pairs, files=False, jobs=jobs, say=say)
    rows = tuple(row for row in report.cue_rows if not row.cue.startswith("codec "))
    untrained = tuple(line for line in report.findings if "no probe" in line or "probe on" in line)
    return TwinReport(name, len(twins), rows, report.probes, () if report.probes else untrained)
