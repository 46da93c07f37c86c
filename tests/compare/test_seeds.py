"""Several seeds of several systems: means, paired tests, and what is refused."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unheard.compare.seeds import compare_seeds
from unheard.errors import EvaluationError
from unheard.metrics import eer

N = 120
HARD = np.random.default_rng(5).normal(size=2 * N)  # what makes a clip hard for every system


def written(path: Path, apart: float, seed: int, ids: list[str] | None = None) -> Path:
    """A score file in which classes lie a distance apart; clips are as hard as for the others."""
    rng = np.random.default_rng(seed)
    bonafide = np.arange(2 * N) < N
    score = np.where(bonafide, apart, 0.0) + HARD + 0.3 * rng.normal(size=2 * N)
    names = ids or [f"c{i}" for i in range(2 * N)]
    order = rng.permutation(2 * N)  # files need not list clips in one order
    columns = {"id": names, "score": score, "bonafide": bonafide}
    taken = {name: np.asarray(values)[order] for name, values in columns.items()}
    pq.write_table(pa.table(taken), path)
    return path


@pytest.fixture
def systems(tmp_path: Path) -> dict[str, list[Path]]:
    return {
        name: [written(tmp_path / f"{name}{s}.parquet", apart, 10 * i + s) for s in range(3)]
        for i, (name, apart) in enumerate({"base": 1.0, "same": 1.0, "good": 2.0}.items())
    }


def test_means_are_those_of_the_seeds_and_a_real_difference_is_found(
    systems: dict[str, list[Path]],
) -> None:
    rows = {row.system: row for row in compare_seeds(systems, baseline="base", n_draws=200)}
    for name, paths in systems.items():
        for rate, path in zip(rows[name].rates, paths, strict=True):
            table = pq.read_table(path)
            score, truth = (table.column(c).to_numpy() for c in ("score", "bonafide"))
            assert rate == eer(score[truth], score[~truth])
        assert rows[name].low <= rows[name].mean <= rows[name].high
    assert rows["base"].difference is None
    good = rows["good"]
    assert good.difference == pytest.approx(good.mean - rows["base"].mean)
    assert good.difference_high < 0
    assert good.p_corrected == pytest.approx(2 * good.p)
    assert good.p_corrected < 0.05
    assert rows["same"].p_corrected > 0.05


def test_pairing_makes_the_interval_of_a_difference_narrow(
    systems: dict[str, list[Path]],
) -> None:
    rows = {row.system: row for row in compare_seeds(systems, baseline="base", n_draws=200)}
    same = rows["same"]
    assert same.difference_high - same.difference_low < 0.6 * (same.high - same.low)


def test_same_seed_same_numbers(systems: dict[str, list[Path]]) -> None:
    first, again = (compare_seeds(systems, baseline="base", n_draws=20, seed=3) for _ in range(2))
    assert first == again


def test_each_condition_counts_by_itself(tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(1), np.arange(4 * N)
    names = [f"c{i // 2}" + "@telephone" * (i % 2) for i in rows]
    condition = np.where(rows % 2, "telephone", "raw")
    bonafide = rows < 2 * N
    score = np.where(bonafide & (condition == "raw"), 4.0, 0.0) + rng.normal(size=4 * N)
    columns = {"id": names, "score": score, "bonafide": bonafide}
    columns |= {"condition": condition, "part": ["open"] * len(rows)}
    pq.write_table(pa.table(columns), tmp_path / "conditions.parquet")
    result = compare_seeds({"only": [tmp_path / "conditions.parquet"]}, baseline="only", n_draws=5)
    rates = {row.part: row.mean for row in result}
    for part, how in {"open": "raw", "open under telephone": "telephone"}.items():
        chosen = condition == how
        assert rates.pop(part) == eer(score[bonafide & chosen], score[~bonafide & chosen])
    assert not rates


def test_other_clips_and_an_unknown_baseline_are_refused(
    systems: dict[str, list[Path]], tmp_path: Path
) -> None:
    odd = written(tmp_path / "odd.parquet", 1.0, 0, [f"x{i}" for i in range(2 * N)])
    with pytest.raises(EvaluationError, match="evaluate every system on the same clips"):
        compare_seeds({**systems, "odd": [odd]}, baseline="base", n_draws=2)
    with pytest.raises(EvaluationError, match="did you mean 'base'"):
        compare_seeds(systems, baseline="bass", n_draws=2)
