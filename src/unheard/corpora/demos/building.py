"""Build the corpus of demonstration pages, from public hosts, local mirrors, or a pack.

pack/clips/PART/BLOB.flac       clips cut before, named by the first 16 digits of the git hash
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from unheard.corpora.demos.catalogue import Catalogue, Rule, read_catalogue
from unheard.corpora.demos.choosing import Choice, Recording, chosen, others, pages
from unheard.corpora.demos.copies import Copies, find_copies
from unheard.corpora.demos.making import CutOutcome, CutRows, Task, make_all
from unheard.corpora.demos.summary import notice, summary
from unheard.corpora.git_files import Hosts, Mirrors, Repositories
from unheard.data.clip import BONAFIDE_ATTACK, Clip, Manifest
from unheard.errors import CorpusError
from unheard.types import Say
from unheard.workers import with_progress

__all__ = ["Built", "build"]


@dataclass(frozen=True)
class Built:
    """What a build gave.

    Attributes:
        manifest: Of the clips, a .parquet file.
        summary: Table of what is in it.
        notice: Pages, their commits and licences.
        failed: Why, by page of which clips are missing because something could not be had.
        left_out: Why, by id of a clip that cannot be made, or is a copy of another.
        copies: Near copies that were found, each left out in favour of the one kept.
        differing: Clips whose samples are not those of the catalogue: another decoder made them.
    """

    manifest: Path
    summary: str
    notice: Path
    failed: dict[str, str]
    left_out: dict[str, str]
    copies: Copies
    differing: tuple[str, ...]


@dataclass
class _Work:
    """What a build knows so far."""

    recordings: dict[str, Recording] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    n_pages: int = 0


def build(
    out: Path,
    source: Repositories | Path,
    choice: Choice | None = None,
    *,
    jobs: int = 1,
    say: Say = lambda line: None,
    catalogue: Catalogue | None = None,
) -> Built:
    """Build the corpus; what is there already is not made again, and what fails is left out.

    Writes `out/raw.parquet`, the audio in `out/clips`, `summary.txt`, `left_out.json`, `NOTICE.md`.
    The capped clips are the same from every source, to the bit.

    Args:
        out: Folder of the corpus; made if missing.
        source: `Hosts` or `Mirrors`, or the folder of a pack.
        choice: What of the catalogue is wanted; all of the capped corpus if none is given.
        jobs: Processes that decode, at least one: files of strangers are never decoded in this one.
        say: Receives progress, one line at a time.
        catalogue: Another one than the package carries.

    Raises:
        CorpusError: If nothing could be built, or more is wanted than a pack holds.
    """
    known, choice = catalogue or read_catalogue(), choice or Choice()
    _check(source, choice)
    work = _Work()
    with CutRows(out / "cut.jsonl") as rows:
        if rows.of:
            say(f"{len(rows.of)} clips were cut before; those that are wanted are not cut again")
        _forget_excluded(out, source, known, say)
        cut = make_all(_tasks(out, source, choice, known, work, say), rows, jobs)
        for outcome in with_progress(cut, None, say, "clips cut"):
            if outcome.error and not outcome.final:
                repo = work.recordings[outcome.id].page.repo
                work.failed.setdefault(repo, outcome.error.removeprefix(f"{repo}/"))
        for repo, why in sorted(work.failed.items()):
            say(f"{repo}: {why}")
        return _written(out, known, work, rows, say)


def _check(source: Repositories | Path, choice: Choice) -> None:
    """Refuse a folder that cannot be what it was given as, before each page is looked for in it."""
    folder = source.folder if isinstance(source, Mirrors) else source
    if isinstance(folder, Path) and not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder; give the one that --mirrors or --pack means")
    if not isinstance(source, Path):
        return
    if choice.every:
        raise CorpusError("a pack holds the capped clips only; give --mirrors, or no --every")
    if next(source.glob("clips/*/*.flac"), None) is None:
        raise CorpusError(
            f"{source}: no files clips/PART/*.flac in it, as a pack has; give the folder of a pack"
        )


def _tasks(
    out: Path,
    source: Repositories | Path,
    choice: Choice,
    known: Catalogue,
    work: _Work,
    say: Say,
) -> Iterator[Task]:
    """What is to be made, page by page; each page is fetched when its turn comes."""
    wanted = pages(known, choice)
    taken = {clip.blob for clips in known.chosen.values() for clip in clips}
    for number, page in enumerate(wanted, start=1):
        listed = list(chosen(known, choice, page))
        origin, beyond = source if isinstance(source, Path) else out, []
        try:
            if not isinstance(source, Path):
                say(f"page {number} of {len(wanted)}: {page.repo}")
                repository = source.open(page.repo, page.commit)
                origin = repository.git_dir
                if choice.every:
                    beyond = list(others(known, choice, page, repository.listed(), taken))
                missing = [file for file in (*listed, *beyond) if not (out / file.file).is_file()]
                repository.bring([file.blob for file in missing])
        except CorpusError as error:
            work.failed[page.repo] = str(error)
            continue
        taken |= {recording.blob for recording in beyond}
        work.n_pages += 1
        for recording in (*listed, *beyond):
            work.recordings[recording.id] = recording
            yield Task.of(recording, origin, out, pack=isinstance(source, Path))


def _forget_excluded(out: Path, source: Repositories | Path, known: Catalogue, say: Say) -> None:
    """Delete what an earlier build has fetched and cut of excluded pages, finished or not."""
    for repo, reason in known.excluded.items():
        say(f"{repo}: left out at its owner's wish ({reason})")
        if isinstance(source, Hosts):
            source.forget(repo)
        for listed in known.chosen.get(repo, ()):
            for file in out.glob(f"clips/*/{listed.blob[:16]}.flac"):
                file.unlink()
    if known.excluded and (out / "raw.parquet").is_file():
        before = Manifest.read(out / "raw.parquet")
        for clip in before:
            if clip.notes.get("page") in known.excluded:
                before.file(clip).unlink(missing_ok=True)


def _written(out: Path, known: Catalogue, work: _Work, rows: CutRows, say: Say) -> Built:
    clips, left_out, differing, before = [], {}, [], _before_part(known)
    for name, recording in work.recordings.items():
        outcome = rows.of.get(name)
        if outcome is None or outcome.error:
            left_out[name] = outcome.error if outcome else "not made"
            continue
        clips.append(_clip(recording, outcome, before.get(recording.page.part)))
        if recording.listed is not None and outcome.pcm_sha256 != recording.listed.pcm_sha256:
            differing.append(name)
    if not clips:
        why = next(iter([*work.failed.values(), *left_out.values()]), "no page fits the choice")
        raise CorpusError(f"not one clip could be built; the first reason: {why}")
    copies = _copies(clips, out, known, work, say)
    left_out |= {copy: f"near copy of {kept}" for copy, kept in copies.kept.items()}
    manifest = Manifest.of([clip for clip in clips if clip.id not in copies.kept], out)
    table = summary(manifest) + copies.render({clip.id: clip for clip in clips})
    (out / "summary.txt").write_text(table, "utf-8")
    (out / "left_out.json").write_text(json.dumps(left_out, indent=1, sort_keys=True), "utf-8")
    (out / "NOTICE.md").write_text(notice(manifest, known), "utf-8")
    return Built(
        manifest=manifest.write(out / "raw.parquet"),
        summary=table,
        notice=out / "NOTICE.md",
        failed=work.failed,
        left_out=left_out,
        copies=copies,
        differing=tuple(sorted(differing)),
    )


def _copies(clips: list[Clip], out: Path, known: Catalogue, work: _Work, say: Say) -> Copies:
    """Near copies: those that the catalogue knows of, and where caps are lifted, all others."""
    ids = {clip.id: clip for clip in clips}
    kept = {
        copy: other
        for copy, other in known.copies.items()
        if copy in ids and other in ids  # with its like left out, a copy is the only one
    }
    rest = [clip for clip in clips if clip.id not in kept]
    beyond = [clip for clip in rest if work.recordings[clip.id].listed is None]
    if beyond:
        listed = [clip for clip in rest if work.recordings[clip.id].listed is not None]
        nearest = find_copies(listed + beyond, out, say)
        # Clips of the capped corpus stay as they are: every build evaluates on the same ones.
        kept |= {
            copy: other
            for copy, other in nearest.kept.items()
            if work.recordings[copy].listed is None
        }
    return Copies(kept)


def _clip(
    recording: Recording, outcome: CutOutcome, before: tuple[frozenset[str], frozenset[str]] | None
) -> Clip:
    page, rule, listed = recording.page, recording.rule, recording.listed
    speaker = rule.speaker(recording.path)
    container = listed.container if listed else Path(recording.path).suffix[1:].lower()
    notes = {
        "page": page.repo,
        "laboratory": page.laboratory,
        "fold": page.fold,
        "variant": rule.system.partition(":")[2],
        "source_corpus": rule.source_corpus,
        "year": page.year,
        "container": container,
        "original_rate_hz": str(listed.original_rate_hz if listed else outcome.original_rate_hz),
        "original_s": f"{listed.original_s if listed else outcome.original_s:g}",
        "commit": page.commit,
        "file": recording.path,
        "git_blob": recording.blob,
        **_seen(rule, before),
    }
    return Clip(
        id=recording.id,
        path=recording.file,
        bonafide=rule.bonafide,
        part=recording.part,
        attack=BONAFIDE_ATTACK if rule.bonafide else rule.base_system,
        family=BONAFIDE_ATTACK if rule.bonafide else rule.kind,
        speaker=f"{page.repo}/{speaker}" if speaker else "",
        corpus="demos",
        language=rule.language,
        licence=page.licence,
        codec=container,
        duration_s=outcome.duration_s,
        sha256=outcome.sha256,
        notes={name: value for name, value in notes.items() if value},
    )


def _before_part(known: Catalogue) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """Base systems and source corpora on any page of the parts before a part."""
    before = {"dev": ("train",), "eval": ("train", "dev")}
    return {part: (known.systems(*some), known.sources(*some)) for part, some in before.items()}


def _seen(rule: Rule, before: tuple[frozenset[str], frozenset[str]] | None) -> dict[str, str]:
    """Whether the parts before have a clip's system, or the source corpus of its voice."""
    if before is None or (rule.bonafide and not rule.sources):
        return {}
    systems, sources = before
    if rule.bonafide:
        return {"source_seen": "yes" if sources & {*rule.sources} else "no"}
    return {"unseen": "no" if rule.base_system in systems else "yes"}
