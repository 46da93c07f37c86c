from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synthetic_corpus import corpus
from unheard import audio
from unheard.audio.augment import Augment, Step
from unheard.data.batches import Balanced, Batch, BatchSource, Shuffled
from unheard.data.clip import Clip, Manifest
from unheard.errors import RecipeError, TrainingError

AUGMENT = Augment((Step("noise", 0.5), Step("polarity", 0.5)))
SAMPLER = Balanced(batch_clips=8)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus(tmp_path_factory.mktemp("corpus")).part("train")


def source(manifest: Manifest, **changes: object) -> BatchSource:
    settings = {"window_s": 0.5, "seed": 3, "augment": AUGMENT} | changes
    return BatchSource(manifest, SAMPLER, **settings)  # type: ignore[arg-type]


def assert_same(batch: Batch, other: Batch) -> None:
    assert batch.ids == other.ids
    for name in ("waveform", "n_samples", "bonafide", "domain", "twin"):
        assert torch.equal(getattr(batch, name), getattr(other, name)), name


def table(attacks: list[str], speakers: list[str] | None = None) -> Manifest:
    speakers = speakers or [""] * len(attacks)
    rows = zip(attacks, speakers, strict=True)
    clips = [
        Clip(id=f"{i:04d}", path="x", bonafide=a == "-", part="train", attack=a, speaker=s)
        for i, (a, s) in enumerate(rows)
    ]
    return Manifest.of(clips, Path())


def test_any_number_of_workers_gives_the_same_batches(manifest: Manifest) -> None:
    alone = list(source(manifest).batches(0, 5, workers=0))
    helped = list(source(manifest).batches(0, 5, workers=2))
    assert len(alone) == len(helped) == 5
    for batch, other in zip(alone, helped, strict=True):
        assert_same(batch, other)


def test_a_batch_depends_on_its_step_alone(manifest: Manifest) -> None:
    whole = list(source(manifest).batches(0, 6))
    later = list(source(manifest).batches(4, 6))
    assert_same(whole[4], later[0])
    assert_same(whole[5], later[1])
    assert not torch.equal(whole[4].waveform, whole[5].waveform)
    assert not torch.equal(whole[0].waveform, source(manifest, seed=4)[0].waveform)


def test_loading_does_not_move_the_global_generator(manifest: Manifest) -> None:
    before = torch.get_rng_state()
    list(source(manifest).batches(0, 2))
    assert torch.equal(before, torch.get_rng_state())


def test_cached_clips_give_the_same_batches_as_files(manifest: Manifest) -> None:
    from_memory = next(source(manifest, augment=None).batches(0, 1))
    from_files = next(source(manifest, augment=None, cache_bytes=0).batches(0, 1))
    assert from_memory.ids == from_files.ids
    # A part read from a file may start one sample off the cut from memory.
    for cut, other in zip(from_memory.waveform, from_files.waveform, strict=True):
        shifts = [torch.roll(other, shift)[2:-2] for shift in (-1, 0, 1)]
        assert min((cut[2:-2] - shifted).abs().max().item() for shifted in shifts) < 1e-4


def test_clips_of_unknown_length_are_cut_too(manifest: Manifest) -> None:
    clips = [replace(clip, duration_s=0.0) for clip in manifest]
    batch = next(source(Manifest.of(clips, manifest.root)).batches(0, 1))
    assert batch.waveform.shape == (8, 8_000)
    assert batch.waveform.abs().amax(dim=1).min() > 0.05


def test_labels_follow_the_clips(manifest: Manifest) -> None:
    attacks = dict(zip(manifest.column("id"), manifest.column("attack"), strict=True))
    given = source(manifest)
    for batch in given.batches(0, 4):
        assert batch.waveform.dtype == torch.float32
        for index, name in enumerate(batch.ids):
            assert bool(batch.bonafide[index]) == (attacks[name] == "-")
            domain = int(batch.domain[index])
            assert ("-" if domain < 0 else given.domains[domain]) == attacks[name]
        assert batch.twin.tolist() == [-1] * 8


def test_short_clip_is_repeated_not_padded(tmp_path: Path) -> None:
    ramp = np.linspace(-0.5, 0.5, 4_000).astype(np.float32)
    audio.write(tmp_path / "ramp.flac", ramp)
    names = {"human": "-", "machine": "saw"}
    clips = [
        Clip(id=i, path="ramp.flac", bonafide=a == "-", part="train", attack=a, duration_s=0.25)
        for i, a in names.items()
    ]
    for cache_bytes in (0, 2**20):
        few = BatchSource(
            Manifest.of(clips, tmp_path),
            Balanced(batch_clips=2),
            window_s=0.6,
            seed=0,
            cache_bytes=cache_bytes,
        )
        batches = list(few.batches(0, 3))
        phases = {round(float(batch.waveform[0, 0]), 3) for batch in batches}
        assert len(phases) == 3
        for batch in batches:
            assert batch.n_samples.tolist() == [4_000, 4_000]
            wave = batch.waveform[0].numpy()
            np.testing.assert_array_equal(wave[:4_000], wave[4_000:8_000])
            np.testing.assert_allclose(np.sort(wave[:4_000]), ramp, atol=1e-4)


def test_half_of_a_batch_is_bona_fide_and_attacks_take_turns() -> None:
    manifest = table(["-"] * 3 + ["big"] * 50 + ["mid"] * 5 + ["one"])
    plan = Balanced(batch_clips=12).planner(manifest, 0)
    bonafide, attack = manifest.column("bonafide"), manifest.column("attack")
    for step in range(10):
        rows = plan(step).rows
        assert bonafide[rows].sum() == 6
        assert Counter(attack[rows]) == {"-": 6, "big": 2, "mid": 2, "one": 2}


def test_every_clip_is_used_once_before_any_is_used_twice() -> None:
    manifest = table(["-"] * 10 + ["big"] * 20 + ["mid"] * 10)
    plan = Balanced(batch_clips=8).planner(manifest, 1)
    rows = np.concatenate([plan(step).rows for step in range(10)])
    used = Counter(rows.tolist())
    assert {used[row] for row in range(10)} == {4}  # 40 draws of 10 bona fide clips
    assert {used[row] for row in range(10, 30)} == {1}
    assert {used[row] for row in range(30, 40)} == {2}


def test_bona_fide_speakers_can_take_turns() -> None:
    manifest = table(["-"] * 9 + ["saw"], ["talkative"] * 8 + ["brief", ""])
    plan = Balanced(batch_clips=8, bonafide_by="speaker").planner(manifest, 0)
    speakers = manifest.column("speaker")[plan(0).rows]
    assert Counter(speakers) == {"talkative": 2, "brief": 2, "": 4}


def test_a_part_without_both_classes_is_refused() -> None:
    with pytest.raises(TrainingError, match="choose another manifest or train_parts"):
        Balanced().planner(table(["-"] * 4), 0)


def test_an_odd_batch_is_refused() -> None:
    with pytest.raises(RecipeError, match="give an even number"):
        Balanced(batch_clips=7)


def test_batch_moves_to_a_device_as_a_whole(manifest: Manifest) -> None:
    moved = source(manifest)[0].to(torch.device("meta"))
    assert {t.device.type for t in (moved.waveform, moved.n_samples, moved.bonafide)} == {"meta"}
    assert {t.device.type for t in (moved.domain, moved.twin)} == {"meta"}
    assert len(moved) == 8


def test_shuffled_uses_every_clip_once_before_any_twice_and_keeps_the_proportions(
    manifest: Manifest,
) -> None:
    sampler = Shuffled(batch_clips=4)
    plan = sampler.planner(manifest, 0)
    lap = len(manifest) // 4
    rows = np.concatenate([plan(step).rows for step in range(lap)])
    assert len(set(rows.tolist())) == 4 * lap
    names = sampler.domains(manifest)
    first = plan(0)
    for row, domain in zip(first.rows, first.domain, strict=True):
        attack = manifest[int(row)].attack
        assert (names[domain] if domain >= 0 else "-") == attack
    assert not np.array_equal(first.rows, sampler.planner(manifest, 1)(0).rows)
    with pytest.raises(RecipeError, match="give 1 or more"):
        Shuffled(batch_clips=0)
