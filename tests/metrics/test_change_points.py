"""Does the rule find the stretches that the definition asks for, as soon as it may?"""

from itertools import pairwise

import numpy as np
import pytest

from unheard.metrics import Run, RunFinder, find_runs
from unheard.types import FloatArray

LEVEL, EVIDENCE, WEIGHT = -1.0, 3.0, 0.5


def runs(*scores: float) -> list[Run]:
    return find_runs(np.array(scores), level=LEVEL, evidence=EVIDENCE, weight=WEIGHT)


def best(scores: FloatArray) -> tuple[float, list[tuple[int, int]]]:
    """Return the largest sum of evidence less EVIDENCE a stretch, and the stretches, by trying."""
    gains = WEIGHT * (LEVEL - scores)
    inside: tuple[float, list[tuple[int, int]]] = (-np.inf, [])
    outside: tuple[float, list[tuple[int, int]]] = (0.0, [])
    for place, gain in enumerate(gains):
        entered = (outside[0] - EVIDENCE + gain, [*outside[1], (place, place)])
        stayed = (
            (inside[0] + gain, [*inside[1][:-1], (inside[1][-1][0], place)])
            if inside[1]
            else (-np.inf, [])
        )
        left = max(inside, outside, key=lambda path: path[0])
        inside, outside = max(entered, stayed, key=lambda path: path[0]), left
    return max(inside, outside, key=lambda path: path[0])


@pytest.mark.parametrize("seed", range(40))
def test_the_stretches_are_those_whose_evidence_less_a_price_is_largest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = np.repeat(rng.choice([2.0, -3.0], 12), rng.integers(1, 15, 12))
    scores = levels + 2.0 * rng.standard_normal(levels.size)
    found = find_runs(scores, level=LEVEL, evidence=EVIDENCE, weight=WEIGHT)
    total, stretches = best(scores)
    assert [(run.first, run.last) for run in found] == stretches
    assert sum(run.evidence - EVIDENCE for run in found) == pytest.approx(total)


def test_a_stretch_needs_its_evidence_and_no_more() -> None:
    assert runs(4.0, *[-3.0] * 2, 4.0) == []
    assert runs(4.0, *[-3.0] * 3, 4.0, 4.0) == [Run(1, 3, 3.0)]
    assert runs(*[-3.0] * 9) == [Run(0, 8, 9.0)]
    assert runs() == []


def test_a_dip_parts_two_stretches_only_if_it_is_as_large_as_a_stretch() -> None:
    assert runs(*[-3.0] * 5, *[1.0] * 2, *[-3.0] * 5) == [Run(0, 11, 8.0)]
    assert runs(*[-3.0] * 5, *[1.0] * 3, *[-3.0] * 5) == [Run(0, 4, 5.0), Run(8, 12, 5.0)]


def test_half_the_weight_is_twice_the_windows() -> None:
    scores = np.array([4.0] * 4 + [-3.0] * 5 + [4.0] * 4)
    (coarse,) = find_runs(scores, level=LEVEL, evidence=EVIDENCE, weight=1.0)
    (fine,) = find_runs(np.repeat(scores, 2), level=LEVEL, evidence=EVIDENCE, weight=0.5)
    assert (fine.first, fine.last) == (2 * coarse.first, 2 * coarse.last + 1)
    assert fine.evidence == coarse.evidence


def test_a_stretch_comes_out_when_its_end_is_sure() -> None:
    finder = RunFinder(LEVEL, EVIDENCE, WEIGHT)
    came = [len(finder.push(score)) for score in [-3.0] * 5 + [1.0] * 3]
    assert came == [0] * 7 + [1], "the sum has to fall by 3 first"
    assert finder.open() is None
    assert [finder.push(-3.0) for _ in range(4)] == [[]] * 4
    assert finder.open() == Run(8, 11, 4.0)


def test_stretches_never_overlap() -> None:
    rng = np.random.default_rng(0)
    found = find_runs(rng.normal(-1, 3, 4000), level=LEVEL, evidence=EVIDENCE, weight=WEIGHT)
    assert len(found) > 100
    assert all(before.last < after.first for before, after in pairwise(found))
