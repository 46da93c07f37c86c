"""Batches of clips with their twins."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthetic_corpus import corpus, with_twins
from unheard import audio
from unheard.data.batches import BatchSource
from unheard.data.clip import RECONSTRUCTION, Clip, Manifest
from unheard.data.samplers import WithTwins
from unheard.detectors.toy import Toy
from unheard.errors import RecipeError, TrainingError
from unheard.training.loop import train
from unheard.training.mldg import Mldg
from unheard.training.objectives import Racl
from unheard.training.recipe import Recipe


def twin(clip: Clip, generator: str) -> Clip:
    return replace(
        clip,
        id=f"{clip.id}~{generator}",
        path=f"{generator}/{clip.path}",
        bonafide=False,
        attack=generator,
        family=RECONSTRUCTION,
        source_clip=clip.id,
    )


def clips(attacks: dict[str, int]) -> list[Clip]:
    return [
        Clip(
            id=f"{attack.strip('-') or 'human'}-{index}",
            path=f"{attack.strip('-') or 'human'}-{index}.wav",
            bonafide=attack == "-",
            part="train",
            attack=attack,
            family=attack[:3],
        )
        for attack, n in attacks.items()
        for index in range(n)
    ]


def manifest(plain: Sequence[Clip], generators: Sequence[str], lacking: int = 0) -> Manifest:
    twins = [twin(clip, name) for name in generators for clip in plain[lacking:]]
    return Manifest.of([*plain, *twins], Path())


PLAIN = clips({"-": 6, "one-a": 5, "one-b": 1, "two-a": 3})
ONE = manifest(PLAIN, ["codec"])
TWO = manifest(PLAIN, ["codec", "diffusion"])


def drawn(sampler: WithTwins, table: Manifest, step: int, seed: int = 0) -> list[Clip]:
    return table[sampler.planner(table, seed)(step).rows.tolist()]


def test_every_clip_lies_next_to_its_twin_and_both_point_at_each_other() -> None:
    plan = WithTwins(batch_clips=12).planner(TWO, 0)
    for step in range(9):
        rows = plan(step)
        batch = TWO[rows.rows.tolist()]
        assert rows.twin[rows.twin].tolist() == list(range(12))
        for clip, other in zip(batch, rows.twin.tolist(), strict=True):
            pair = {clip.source_clip or clip.id, batch[other].source_clip or batch[other].id}
            assert len(pair) == 1
            assert (clip.family == RECONSTRUCTION) != (batch[other].family == RECONSTRUCTION)


def test_a_batch_has_bona_fide_and_spoofed_clips_and_as_many_twins_of_each() -> None:
    for sampler, n_human, n_spoof in [
        (WithTwins(batch_clips=12), 3, 3),
        (WithTwins(batch_clips=20, bonafide_clips=2), 2, 8),
    ]:
        for step in range(5):
            batch = drawn(sampler, ONE, step)
            assert [clip.bonafide for clip in batch] == [True] * n_human + [False] * (
                n_human + 2 * n_spoof
            )
            is_twin = [clip.family == RECONSTRUCTION for clip in batch]
            assert (
                is_twin
                == [False] * n_human + [True] * n_human + [False] * n_spoof + [True] * n_spoof
            )


def test_every_twin_is_drawn_once_before_any_is_drawn_twice() -> None:
    plan = WithTwins(batch_clips=8).planner(TWO, 1)
    rows = np.concatenate([plan(step).rows[2:4] for step in range(6)])
    assert sorted(Counter(rows.tolist()).values()) == [1] * 12  # 6 clips by 2 generators


def test_generators_take_turns_and_so_do_the_families_of_what_they_were_made_from() -> None:
    by = Counter[tuple[str, str]]()
    for step in range(10):
        batch = drawn(WithTwins(batch_clips=16), TWO, step)
        assert Counter(clip.attack for clip in batch[4:8]) == {"codec": 2, "diffusion": 2}
        by.update(
            (source.family, twin.attack)
            for source, twin in zip(batch[8:12], batch[12:], strict=True)
        )
    assert by == dict.fromkeys([(f, g) for f in ("one", "two") for g in ("codec", "diffusion")], 10)


def test_one_generator_can_be_chosen() -> None:
    for step in range(4):
        batch = drawn(WithTwins(batch_clips=8, generator="diffusion"), TWO, step)
        assert {clip.attack for clip in batch if clip.family == RECONSTRUCTION} == {"diffusion"}


def test_without_a_generator_batches_hold_the_same_clips_and_no_twin() -> None:
    sampler = WithTwins(batch_clips=8, generator="none")
    plan = sampler.planner(TWO, 0)
    for step in range(6):
        planned = plan(step)
        batch = TWO[planned.rows.tolist()]
        assert planned.twin.tolist() == [-1] * 8
        assert [clip.bonafide for clip in batch] == [True] * 4 + [False] * 4
        assert RECONSTRUCTION not in {clip.family for clip in batch}
        assert Counter(clip.family for clip in batch[4:]) == {"one": 2, "two": 2}


def test_a_twin_has_the_domain_of_its_source_and_bona_fide_ones_have_none() -> None:
    sampler = WithTwins(batch_clips=8)
    assert sampler.domains(TWO) == ("one", "two")
    plan = sampler.planner(TWO, 0)(3)
    batch = TWO[plan.rows.tolist()]
    assert plan.domain[:4].tolist() == [-1] * 4
    names = [sampler.domains(TWO)[index] for index in plan.domain[4:].tolist()]
    assert names == [clip.family for clip in batch[4:6]] * 2
    spoken = Manifest.of([replace(clip, language="es") for clip in TWO], Path())
    other = WithTwins(batch_clips=8, by="language").planner(spoken, 0)(0)
    assert other.domain.tolist() == [-1] * 4 + [0] * 4


def test_a_batch_is_a_function_of_its_seed_and_step() -> None:
    sampler = WithTwins(batch_clips=8)
    planned = sampler.planner(TWO, 3)
    other = sampler.planner(TWO, 3)
    for step in (5, 0, 2):
        assert np.array_equal(planned(step).rows, other(step).rows)
    fresh = sampler.planner(TWO, 4)
    assert any(not np.array_equal(planned(step).rows, fresh(step).rows) for step in range(3))


def test_a_clip_and_its_twin_are_cut_at_the_same_place(tmp_path: Path) -> None:
    ramp = np.linspace(-0.9, 0.9, 16000, dtype=np.float32)
    with_duration = []
    for clip in manifest(clips({"-": 3, "one": 2}), ["codec"]):
        path = tmp_path / clip.path
        path.parent.mkdir(exist_ok=True)
        audio.write(path, ramp)
        with_duration.append(replace(clip, duration_s=1.0))
    table = Manifest.of(with_duration, tmp_path)
    sampler = WithTwins(batch_clips=8)
    for cache_bytes in (2**20, 0):
        source = BatchSource(table, sampler, window_s=0.25, seed=0, cache_bytes=cache_bytes)
        batch = next(source.batches(0, 1))
        starts = batch.waveform[:, 0]
        assert starts.unique().numel() == 4  # a ramp tells where it was cut
        assert (starts == starts[batch.twin]).all()


def test_clips_without_a_twin_are_counted_and_refused_or_left_out() -> None:
    few = manifest(PLAIN, ["codec"], lacking=3)
    with pytest.raises(TrainingError, match=r"3 bona fide and 0 spoofed clips have no twin, such"):
        WithTwins(batch_clips=8).planner(few, 0)
    plan = WithTwins(batch_clips=8, lacking="leave_out").planner(few, 0)
    used = {clip.id for step in range(9) for clip in few[plan(step).rows.tolist()]}
    assert {f"human-{n}" for n in range(3, 6)} <= used
    assert not {f"human-{n}" for n in range(3)} & used


def test_a_generator_that_made_few_twins_lacks_the_others() -> None:
    other = manifest(PLAIN, ["codec"])
    table = Manifest.of([*other, *(twin(clip, "diffusion") for clip in PLAIN[:6])], Path())
    WithTwins(batch_clips=8).planner(table, 0)
    with pytest.raises(TrainingError, match=r"0 bona fide and 9 spoofed clips have no twin"):
        WithTwins(batch_clips=8, generator="diffusion").planner(table, 0)


@pytest.mark.parametrize(
    ("table", "sampler", "remedy"),
    [
        (manifest(PLAIN, []), {}, r"make twins of the clips first.*sampler\.generator=none"),
        (TWO, {"generator": "difusion"}, "did you mean 'diffusion'"),
        (
            Manifest.of([*PLAIN, *(twin(clip, "codec") for clip in clips({"-": 9}))], Path()),
            {},
            r"3 twin\(s\) were made from clips that are not trained on.*move it there",
        ),
        (manifest(clips({"-": 1, "one": 4}), ["codec"]), {}, r"1 bona fide clip\(s\).*add clips"),
        (manifest(clips({"-": 4}), ["codec"]), {}, r"0 spoofed one\(s\).*add clips"),
    ],
)
def test_batches_that_cannot_be_composed_are_refused(
    table: Manifest, sampler: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(TrainingError, match=remedy):
        WithTwins(batch_clips=8, **sampler).planner(table, 0)


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"batch_clips": 6}, "1 bona fide and 2 spoofed clips next to their twins; give an even"),
        ({"batch_clips": 9}, "give an even number"),
        ({"batch_clips": 8, "bonafide_clips": 4}, "0 spoofed clips"),
        ({"batch_clips": 8, "bonafide_clips": 1}, "leaves 2 bona fide clips"),
        ({"lacking": "skip"}, "give 'refuse' or 'leave_out'"),
    ],
)
def test_fields_that_do_not_fit_are_refused(wrong: dict[str, Any], remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        WithTwins(**wrong)


@pytest.fixture(scope="module")
def twinned(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return with_twins(corpus(tmp_path_factory.mktemp("corpus"), duration_s=0.6))


def test_meta_learning_keeps_pairs_together_when_it_splits_the_families(twinned: Manifest) -> None:
    source = BatchSource(
        twinned.part("train"), WithTwins(batch_clips=16), window_s=0.5, seed=0, augment=None
    )
    torch.manual_seed(0)
    model = Toy(n_bands=4).build().train()
    terms = Mldg(n_meta_test=1).gradients(model, source[0], Racl())
    assert terms["_enhanced"].item() > 0  # of one side; the other would have been refused too
    assert all(value.isfinite() for value in terms.values())


def test_a_twin_on_the_other_side_of_its_source_is_refused(
    twinned: Manifest, tmp_path: Path
) -> None:
    recipe = Recipe(name="tiny", detector=Toy(), sampler=WithTwins(batch_clips=8))
    crossed = [
        replace(clip, part="dev") if clip.source_clip == "train-human-1" else clip
        for clip in twinned
    ]
    with pytest.raises(TrainingError, match=r"share 1 values of 'source_clip'.*split the manifest"):
        train(recipe, Manifest.of(crossed, twinned.root), tmp_path / "run")
