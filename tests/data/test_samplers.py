"""Batches made of a mini-batch per domain."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unheard.data.clip import Clip, Manifest
from unheard.data.samplers import ByDomain
from unheard.errors import ManifestError, RecipeError, TrainingError


def table(attacks: list[str], **columns: list[Any]) -> Manifest:
    clips = [
        Clip(
            id=f"{i:04d}",
            path="x",
            bonafide=attack == "-",
            part="train",
            attack=attack,
            **{name: values[i] for name, values in columns.items()},
        )
        for i, attack in enumerate(attacks)
    ]
    return Manifest.of(clips, Path())


THREE = table(["-"] * 6 + ["a"] * 12 + ["b"] * 4 + ["c"] * 2)


def test_each_domain_has_as_many_of_each_class_and_bona_fide_are_marked_with_it() -> None:
    plan = ByDomain(clips_per_domain=4).planner(THREE, 0)
    bonafide, attack = THREE.column("bonafide"), THREE.column("attack")
    for step in range(8):
        batch = plan(step)
        assert batch.domain.tolist() == [0] * 4 + [1] * 4 + [2] * 4
        assert bonafide[batch.rows].tolist() == [True, True, False, False] * 3
        assert attack[batch.rows][~bonafide[batch.rows].astype(bool)].tolist() == list("aabbcc")
        assert batch.twin.tolist() == [-1] * 12


def test_bona_fide_clips_are_drawn_independently_for_every_domain() -> None:
    plan = ByDomain(clips_per_domain=2).planner(THREE, 0)
    drawn = np.array([plan(step).rows[::2] for step in range(6)])  # [steps, domains]
    for domain in range(3):
        assert sorted(drawn[:, domain]) == list(range(6))  # each once before any twice
    assert len({tuple(column) for column in drawn.T}) == 3


def test_every_clip_of_a_domain_is_used_once_before_any_is_used_twice() -> None:
    plan = ByDomain(clips_per_domain=4).planner(THREE, 1)
    rows = np.concatenate([plan(step).rows for step in range(6)])
    used = Counter(rows.tolist())
    assert {used[row] for row in range(6, 18)} == {1}
    assert {used[row] for row in range(18, 22)} == {3}
    assert {used[row] for row in range(22, 24)} == {6}


def test_a_batch_is_a_function_of_its_seed_and_step() -> None:
    sampler = ByDomain(clips_per_domain=4, domains_per_step=2)
    planned, other = sampler.planner(THREE, 3), sampler.planner(THREE, 3)
    for step in (5, 0, 2):
        assert np.array_equal(planned(step).rows, other(step).rows)
    assert not np.array_equal(planned(0).rows, sampler.planner(THREE, 4)(0).rows)


def test_fewer_domains_per_step_are_drawn_at_random() -> None:
    plan = ByDomain(clips_per_domain=2, domains_per_step=2).planner(THREE, 0)
    pairs = Counter(tuple(plan(step).domain[::2].tolist()) for step in range(60))
    assert set(pairs) == {(0, 1), (0, 2), (1, 2)}
    assert min(pairs.values()) > 8


def test_a_domain_can_be_any_column_or_a_key_of_the_notes() -> None:
    manifest = table(
        ["-", "-", "a", "a", "b"],
        language=["es", "it", "es", "it", "it"],
        notes=[{}, {}, {"vocoder": "world"}, {"vocoder": "gan"}, {}],
    )
    assert ByDomain(by="language").domains(manifest) == ("es", "it")
    assert ByDomain(by="notes.vocoder").domains(manifest) == ("", "gan", "world")
    plan = ByDomain(clips_per_domain=2, by="notes.vocoder").planner(manifest, 0)
    assert plan(0).rows[1::2].tolist() == [4, 3, 2]
    own = ByDomain(clips_per_domain=2, by="language", bonafide_from="domain").planner(manifest, 0)
    languages = manifest.column("language")
    assert languages[own(0).rows].tolist() == ["es", "es", "it", "it"]
    with pytest.raises(ManifestError, match="did you mean 'language'"):
        ByDomain(by="langage").planner(manifest, 0)


def test_domains_that_cannot_be_composed_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"1 domain\(s\).*name another column in sampler.by"):
        ByDomain(by="language").planner(THREE, 0)
    with pytest.raises(TrainingError, match=r"set sampler\.domains_per_step lower"):
        ByDomain(domains_per_step=4).planner(THREE, 0)
    with pytest.raises(TrainingError, match=r"set sampler\.bonafide_from=all"):
        ByDomain(bonafide_from="domain").planner(THREE, 0)
    with pytest.raises(TrainingError, match="add bona fide clips"):
        ByDomain().planner(table(["a", "b"]), 0)


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"clips_per_domain": 3}, "give an even number"),
        ({"clips_per_domain": 0}, "give an even number"),
        ({"domains_per_step": 1}, "give 2 or more, or 0 for all"),
        ({"bonafide_from": "domains"}, "give 'all' or 'domain'"),
    ],
)
def test_fields_that_do_not_fit_are_refused(wrong: dict[str, Any], remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        ByDomain(**wrong)
