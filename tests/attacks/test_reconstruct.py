"""Does every clip of the training parts get its twin, and does nothing give a twin away?"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from copying import Crash, Echo, Weighted
from synthetic_corpus import hum
from unheard import audio
from unheard.attacks import ATTACKS, FAMILIES, Speech
from unheard.attacks import reconstruct as reconstruct_module
from unheard.attacks.reconstruct import reconstruct
from unheard.attacks.twins import TwinOutcome, identity
from unheard.corpora.open.twin_cues import compare_twins
from unheard.data.clip import RECONSTRUCTION, Clip, Manifest
from unheard.errors import AttackError, ManifestError
from unheard.types import FloatArray

RATE_HZ = 16_000


def clip(root: Path, name: str, part: str, samples: FloatArray, *, bonafide: bool) -> Clip:
    audio.write(root / "audio" / f"{name}.flac", samples)
    return Clip(
        id=name,
        path=f"audio/{name}.flac",
        bonafide=bonafide,
        part=part,
        attack="-" if bonafide else "saw",
        family="-" if bonafide else "formant",
        speaker=f"{part}-speaker",
        language="cs",
        licence="CC0",
        notes={"room_s": "0.1"},
    )


def corpus(root: Path, *, n_each: int = 2, parts: tuple[str, ...] = ("train", "dev")) -> Manifest:
    """Humming people and machines, of lengths from half a second on."""
    clips: list[Clip] = []
    for part in (*parts, "eval_in"):
        for index in range(n_each):
            for bonafide in (True, False):
                rng = np.random.default_rng((len(clips), 3))
                wave = rng.uniform(0.5, 1.0) * hum(rng, 0.5 + 0.05 * index, 0.1, 1.0)
                name = f"{part}-{'human' if bonafide else 'saw'}-{index}"
                clips.append(clip(root, name, part, wave, bonafide=bonafide))
    return Manifest.of(clips, root)


def samples_of(manifest: Manifest, clip: Clip) -> FloatArray:
    return audio.read(manifest.file(clip), minimum_s=0.0).samples


def test_every_clip_of_train_and_dev_has_a_twin_and_no_other(tmp_path: Path) -> None:
    given = corpus(tmp_path / "data")
    result = reconstruct(given, [Echo()], tmp_path / "out")
    whole = Manifest.read(result.manifest)
    twins = {clip.source_clip: clip for clip in whole if clip.family == RECONSTRUCTION}
    assert set(twins) == {clip.id for clip in given if clip.part != "eval_in"}
    assert {clip.id for clip in whole} - {clip.id for clip in twins.values()} == {
        c.id for c in given
    }
    assert (result.n_made, result.n_kept, result.failures) == (8, 0, {})


def test_a_twin_is_as_long_and_as_loud_as_its_source_and_lies_where_the_manifest_says(
    tmp_path: Path,
) -> None:
    given = corpus(tmp_path / "data")
    # Griffin-Lim, a generator that changes every sample.
    row = replace(ATTACKS["griffin-lim-mel"], n_rounds=2)  # type: ignore[type-var]
    whole = Manifest.read(reconstruct(given, [row], tmp_path / "out", parts=("dev",)).manifest)
    by_id = {clip.id: clip for clip in whole}
    twins = [clip for clip in whole if clip.family == RECONSTRUCTION]
    assert len(twins) == 4
    for twin in twins:
        assert not Path(twin.path).is_absolute()
        copy, source = samples_of(whole, twin), samples_of(whole, by_id[twin.source_clip])
        assert copy.shape == source.shape
        assert twin.duration_s == pytest.approx(source.size / RATE_HZ)
        assert abs(10 * np.log10(np.mean(copy**2) / np.mean(source**2))) < 0.5
        assert not np.allclose(copy, source, atol=1e-2)


def test_a_twin_is_spoofed_whichever_class_its_source_is_and_keeps_speaker_part_and_language(
    tmp_path: Path,
) -> None:
    given = corpus(tmp_path / "data")
    whole = Manifest.read(reconstruct(given, [Echo(gain=0.9)], tmp_path / "out").manifest)
    sources = {clip.id: clip for clip in given}
    for twin in (clip for clip in whole if clip.family == RECONSTRUCTION):
        source = sources[twin.source_clip]
        assert not twin.bonafide
        assert twin.attack == "echo"
        assert twin.notes["reconstructed"] == ("bonafide" if source.bonafide else "spoof")
        assert twin.notes["room_s"] == "0.1"
        assert "gain=0.9" in twin.notes["settings"]
        assert twin.notes["generator_family"] in FAMILIES
        for name in ("part", "speaker", "language", "licence"):
            assert getattr(twin, name) == getattr(source, name)


@pytest.mark.parametrize("part", ["eval_in", "eval", "test", "progress"])
def test_no_twin_is_made_of_a_part_for_testing(tmp_path: Path, part: str) -> None:
    given = corpus(tmp_path / "data")
    with pytest.raises(AttackError, match=f"no twins are made of part '{part}'.*begin with train"):
        reconstruct(given, [Echo()], tmp_path / "out", parts=("train", part))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("column", ["attack", "family"])
def test_a_generator_that_only_test_parts_know_is_refused(tmp_path: Path, column: str) -> None:
    given, echo = corpus(tmp_path / "data"), Echo()
    known = {"attack": echo.name, "family": echo.family}[column]
    change: dict[str, Any] = {column: known}

    def spoken(parts: tuple[str, ...]) -> Manifest:
        own = [clip.part in parts and not clip.bonafide for clip in given]
        changed = [replace(clip, **change) for clip in given]
        pairs = zip(own, given, changed, strict=True)
        return Manifest.of([new if mine else old for mine, old, new in pairs], given.root)

    with pytest.raises(AttackError, match=f"{column} '{known}' is among .*eval_in.* and not in"):
        reconstruct(spoken(("eval_in",)), [echo], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert reconstruct(spoken(("eval_in", "train")), [echo], tmp_path / "out").n_made == 8


def test_a_part_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no clip is in part 'trains'; did you mean 'train'"):
        reconstruct(corpus(tmp_path / "data"), [Echo()], tmp_path / "out", parts=("trains",))


def test_generators_that_speak_texts_or_are_not_ready_are_refused(tmp_path: Path) -> None:
    given = corpus(tmp_path / "data")
    with pytest.raises(AttackError, match="speaks texts and copies no recording; choose"):
        reconstruct(given, [ATTACKS["flite-slt"]], tmp_path / "out")
    with pytest.raises(AttackError, match="no model is named; train one with `unheard generate"):
        reconstruct(given, [ATTACKS["diffusion"]], tmp_path / "out")


def test_the_second_run_makes_only_what_is_not_there_and_makes_it_alike(tmp_path: Path) -> None:
    given = corpus(tmp_path / "data")
    out = tmp_path / "out"
    reconstruct(given, [Echo()], out)
    files = sorted(out.rglob("*.flac"))
    contents = [file.read_bytes() for file in files]
    files[3].unlink()
    again = reconstruct(given, [Echo()], out)
    assert (again.n_made, again.n_kept) == (1, 7)
    assert [file.read_bytes() for file in files] == contents


def test_twins_are_shared_by_manifests_and_made_anew_when_audio_or_settings_change(
    tmp_path: Path,
) -> None:
    cache = tmp_path / "cache"
    given = corpus(tmp_path / "data")
    reconstruct(given, [Echo()], tmp_path / "one", cache=cache)
    moved = Manifest.of(corpus(tmp_path / "elsewhere"), tmp_path / "elsewhere")
    assert reconstruct(moved, [Echo()], tmp_path / "two", cache=cache).n_made == 0
    assert reconstruct(given, [Echo(noise=0.01)], tmp_path / "one", cache=cache).n_made == 8
    changed = next(clip for clip in given if clip.id == "dev-saw-1")
    audio.write(given.file(changed), 0.1 * samples_of(given, changed))
    assert reconstruct(given, [Echo()], tmp_path / "one", cache=cache).n_made == 1


def test_weights_count_by_what_they_are_not_by_where_they_lie(tmp_path: Path) -> None:
    first, same, other = (
        identity(Weighted(source=Weighted.write(tmp_path / name, content)))
        for name, content in (("a", "weights"), ("b", "weights"), ("c", "others"))
    )
    assert first == same
    assert first != other
    with pytest.raises(AttackError, match=r"no folder .* give one with --set source=FOLDER"):
        identity(Weighted(source=str(tmp_path / "none")))


def test_twins_get_no_twins_and_generators_add_up(tmp_path: Path) -> None:
    first = reconstruct(corpus(tmp_path / "data"), [Echo()], tmp_path / "one")
    second = reconstruct(Manifest.read(first.manifest), [Echo("other")], tmp_path / "two")
    whole = Manifest.read(second.manifest)
    assert second.n_made == 8
    assert sorted({clip.attack for clip in whole}) == ["-", "echo", "other", "saw"]
    assert all(whole.file(clip).is_file() for clip in whole)
    assert len({clip.id for clip in whole}) == 12 + 8 + 8


def test_the_same_generator_again_resumes_on_its_own_manifest(tmp_path: Path) -> None:
    given = corpus(tmp_path / "data")
    file = given.file(next(clip for clip in given if clip.id == "train-human-1"))
    whole = file.read_bytes()
    file.write_bytes(b"no audio")
    first = reconstruct(given, [Echo()], tmp_path / "one")
    file.write_bytes(whole)
    again = reconstruct(Manifest.read(first.manifest), [Echo()], tmp_path / "one")
    assert (first.n_made, again.n_made, again.n_kept) == (7, 1, 7)
    assert len(Manifest.read(again.manifest)) == 12 + 8


def test_a_clip_that_fails_costs_one_twin(tmp_path: Path) -> None:
    given = corpus(tmp_path / "data")
    broken = given.file(next(clip for clip in given if clip.id == "train-human-1"))
    broken.write_bytes(b"no audio")
    result = reconstruct(given, [Echo()], tmp_path / "out")
    assert list(result.failures) == ["train-human-1"]
    assert result.n_made == 7
    assert len(Manifest.read(result.manifest)) == 12 + 7


def test_a_recording_that_is_not_there_costs_one_twin(tmp_path: Path) -> None:
    given = corpus(tmp_path / "data")
    given.file(next(clip for clip in given if clip.id == "train-human-1")).unlink()
    result = reconstruct(given, [Echo()], tmp_path / "out")
    assert list(result.failures) == ["train-human-1"]
    assert "No such file" in result.failures["train-human-1"]
    assert (result.n_made, result.n_kept) == (7, 0)
    elsewhere = given.write(tmp_path / "elsewhere" / "manifest.parquet")
    with pytest.raises(AttackError, match=r"none of the 8 clips can be read, .*lies in .*elsewh"):
        reconstruct(Manifest.read(elsewhere), [Echo()], tmp_path / "other")


def test_a_generator_that_makes_nothing_is_not_tried_for_ever(tmp_path: Path) -> None:
    root = tmp_path / "data"
    rng = np.random.default_rng(0)
    waves = [rng.normal(0, 0.1, 1_234).astype(np.float32) for _ in range(8)]
    clips = [clip(root, f"c{n}", "train", wave, bonafide=True) for n, wave in enumerate(waves)]
    with pytest.raises(AttackError, match=r"the first 6 clips failed, .*give another length"):
        reconstruct(Manifest.of(clips, root), [Echo()], tmp_path / "out", parts=("train",))
    few = Manifest.of(clips[:2], root)
    with pytest.raises(AttackError, match=r"no clip could be reconstructed, .*another length"):
        reconstruct(few, [Echo()], tmp_path / "out", parts=("train",))


def test_a_process_that_dies_costs_one_twin(tmp_path: Path) -> None:
    given = corpus(tmp_path / "data", n_each=1)
    wave = np.random.default_rng(0).normal(0, 0.1, 1_234).astype(np.float32)
    bad = clip(tmp_path / "data", "a-killer", "train", wave, bonafide=True)
    both = Manifest.of([*given, bad], given.root)
    result = reconstruct(both, [Crash()], tmp_path / "out", jobs=2)
    assert list(result.failures) == ["a-killer"]
    assert "died" in result.failures["a-killer"]
    assert result.n_made == 4


def test_processes_make_the_same_twins_as_one(tmp_path: Path) -> None:
    given = corpus(tmp_path / "data", n_each=1)
    hashes = [
        [
            clip.sha256
            for clip in Manifest.read(reconstruct(given, [Echo()], out, jobs=jobs).manifest)
        ]
        for out, jobs in ((tmp_path / "one", 1), (tmp_path / "two", 2))
    ]
    assert hashes[0] == hashes[1]


def test_the_folder_of_twins_says_how_they_were_made(tmp_path: Path) -> None:
    reconstruct(corpus(tmp_path / "data", n_each=1), [Echo(gain=0.7)], tmp_path / "out")
    (settings_file,) = (tmp_path / "out" / "twins").glob("echo-*/generator.json")
    assert json.loads(settings_file.read_text())["gain"] == 0.7


def test_twins_that_differ_in_level_are_given_away_by_it(tmp_path: Path) -> None:
    given = corpus(tmp_path / "data", n_each=12)
    result = reconstruct(given, [Echo(gain=0.3)], tmp_path / "out")
    (report,) = compare_twins(Manifest.read(result.manifest))
    assert report.n_twins == 48
    assert "Twins are given away (length, level, silence" in report.verdict()
    assert "the cue that differs most is" in report.verdict()
    assert "level_db" in report.verdict() or "peak_db" in report.verdict()
    assert report.verdict() in report.render()
    level = next(row for row in report.cue_rows if (row.cue, row.part) == ("level_db", "dev"))
    assert level.spoof[1] - level.bonafide[1] == pytest.approx(20 * np.log10(0.3), abs=0.5)


def test_a_constant_offset_of_a_generator_does_not_reach_its_twins(tmp_path: Path) -> None:
    given = corpus(tmp_path / "data", n_each=1)
    whole = Manifest.read(reconstruct(given, [Echo(offset=0.01)], tmp_path / "out").manifest)
    by_id = {clip.id: clip for clip in whole}
    for twin in (clip for clip in whole if clip.family == RECONSTRUCTION):
        means = [
            samples_of(whole, clip).mean(dtype=float) for clip in (twin, by_id[twin.source_clip])
        ]
        assert abs(means[0] - means[1]) < 1e-6


def test_twins_that_differ_in_nothing_are_not(tmp_path: Path) -> None:
    given = corpus(tmp_path / "data", n_each=12)
    result = reconstruct(given, [Echo(noise=0.0)], tmp_path / "out")
    (report,) = compare_twins(Manifest.read(result.manifest))
    assert report.verdict().startswith("No probe tells twins from sources")
    assert {row.part for row in report.cue_rows} == {"train", "dev"}


def test_a_manifest_without_twins_or_sources_cannot_be_compared(tmp_path: Path) -> None:
    given = corpus(tmp_path / "data", n_each=1)
    with pytest.raises(AttackError, match="has no twins; make some with `unheard generate cop"):
        compare_twins(given)
    whole = Manifest.read(reconstruct(given, [Echo()], tmp_path / "out").manifest)
    orphans = whole.where(whole.column("family") == RECONSTRUCTION)
    with pytest.raises(AttackError, match=r"sources of 4 twins are not in the manifest, .* give"):
        compare_twins(orphans)


def by_generator(manifest: Path) -> dict[str, str]:
    """Which generator each source went to."""
    whole = Manifest.read(manifest)
    return {clip.source_clip: clip.attack for clip in whole if clip.family == RECONSTRUCTION}


def test_generators_share_the_clips_and_each_clip_always_goes_to_the_same(tmp_path: Path) -> None:
    given = corpus(tmp_path / "data", n_each=8)
    three = [Echo(name) for name in ("one", "two", "three")]
    result = reconstruct(given, three, tmp_path / "all")
    shared = by_generator(result.manifest)
    assert len(shared) == result.n_made == 32
    assert {"one", "two", "three"} == set(shared.values())
    part = reconstruct(given, three, tmp_path / "dev", parts=("dev",))
    assert by_generator(part.manifest).items() <= shared.items()
    fewer = by_generator(reconstruct(given, three[:2], tmp_path / "two").manifest)
    stayed = {clip: name for clip, name in shared.items() if name != "three"}
    assert stayed.items() <= fewer.items()


def test_a_clip_may_have_several_twins_and_people_alone_may_have_some(tmp_path: Path) -> None:
    given = corpus(tmp_path / "data")
    three = [Echo(name) for name in ("one", "two", "three")]
    result = reconstruct(given, three, tmp_path / "out", each=2, people_only=True)
    twins = [clip for clip in Manifest.read(result.manifest) if clip.family == RECONSTRUCTION]
    assert len(twins) == 4 * 2
    assert all(clip.notes["reconstructed"] == "bonafide" for clip in twins)
    assert len({(clip.source_clip, clip.attack) for clip in twins}) == 8


@dataclass(frozen=True)
class Never(Echo):
    """Copies nothing."""

    name: str = "never"

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        raise AttackError("never: does not work")


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_generator_that_never_works_is_given_up_and_the_others_go_on(
    tmp_path: Path, jobs: int
) -> None:
    given, lines = corpus(tmp_path / "data", n_each=12), list[str]()
    both = [Never(), Echo()]
    result = reconstruct(given, both, tmp_path / "out", jobs=jobs, say=lines.append)
    assert set(by_generator(result.manifest).values()) == {"echo"}
    assert result.n_made + len(result.failures) == 48
    assert [line for line in lines if line.startswith("gave up never: the first 6 clips failed")]
    assert sum("not tried" in why for why in result.failures.values()) > 4


def test_a_run_that_is_killed_leaves_a_manifest_of_what_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconstruct_module, "_WRITE_EVERY_S", 0.0)
    n_calls = 0

    def generate(self: Echo, speech: Speech, rng: np.random.Generator) -> FloatArray:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 4:
            raise KeyboardInterrupt
        return 0.5 * speech.samples

    monkeypatch.setattr(Echo, "generate", generate)
    given, out = corpus(tmp_path / "data"), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        reconstruct(given, [Echo()], out)
    assert len(by_generator(out / "manifest.parquet")) == 3
    again = reconstruct(given, [Echo()], out)
    assert (again.n_made, again.n_kept) == (5, 3)


def test_time_left_counts_each_generator_at_its_own_pace() -> None:
    tasks = [SimpleNamespace(attack=Echo(name)) for name in ["slow"] * 10 + ["fast"] * 10]
    pace = reconstruct_module._Pace(tasks, 2)  # type: ignore[arg-type]
    pace.add("slow", TwinOutcome("", 120.0))
    pace.add("fast", TwinOutcome("", 0.0))
    assert pace.line() == "2 of 20 twins (10 %), about 9 min left"
