"""A build is resumable, repeats itself, and says what it leaves out."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from unheard import audio
from unheard.attacks import Attack, Kind, Speech
from unheard.corpora.open import SIZES, Built, build, building, check, make
from unheard.corpora.open.sizes import Size
from unheard.corpora.open.speech import Recording, load
from unheard.data.clip import Manifest
from unheard.errors import AttackError, AudioError, CorpusError
from unheard.types import FloatArray

SPEAKERS = {"fillets-nl-m": "nl", "fillets-cs-m": "cs", "asterisk-allison": "en"}
SIZE = Size(
    bonafide={"train": 4, "dev": 2, "eval_in": 2, "eval_out": 2},
    spoof={"train": 9, "dev": 3, "eval_in": 3, "eval_out": 8},
    extra={"train_extra": 2},
)


@dataclass(frozen=True)
class Quiet:
    """A copy at half the level; `broken` ones fail, `absent` ones are not installed."""

    name: str
    family: str
    kind: Kind = "copy"
    languages: tuple[str, ...] = ()
    free: bool = True
    licence: str = "x"
    packages: tuple[str, ...] = ()

    def missing(self) -> str:
        return "install it" if "absent" in self.name else ""

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        if "broken" in self.name:
            raise AttackError("no engine")
        if self.kind == "text":
            return babble(2.4, len(speech.text))
        return (0.5 * speech.samples).astype(np.float32)


GENERATORS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        Quiet("world", "signal vocoder"),
        Quiet("codec2-1300", "parametric codec"),
        Quiet("absent-codec", "parametric codec"),
        Quiet("broken-morph", "conversion"),
        Quiet("espeak-ng-nl", "formant", "text", ("nl",)),
    )
}


def babble(length_s: float, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.1, round(16_000 * length_s))
    return (noise * (1 + np.sin(np.arange(noise.size) / 900))).astype(np.float32)


def recorded(folder: Path) -> list[Recording]:
    """Recordings of three speakers, laid into a cache."""
    recordings = []
    for number, (speaker, language) in enumerate(SPEAKERS.items()):
        for n in range(6):
            path = f"root/{speaker}-{n}.wav"
            audio.write(folder / path, babble(2.0 + 0.1 * n, 100 * number + n))
            text = f"A line of words number {n} that {speaker} says."
            recordings.append(
                Recording(f"{speaker}/{n}", (path,), speaker, language, "x", "p", text)
            )
    return recordings


@pytest.fixture(scope="module", autouse=True)
def small_world() -> Iterator[None]:
    """No packages: recordings and generators of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "fetch", lambda *_: [])
        patch.setattr(building, "install_engines", lambda *_: None)
        patch.setattr(building, "catalogue", recorded)
        patch.setattr(building, "attacks", lambda cache: GENERATORS)
        patch.setattr(make, "_generators", lambda cache: GENERATORS)
        patch.setitem(SIZES, "toy", SIZE)
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def built(cache: Path, lines: list[str]) -> Built:
    return build(cache, size="toy", jobs=1, say=lines.append)


def test_a_build_gives_both_versions_of_the_same_clips(cache: Path, built: Built) -> None:
    raw, equalised = Manifest.read(built.raw), Manifest.read(built.equalised)
    assert [c.id for c in raw] == [c.id for c in equalised]
    assert built.raw == cache / "open-toy/raw.parquet"
    assert built.equalised == cache / "open-toy/equalised.parquet"
    assert built.picture.read_bytes().startswith(b"\x89PNG")
    assert "bona fide" in built.summary
    assert "| p | x | recorded |" in built.notice.read_text()
    copy = next(clip for clip in equalised if clip.attack == "world")
    assert copy.source_clip in {clip.id for clip in raw}
    assert copy.duration_s == pytest.approx(audio.read(equalised.file(copy)).duration_s)
    report = check(equalised, probe=False)
    assert not report.failed
    assert set(report.counts) >= {"train", "dev", "eval_in", "eval_out"}


def test_one_seed_gives_one_hash_wherever_it_is_built_and_another_seed_another(
    tmp_path: Path, built: Built
) -> None:
    first = Manifest.read(built.equalised).sha256()
    again = build(tmp_path, size="toy", jobs=1)
    assert Manifest.read(again.equalised).sha256() == first
    other = build(tmp_path, size="toy", seed=1, jobs=1)
    assert Manifest.read(other.equalised).sha256() != first


def test_clips_that_exist_are_not_generated_again(cache: Path, built: Built) -> None:
    before = {p: p.stat().st_mtime_ns for p in (cache / "made").rglob("*.flac")}
    lines: list[str] = []
    again = build(cache, size="toy", jobs=1, say=lines.append)
    assert before
    assert {p: p.stat().st_mtime_ns for p in (cache / "made").rglob("*.flac")} == before
    assert any("10 recordings, 10 of them there already" in line for line in lines)
    assert again.summary == built.summary


def test_failing_and_missing_generators_are_reported_and_left_out(
    built: Built, lines: list[str]
) -> None:
    assert any(line.startswith("broken-morph: ") and "no engine" in line for line in lines)
    assert any("of absent-codec: install it" in line for line in lines)
    assert not {"broken-morph", "absent-codec"} & {c.attack for c in Manifest.read(built.raw)}
    assert any("no engine" in why for why in built.left_out.values())


def test_a_recording_that_cannot_be_read_is_left_out_with_its_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SIZES, "toy", replace(SIZE, extra={}))
    recordings = recorded(tmp_path)
    (tmp_path / "speech_s.json").write_text(
        json.dumps({recording.id: 2.0 for recording in recordings})
    )
    broken = {r.id for r in recordings if r.speaker == "fillets-nl-m"} - {"fillets-nl-m/0"}

    def fails(cache: Path, recording: Recording) -> FloatArray:
        if recording.id in broken:
            raise AudioError(f"{recording.id}: not audio")
        return load(cache, recording)

    monkeypatch.setattr(make, "load", fails)
    lines: list[str] = []
    built = build(tmp_path, size="toy", jobs=1, say=lines.append)
    kept = {clip.source_clip or clip.id for clip in Manifest.read(built.raw)}
    assert not broken & kept
    assert any(line.startswith("recordings: ") and "not audio" in line for line in lines)


def test_the_expected_time_is_reported_first(built: Built, lines: list[str]) -> None:
    planned = next(n for n, line in enumerate(lines) if "clips planned: about" in line)
    assert any("recordings, 0 of them" in line for line in lines[planned:])


def test_equalised_durations_do_not_give_the_label_away(built: Built) -> None:
    manifest = Manifest.read(built.equalised).part("train")
    length, human = manifest.column("duration_s"), manifest.column("bonafide").astype(bool)
    edges = 0.4
    assert abs(np.median(length[human]) - np.median(length[~human])) < edges / 2


def test_an_unknown_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="did you mean 'small'"):
        build(tmp_path, size="smal")


def test_several_processes_generate_what_a_single_one_does(tmp_path: Path) -> None:
    assert sorted(make.in_parallel(abs, [-1, -2, 3], 2, chunk=1)) == [1, 2, 3]
    assert list(make.in_parallel(abs, [-1, -2, 3], 1, chunk=1)) == [1, 2, 3]


def test_a_killed_worker_is_reported_with_what_to_do() -> None:
    with pytest.raises(CorpusError, match=r"died \(exit code 1\).*build again with fewer jobs"):
        list(make.in_parallel(os._exit, [1, 1, 1], 2, chunk=1))
