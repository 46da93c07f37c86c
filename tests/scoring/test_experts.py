"""Does a verdict hold the score of each expert of a mixture, and do they add up to the score?"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from unheard.data.rows import SUFFIXES, RowFile
from unheard.data.storage import stamp
from unheard.detectors.detector import Detector, window_expert_scores, window_scores
from unheard.detectors.toy import Toy
from unheard.errors import BundleError
from unheard.scoring.verdict import ExpertScore, Verdict, WindowScore, mean_of_experts
from unheard.types import FloatArray
from voice import CALIBRATION, FakeCard, FakeMixture, scorer, silence, voice

SPEECH = np.concatenate([voice(3), silence(1.7), voice(3, seed=1, peak=0.1), silence(0.6)])


class Pair(Detector):
    """A mixture of two linear functions of a window's spectrum; counts its passes."""

    experts = ("low", "high")
    n_embedding = 6

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.heads = nn.Parameter(torch.randn(4, 2, generator=generator))
        self.gate = nn.Parameter(torch.randn(4, 2, generator=generator))
        self.n_passes = 0

    def embed(self, waveform: Tensor) -> Tensor:
        self.n_passes += 1
        bands = torch.fft.rfft(waveform)[:, :-1].abs().log1p().unflatten(1, (4, -1)).mean(2)
        return torch.cat([bands, bands @ self.gate], dim=1)

    def expert_scores(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        return embedding[:, :4] @ self.heads, embedding[:, 4:].softmax(dim=1)

    def classify(self, embedding: Tensor) -> Tensor:
        scores, weights = self.expert_scores(embedding)
        return (scores * weights).sum(dim=1)


def windows_of(n_windows: int) -> FloatArray:
    rng = np.random.default_rng(n_windows)
    return 0.1 * rng.standard_normal((n_windows, 1_600)).astype(np.float32)


def summed(experts: tuple[ExpertScore, ...]) -> float:
    return sum(expert.weight * expert.score for expert in experts)


@pytest.mark.parametrize("n_windows", [0, 1, 16, 37])
def test_scores_and_expert_scores_come_from_one_pass(n_windows: int) -> None:
    mixture, windows = Pair().eval(), windows_of(n_windows)
    scores, expert_scores, weights = window_expert_scores(mixture, windows)
    assert mixture.n_passes == -(-n_windows // 16)
    np.testing.assert_array_equal(scores, window_scores(mixture, windows))
    assert expert_scores.shape == weights.shape == (n_windows, 2)
    np.testing.assert_allclose((expert_scores * weights).sum(axis=1), scores, atol=1e-6)


def test_each_window_gets_its_own_expert_scores() -> None:
    mixture, windows = Pair().eval(), windows_of(20)
    _, expert_scores, weights = window_expert_scores(mixture, windows)
    with torch.inference_mode():
        expected = mixture.expert_scores(mixture.embed(torch.from_numpy(windows)))
    np.testing.assert_allclose(expert_scores, expected[0], atol=1e-6)
    np.testing.assert_allclose(weights, expected[1], atol=1e-6)


def test_a_single_detector_has_no_experts() -> None:
    alone, windows = Toy().build().eval(), windows_of(3)
    scores, expert_scores, weights = window_expert_scores(alone, windows)
    np.testing.assert_array_equal(scores, window_scores(alone, windows))
    assert expert_scores.shape == weights.shape == (3, 0)
    verdict = scorer().samples(SPEECH)
    assert verdict.experts == ()
    assert all(window.experts == () for window in verdict.windows)
    assert verdict.to_dict()["experts"] == verdict.to_dict()["windows"][0]["experts"] == []


@pytest.mark.parametrize("pooling", ["mean", "lowest"])
def test_weighted_expert_scores_add_up_to_the_score(pooling: str) -> None:
    verdict = scorer(FakeMixture(card=FakeCard(pooling=pooling))).samples(SPEECH)
    assert [expert.name for expert in verdict.experts] == ["flat", "loud"]
    assert summed(verdict.experts) == pytest.approx(verdict.score)
    assert sum(expert.weight for expert in verdict.experts) == pytest.approx(1)
    for window in verdict.windows:
        assert (window.experts == ()) == (window.score is None)
        if window.score is not None:
            assert summed(window.experts) == pytest.approx(window.score)
    assert len({round(expert.score, 3) for expert in verdict.experts}) == 2


def test_experts_are_calibrated_as_the_mixture_is() -> None:
    verdict = scorer(FakeMixture()).samples(voice(1))
    (window,) = verdict.windows
    _, expert_scores, weights = FakeMixture().expert_scores(voice(1)[None])
    assert [expert.score for expert in window.experts] == pytest.approx(
        CALIBRATION(expert_scores[0])
    )
    assert [expert.weight for expert in window.experts] == pytest.approx(weights[0])
    assert verdict.experts == window.experts


def test_lowest_pooling_averages_the_experts_over_the_lowest_quarter() -> None:
    card = FakeCard(pooling="lowest")
    verdict = scorer(FakeMixture(card=card)).samples(SPEECH)
    scored = [window for window in verdict.windows if window.score is not None]
    lowest = sorted(scored, key=lambda window: window.score or 0)[: -(-len(scored) // 4)]
    assert len(lowest) < len(scored)
    assert verdict.experts == mean_of_experts(lowest)


def test_expert_scores_are_means_weighted_by_expert_weight() -> None:
    def window(*scores_and_weights: tuple[float, float]) -> WindowScore:
        pairs = zip("abc", scores_and_weights, strict=True)
        experts = tuple(ExpertScore(name, score, weight) for name, (score, weight) in pairs)
        return WindowScore(0.0, 1.0, summed(experts), 1.0, experts)

    windows = [
        window((4.0, 0.75), (-2.0, 0.25), (9.0, 0.0)),
        window((0.0, 0.25), (2.0, 0.75), (7.0, 0.0)),
    ]
    assert mean_of_experts(windows) == (
        ExpertScore("a", 3.0, 0.5),
        ExpertScore("b", 1.0, 0.5),
        ExpertScore("c", 8.0, 0.0),
    )
    assert mean_of_experts([]) == ()


def test_without_a_verdict_there_are_no_expert_scores() -> None:
    verdict = scorer(FakeMixture()).samples(silence(3))
    assert verdict.score is None
    assert verdict.experts == ()


@settings(max_examples=15, derandomize=True, deadline=None)
@given(sizes=st.lists(st.integers(0, 30_000), max_size=12))
def test_a_stream_has_the_expert_scores_of_the_file(sizes: list[int]) -> None:
    bundle = FakeMixture()
    whole = scorer(bundle).samples(SPEECH)
    n_windows = sum(bundle.batches)
    stream = scorer(bundle).stream(name=whole.source)
    parts = np.split(SPEECH, np.cumsum(sizes).clip(0, SPEECH.size))
    came = [window for part in parts for window in stream.push(part)]
    verdict = stream.close()
    assert tuple(came) == verdict.windows[: len(came)]
    assert sum(bundle.batches) == 2 * n_windows == 2 * n_scored(whole)
    assert numbers(verdict) == pytest.approx(numbers(whole), abs=1e-9)


def n_scored(verdict: Verdict) -> int:
    return sum(window.score is not None for window in verdict.windows)


def numbers(verdict: Verdict) -> list[float]:
    experts = [
        *verdict.experts,
        *(expert for window in verdict.windows for expert in window.experts),
    ]
    return [number for expert in experts for number in (expert.score, expert.weight)]


def test_an_expert_that_gives_nan_is_refused() -> None:
    class Broken(FakeMixture):
        def expert_scores(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
            scores, expert_scores, weights = super().expert_scores(windows)
            return scores, np.where([True, False], np.nan, expert_scores), weights

    with pytest.raises(BundleError, match="train it again, or use another"):
        scorer(Broken()).samples(voice(2))


def test_experts_are_in_the_json_as_dicts() -> None:
    verdict = scorer(FakeMixture()).samples(SPEECH)
    plain = verdict.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["experts"][0] == {
        "name": "flat",
        "score": verdict.experts[0].score,
        "weight": verdict.experts[0].weight,
    }
    assert plain["windows"][0]["experts"][1]["name"] == "loud"


def written(folder: Path, suffix: str, rows: dict[str, dict[str, Any]]) -> Path:
    """Rows by the name of their file, as `unheard score --out` writes them."""
    with RowFile(folder / f"out{suffix}", "s") as row_file:
        for name, row in rows.items():
            (folder / name).touch()
            row_file.add({**row, "source": name}, stamp(str(folder / name)))
        return row_file.finish()


def test_rows_keep_the_experts(tmp_path: Path) -> None:
    mixed = scorer(FakeMixture()).samples(SPEECH).to_dict()
    rows = {"mixed": mixed, "plain": scorer().samples(SPEECH).to_dict()}
    plain, other = reversed(pq.read_table(written(tmp_path, ".parquet", rows)).to_pylist())
    assert plain["experts"] == plain["windows"][0]["experts"] == []
    assert other["experts"] == mixed["experts"]
    assert other["windows"] == mixed["windows"]
    first, second = csv.DictReader(written(tmp_path, ".csv", rows).read_text().splitlines())
    flat, loud = [cell.split() for cell in first["experts"].split("; ")]
    assert (flat[0], loud[0]) == ("flat", "loud")
    assert [float(flat[1]), float(flat[2])] == list(mixed["experts"][0].values())[1:]
    assert second["experts"] == ""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_of_before_there_were_experts_stay(tmp_path: Path, suffix: str) -> None:
    old = scorer().samples(SPEECH).to_dict()
    del old["experts"]
    for window in old["windows"]:
        del window["experts"]
    out = written(tmp_path, suffix, {"old": old})
    with RowFile(out, "s") as row_file:
        assert row_file.is_done("old", stamp(str(tmp_path / "old")))
        row_file.add(
            {**scorer(FakeMixture()).samples(SPEECH).to_dict(), "source": "new"}, stamp(str(out))
        )
        row_file.finish()
    if suffix == ".parquet":
        new, before = pq.read_table(out).to_pylist()
        assert before["experts"] is None
        assert before["windows"][0]["score"] == old["windows"][0]["score"]
        assert len(new["experts"]) == 2
