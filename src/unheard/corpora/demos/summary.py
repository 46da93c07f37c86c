"""What is in a built corpus: the table of parts, and the pages that it was made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from unheard.corpora.demos.catalogue import Catalogue
from unheard.data.clip import Clip, Manifest

__all__ = ["notice", "summary"]


def summary(manifest: Manifest) -> str:
    """Return clips, seconds, pages, laboratories, systems, kinds, languages and years by part."""
    lines = [
        "part        label          clips  seconds  pages  labs  systems  kinds  languages  years"
    ]
    cells: dict[tuple[str, str], list[Clip]] = {}
    for clip in manifest:
        label = "bona fide" if clip.bonafide else "spoof"
        cells.setdefault((clip.part, label), []).append(clip)
        if not clip.bonafide and clip.notes.get("unseen") == "yes":
            cells.setdefault((clip.part, "spoof, unseen"), []).append(clip)
    for (part, label), clips in sorted(cells.items()):
        years = sorted(_noted(clips, "year"))
        languages = {clip.language for clip in clips if clip.language}
        systems = {clip.attack for clip in clips if not clip.bonafide}
        kinds = {clip.family for clip in clips if not clip.bonafide}
        lines.append(
            f"{part:11} {label:13} {len(clips):6d} {sum(c.duration_s for c in clips):8.0f} "
            f"{len(_noted(clips, 'page')):6d} {len(_noted(clips, 'laboratory')):5d} "
            f"{len(systems):8d} {len(kinds):6d} {len(languages):10d}  "
            f"{'-'.join(dict.fromkeys((years[0], years[-1]))) if years else ''}".rstrip()
        )
    kinds_of = Counter(clip.family for clip in manifest if not clip.bonafide)
    lines += ["", "kinds: " + ", ".join(f"{kind} {n}" for kind, n in kinds_of.most_common())]
    spoken = Counter(clip.language or "unknown" for clip in manifest)
    lines.append("languages: " + ", ".join(f"{name} {n}" for name, n in spoken.most_common()))
    return "\n".join(lines) + "\n"


def notice(manifest: Manifest, catalogue: Catalogue) -> str:
    """Return the pages that clips are from, with commit, licence and number of clips."""
    counts = Counter(clip.notes["page"] for clip in manifest)
    lines = [
        "# Pages that this corpus was built from",
        "",
        "Built locally. Most pages state no licence for their audio: pass none of it on, nor clips",
        "made from it. A detector's card lists the systems that it was trained on.",
        "",
        "| page | commit | licence of the repository | year | clips |",
        "|---|---|---|---|---|",
    ]
    for repo, n_clips in sorted(counts.items()):
        page = catalogue.pages[repo]
        lines.append(f"| {repo} | {page.commit[:12]} | {page.licence} | {page.year} | {n_clips} |")
    return "\n".join(lines) + "\n"


def _noted(clips: Iterable[Clip], name: str) -> set[str]:
    return {clip.notes[name] for clip in clips if name in clip.notes}
