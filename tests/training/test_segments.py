"""Does the fit keep its rate, find what can be found, and refuse what a detector is tested on?"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unheard.data.clip import Clip, Manifest
from unheard.detectors.card import Card
from unheard.detectors.segment_point import SegmentPoint
from unheard.errors import TrainingError
from unheard.scoring.many import Settings
from unheard.training.segments import MOST_PER_HOUR, Spliced, choose, fit_segments, scored

WEIGHT = 1 / 3


def recording(seed: int, inserted_s: int, *, low: float = -3.0, spread: float = 1.0) -> Spliced:
    """Four minutes with a window a second, and a stretch in the middle."""
    rng = np.random.default_rng(seed)
    scores = 2.0 + spread * rng.standard_normal(240)
    scores[100 : 100 + inserted_s] += low - 2.0
    truth = [(100.0, 100.0 + inserted_s)] if inserted_s else []
    return Spliced(
        host=f"host {seed % 10}",
        recording=str(seed),
        scores=scores,
        edges_s=np.arange(241.0),
        truth=np.array(truth, np.float64).reshape(-1, 2),
        duration_s=240.0,
    )


def false_an_hour(point: SegmentPoint, recordings: list[Spliced]) -> float:
    called = [one.called(point.level, point.evidence, WEIGHT) for one in recordings]
    return sum(map(len, called)) / (len(called) / 15)


@pytest.mark.parametrize("spread", [1.0, 2.5])
def test_the_rate_is_kept_and_stretches_are_found(spread: float) -> None:
    people = [recording(seed, 0, spread=spread) for seed in range(30)]
    spliced = [recording(100 + seed, 10 + seed, spread=spread) for seed in range(20)]
    point = choose([*people, *spliced], WEIGHT)
    assert false_an_hour(point, people) <= MOST_PER_HOUR
    assert point.hours == pytest.approx(2.0)
    assert point.n_inserted == 20
    others = [recording(200 + seed, 0, spread=spread) for seed in range(120)]
    assert false_an_hour(point, others) <= max(point.high, 2 * MOST_PER_HOUR)
    found = [one.called(point.level, point.evidence, WEIGHT) for one in spliced]
    assert point.found == pytest.approx(np.mean([len(called) > 0 for called in found]))
    assert point.found == 1.0


def test_a_noisier_detector_asks_for_more_evidence_of_its_stretches() -> None:
    def least(spread: float) -> float:
        people = [recording(seed, 0, spread=spread) for seed in range(30)]
        spliced = [recording(100 + seed, 5, spread=spread) for seed in range(20)]
        return choose([*people, *spliced], WEIGHT).found

    assert least(0.5) == 1.0
    assert least(6.0) < 0.9


def test_the_rate_that_is_stated_is_of_hosts_that_the_choice_has_not_seen() -> None:
    people = [recording(seed, 0) for seed in range(20)]
    odd = replace(recording(3, 0), scores=np.full(240, -6.0))
    spliced = [recording(100 + seed, 20) for seed in range(20)]
    point = choose([*people, odd, *spliced], WEIGHT)
    assert point.low <= point.false_per_hour <= point.high
    assert point.high >= 1.0
    assert point.false_per_hour > 0, "the odd recording is called synthetic where it was left out"


def test_both_kinds_of_recordings_are_needed() -> None:
    with pytest.raises(TrainingError, match="0 of 3 recordings have a synthetic stretch"):
        choose([recording(seed, 0) for seed in range(3)], WEIGHT)
    hopeless = [
        replace(recording(seed, 0), scores=np.tile([-90.0] * 9 + [90.0] * 9, 14)[:240])
        for seed in range(3)
    ]
    with pytest.raises(TrainingError, match="the least is"):
        choose([*hopeless, recording(9, 20)], WEIGHT)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in for a bundle and for scoring: what is scored is what a recording's name says."""
    written: dict[str, Any] = {}
    card = Card.model_construct(hop_s=1.0, window_s=3.0)
    monkeypatch.setattr("unheard.detectors.bundle.read_card", lambda _: card)

    def keep(_: Path, point: SegmentPoint) -> Card:
        written["point"] = point
        return card

    def score(tasks: list[Any], how: Settings, **_: Any) -> Any:
        written["hop_s"] = how.hop_s
        for task in tasks:
            seed, inserted_s = map(int, task.audio.stem.split("-"))
            one = recording(seed, inserted_s)
            windows = [
                {"start_s": n - 1.0, "end_s": n + 2.0, "score": score, "speech_s": 3.0}
                for n, score in enumerate(one.scores.tolist())
            ]
            yield {"source": task.source, "score": 1.0, "duration_s": 240.0, "windows": windows}

    monkeypatch.setattr("unheard.detectors.bundle.set_segments", keep)
    monkeypatch.setattr("unheard.training.segments.score_many", score)
    return written


def clips_of(root: Path, **note: str) -> Manifest:
    clips = [
        Clip(
            id=f"{part}{seed}",
            path=f"{seed}-{inserted_s}.flac",
            bonafide=not inserted_s,
            part=part,
            attack="saw" if inserted_s else "-",
            family="formant" if inserted_s else "-",
            speaker=f"host {seed % 5}",
            notes=note or {"segments": f"100-{100 + inserted_s} spoof saw" if inserted_s else "-"},
        )
        for part in ("dev", "eval")
        for seed, inserted_s in [*((n, 0) for n in range(20)), *((50 + n, 20) for n in range(20))]
    ]
    return Manifest.of(clips, root)


def test_the_fit_writes_what_it_chose_into_the_card(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    manifest = clips_of(tmp_path)
    fit_segments(tmp_path, manifest)
    point = settings["point"]
    assert (point.n_inserted, point.found) == (20, 1.0)
    assert point.hours == pytest.approx(20 / 15)
    assert point.manifest == manifest.part("dev").sha256()


def test_clips_to_test_on_are_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="not fitted on part 'eval'"):
        fit_segments(tmp_path, clips_of(tmp_path), parts=["dev", "eval"])
    with pytest.raises(TrainingError, match="40 of 40 clips have no note 'segments'"):
        fit_segments(tmp_path, clips_of(tmp_path, page="x"))
    assert not settings


def test_recordings_are_scored_at_a_hop_that_is_asked_for(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    recordings = scored(tmp_path, clips_of(tmp_path).part("dev"), hop_s=0.5)
    assert settings["hop_s"] == 0.5
    assert sum(len(one.truth) for one in recordings) == 20
    scored(tmp_path, clips_of(tmp_path).part("dev"))
    assert settings["hop_s"] is None
