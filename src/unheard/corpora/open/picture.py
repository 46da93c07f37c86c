"""What a corpus holds, in words and as a picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from unheard.data.clip import Clip, Manifest

__all__ = ["draw_picture", "notice", "summary"]

_BONAFIDE = "bona fide"


def summary(manifest: Manifest) -> str:
    """Return tables of clips by part, family and language, with hours, as text."""
    clips = list(manifest)
    lines = [f"{'part':12} {'family':18} {'clips':>6} {'hours':>6} {'voices':>7}  languages"]
    for (part, family), group in sorted(_grouped(clips).items()):
        languages = _counts(clip.language for clip in group)
        hours = sum(clip.duration_s for clip in group) / 3600
        voices = len({clip.speaker for clip in group})
        lines.append(f"{part:12} {family:18} {len(group):6d} {hours:6.2f} {voices:7d}  {languages}")
    n_bona = sum(clip.bonafide for clip in clips)
    hours = sum(clip.duration_s for clip in clips) / 3600
    lines.append(
        f"{'all':12} {n_bona} bona fide and {len(clips) - n_bona} spoofed clips, "
        f"{hours:.2f} hours, "
        f"manifest {manifest.sha256()[:16]}"
    )
    return "\n".join(lines) + "\n"


def draw_picture(manifest: Manifest, path: Path) -> Path:
    """Draw clips by part and family, and durations by label, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = _grouped(manifest)
    parts = sorted({part for part, _ in groups})
    names = sorted({family for _, family in groups}, key=lambda name: (name != _BONAFIDE, name))
    figure = Figure(figsize=(11.0, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    bars, lengths = figure.subplots(1, 2, width_ratios=(3, 2))
    bottom = [0] * len(parts)
    for number, name in enumerate(names):
        heights = [len(groups.get((part, name), [])) for part in parts]
        colour = "0.25" if name == _BONAFIDE else f"C{(number - 1) % 10}"
        bars.bar(parts, heights, bottom=bottom, label=name, color=colour)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    bars.set_ylabel("clips")
    bars.legend(fontsize=8, ncols=2)
    bars.set_title("Clips by part and family")
    for label, truth in ((_BONAFIDE, True), ("spoof", False)):
        values = [clip.duration_s for clip in manifest if clip.bonafide == truth]
        lengths.hist(values, bins=30, density=True, histtype="step", label=label)
    lengths.set_xlabel("duration, s")
    lengths.set_ylabel("share of clips per second")
    lengths.legend(fontsize=8)
    lengths.set_title("Durations by label")
    figure.savefig(path, dpi=110)
    return path


def notice(manifest: Manifest) -> str:
    """Return where the speech of a corpus comes from and under which licences, as Markdown."""
    counted: dict[tuple[str, str, str], int] = defaultdict(int)
    for clip in manifest:
        maker = "recorded" if clip.bonafide else clip.attack
        counted[clip.corpus, clip.licence, maker] += 1
    lines = [
        "# Sources and licences",
        "",
        "This corpus was built on this machine out of registry packages. Redistribute its audio",
        "only where the licence of each source allows it.",
        "",
        "| source | licence of the audio | recorded or made by | clips |",
        "|---|---|---|---|",
    ]
    lines += [f"| {a} | {b} | {maker} | {n} |" for (a, b, maker), n in sorted(counted.items())]
    return "\n".join(lines) + "\n"


def _grouped(clips: Iterable[Clip]) -> dict[tuple[str, str], list[Clip]]:
    groups: dict[tuple[str, str], list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[clip.part, _BONAFIDE if clip.bonafide else clip.family].append(clip)
    return groups


def _counts(values: Iterable[str]) -> str:
    counted: dict[str, int] = defaultdict(int)
    for value in values:
        counted[value] += 1
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return " ".join(f"{name}:{n}" for name, n in ranked)
