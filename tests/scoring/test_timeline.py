"""Is every verdict of a mixture explained, with each score at its time?"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from audio_files import wav
from unheard.scoring import timeline
from unheard.scoring.verdict import ExpertScore, WindowScore, mean_of_experts
from voice import SOUNDS, FakeMixture, scorer, silence, verdict_of, voice


@pytest.mark.parametrize("sound", SOUNDS)
def test_every_verdict_can_be_explained(tmp_path: Path, sound: str) -> None:
    samples = SOUNDS[sound]
    file = tmp_path / "a.wav"
    file.write_bytes(wav(samples[None] if samples.size else np.zeros((1, 1600))))
    picture = tmp_path / "new" / "a.png"
    timeline.explain(scorer(FakeMixture()).samples(samples, name="a.wav"), file, picture)
    assert imread(picture).shape[:2] == (888, 1320)
    assert [path.name for path in picture.parent.iterdir()] == ["a.png"]


def test_overlapping_windows_are_averaged_where_they_overlap(tmp_path: Path) -> None:
    verdict, _ = verdict_of(voice(2), tmp_path)
    spans = [(0.0, 2.0, 4.0), (1.0, 3.0, 0.0), (3.0, 5.0, None), (4.0, 6.0, -2.0)]
    windows = tuple(WindowScore(start, end, score, 1.0) for start, end, score in spans)
    values = np.array([[np.nan if score is None else score for _, _, score in spans]])
    edges_s, (score,) = timeline._parts(replace(verdict, windows=windows, duration_s=6.0), values)
    assert edges_s.tolist() == [0, 1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(score, [4, 2, 0, np.nan, -2, -2])


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (7.5, "7.5 s"), (60, "1:00"), (83.5, "1:23.5"), (3723, "1:02:03")],
)
def test_times_are_written_as_people_read_them(seconds: float, shown: str) -> None:
    assert timeline._clock(seconds, 0) == shown


def explained(folder: Path, *shares: float) -> Path:
    """A picture of experts with these weights everywhere, the first for and the others against."""
    verdict, file = verdict_of(voice(3), folder)
    scores = [3.0] + [-3.0] * (len(shares) - 1)
    experts = tuple(
        ExpertScore(f"expert {n}", score, share)
        for n, (score, share) in enumerate(zip(scores, shares, strict=True))
    )
    windows = tuple(replace(window, experts=experts) for window in verdict.windows)
    verdict = replace(verdict, windows=windows, experts=experts)
    return timeline.explain(verdict, file, folder / "explained.png")


def rows_of(picture: Path, colour: str) -> NDArray[np.intp]:
    """Rows of a picture's right half, between its axes, that have this very colour."""
    wanted = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    pixels = imread(picture)[:, 660:1240, :3]
    return np.flatnonzero((np.abs(pixels - wanted).max(axis=2) < 0.01).mean(axis=1) > 0.5)


def test_weights_are_as_high_as_they_count(tmp_path: Path) -> None:
    first, second, *_ = timeline._EXPERT_COLOURS
    for share in (0.5, 0.8):
        picture = explained(tmp_path, share, 1 - share)
        bands = [rows[rows > 440] for rows in (rows_of(picture, first), rows_of(picture, second))]
        assert bands[0].min() > bands[1].max()
        assert bands[0].size / (bands[0].size + bands[1].size) == pytest.approx(share, abs=0.03)


def test_an_expert_that_speaks_for_a_voice_is_drawn_above_one_against(tmp_path: Path) -> None:
    picture = explained(tmp_path, 0.5, 0.5)
    lines = [rows_of(picture, colour) for colour in timeline._EXPERT_COLOURS[:2]]
    above, below = [rows[rows < 400] for rows in lines]
    assert 0 < above.size <= 5
    assert 0 < below.size <= 5
    assert above.max() < below.min()


def test_more_experts_than_colours_are_distinguishable(tmp_path: Path) -> None:
    n_colours = len(timeline._EXPERT_COLOURS)
    explained(tmp_path, *[0.5 / n_colours] * 2 * n_colours)
    styles = {
        (timeline._EXPERT_COLOURS[n % n_colours], *timeline._EXPERT_STYLES[n // n_colours])
        for n in range(3 * n_colours)
    }
    assert len(styles) == 3 * n_colours


def test_parts_of_a_picture_have_the_means_of_mean_of_experts(tmp_path: Path) -> None:
    verdict = scorer(FakeMixture()).samples(np.concatenate([voice(3), silence(3), voice(2)]))
    edges_s, names, scores, share = timeline._experts(verdict)
    assert names == ["flat", "loud"]
    for part, start_s in enumerate(edges_s[:-1]):
        over = [w for w in verdict.windows if w.experts and w.start_s <= start_s < w.end_s]
        expected = [(expert.score, expert.weight) for expert in mean_of_experts(over)]
        np.testing.assert_allclose(np.stack([scores, share], 2)[:, part], expected, atol=1e-9)


def test_an_expert_without_weight_keeps_its_plain_score() -> None:
    verdict = scorer().samples(voice(2))
    pairs = [(1.0, 0.0), (3.0, 0.0), (5.0, 0.0)]
    windows = tuple(
        replace(window, experts=(ExpertScore("a", *pair), ExpertScore("b", 0.0, 1.0)))
        for window, pair in zip(verdict.windows, pairs, strict=True)
    )
    _, _, scores, _ = timeline._experts(replace(verdict, windows=windows))
    np.testing.assert_allclose(scores[0], [1, 2, 4, 5])


# Linear RGB as protanopes and deuteranopes see it: Vienot, Brettel and Mollon, Digital video
# colourmaps for checking the legibility of displays by dichromats, 1999.
DICHROMATS = {
    "protan": [[0.1124, 0.8876, 0], [0.1124, 0.8876, 0], [0.0040, -0.0040, 1]],
    "deutan": [[0.2927, 0.7073, 0], [0.2927, 0.7073, 0], [-0.0223, 0.0223, 1]],
}


@pytest.mark.parametrize("kind", DICHROMATS)
def test_experts_are_distinguishable_to_the_colour_blind(kind: str) -> None:
    seen = []
    for colour in timeline._EXPERT_COLOURS:
        linear = [(int(colour[place : place + 2], 16) / 255) ** 2.2 for place in (1, 3, 5)]
        seen.append(np.clip(np.array(DICHROMATS[kind]) @ linear, 0, 1) ** (1 / 2.2))
    distance = np.abs(np.array(seen)[:, None] - seen).max(axis=2)
    assert distance[np.triu_indices(len(seen), 1)].min() > 0.15
