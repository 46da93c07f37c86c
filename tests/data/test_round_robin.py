"""Turns of groups of clips, and of sets of groups."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from unheard.data.batches import Balanced
from unheard.data.clip import Clip, Manifest
from unheard.data.round_robin import RoundRobin
from unheard.errors import ManifestError


def drawn(turns: RoundRobin, n: int) -> list[int]:
    """Return the groups of the first draws."""
    return turns.draw(0, n)[1].tolist()


def of(labels: Sequence[tuple[str, ...]]) -> RoundRobin:
    return RoundRobin.of(np.array(labels), np.ones(len(labels), bool), (0,))


def test_sets_take_turns_and_within_a_set_its_groups() -> None:
    turns = of([("a", "x"), ("a", "y"), ("b", "x"), ("c", "x"), ("c", "y"), ("c", "z")])
    # a: 0, 1; b: 2; c: 3, 4, 5
    assert drawn(turns, 9) == [0, 2, 3, 1, 2, 4, 0, 2, 5]


def test_three_levels_nest() -> None:
    turns = of([("a", "x", "1"), ("a", "x", "2"), ("a", "y", "1"), ("b", "x", "1")])
    assert drawn(turns, 8) == [0, 3, 2, 3, 1, 3, 2, 3]


def test_one_level_is_the_same_as_a_plain_list_of_names() -> None:
    names = np.array(["b", "a", "b", "c", "b"], object)
    everyone = np.ones(5, bool)
    flat, nested = (RoundRobin.of(n, everyone, (3,)) for n in (names, names[:, None]))
    for drawn, other in zip(flat.draw(4, 20), nested.draw(4, 20), strict=True):
        np.testing.assert_array_equal(drawn, other)


def test_every_row_of_a_group_comes_once_before_any_twice() -> None:
    turns = of([("a", "x")] * 3 + [("a", "y")] * 2 + [("b", "x")])
    rows, _ = turns.draw(0, 24)  # 12 turns of a, 6 of each of its groups
    used = Counter(rows.tolist())
    assert [used[row] for row in range(6)] == [2, 2, 2, 3, 3, 12]
    first, _ = turns.draw(0, 12)  # 3 turns of (a, x)
    assert {row for row in first.tolist() if row < 3} == {0, 1, 2}


def test_draws_do_not_depend_on_where_they_start() -> None:
    turns = of([("a", "x")] * 5 + [("a", "y")] * 7 + [("b", "x")] * 3)
    whole = turns.draw(0, 30)
    parts = [turns.draw(first, 5) for first in range(0, 30, 5)]
    for index in range(2):
        np.testing.assert_array_equal(whole[index], np.concatenate([p[index] for p in parts]))


def pooled() -> Manifest:
    """Three corpora of very different sizes; "a" sorts before "a-b", "a/z" after "a-b/x"."""
    clips = []
    for corpus, family, n in (
        ("a", "-", 40),
        ("a-b", "-", 4),
        ("a", "w", 30),
        ("a", "z", 3),
        ("a-b", "x", 2),
    ):
        for index in range(n):
            name = f"{corpus}.{family}.{index}"
            is_human = family == "-"
            clips.append(
                Clip(
                    id=name,
                    path=f"{name}.flac",
                    bonafide=is_human,
                    part="train",
                    attack=family,
                    family=family,
                    corpus=corpus,
                )
            )
    return Manifest.of(clips, Path())


def test_corpora_weigh_the_same_in_every_batch_regardless_of_size() -> None:
    manifest = pooled()
    sampler = Balanced(batch_clips=16, by="corpus/family", bonafide_by="corpus")
    plan = sampler.planner(manifest, 0)
    bonafide = manifest.column("bonafide").astype(bool)
    corpus, family = manifest.column("corpus"), manifest.column("family")
    for step in range(6):
        rows = plan(step).rows
        assert Counter(corpus[rows][bonafide[rows]]) == {"a": 4, "a-b": 4}
        spoof = rows[~bonafide[rows]]
        assert Counter(zip(corpus[spoof], family[spoof], strict=True)) == {
            ("a", "w"): 2,
            ("a", "z"): 2,
            ("a-b", "x"): 4,
        }


def test_domain_of_a_clip_names_its_corpus_and_family() -> None:
    manifest = pooled()
    sampler = Balanced(batch_clips=16, by="corpus/family")
    names = sampler.domains(manifest)
    assert names == ("a/w", "a/z", "a-b/x")
    plan = sampler.planner(manifest, 0)(0)
    for row, domain in zip(plan.rows[8:], plan.domain[8:], strict=True):
        name = f"{manifest.column('corpus')[row]}/{manifest.column('family')[row]}"
        assert names[domain] == name
    assert set(plan.domain[:8]) == {-1}


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ManifestError, match="did you mean 'corpus'"):
        Balanced(by="corpsu/family").planner(pooled(), 0)
