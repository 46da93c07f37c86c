"""Is a picture drawn of every verdict, with what was said where it was said?"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from audio_files import wav
from unheard import timeline
from unheard.score import Verdict, WindowScore
from unheard.types import FloatArray
from voice import scorer, silence, voice


def verdict_of(samples: FloatArray, folder: Path) -> tuple[Verdict, Path]:
    (folder / "a.wav").write_bytes(wav(samples[None]))
    return scorer().file(folder / "a.wav"), folder / "a.wav"


@pytest.mark.parametrize(
    "samples",
    [
        np.concatenate([voice(3), silence(3), voice(2)]),
        silence(1),
        voice(0.25),
        np.zeros(1, np.float32),
        np.zeros(0, np.float32),
    ],
    ids=["with a gap", "silent", "short", "one sample", "empty"],
)
def test_every_verdict_can_be_drawn(tmp_path: Path, samples: FloatArray) -> None:
    (tmp_path / "a.wav").write_bytes(
        wav(np.zeros((1, 1600)) if not samples.size else samples[None])
    )
    verdict = scorer().samples(samples, name="a.wav")
    picture = timeline.draw(verdict, tmp_path / "a.wav", tmp_path / "new" / "a.png")
    height, width, _ = imread(picture).shape
    assert (width, height) == (1320, 744)
    assert [path.name for path in picture.parent.iterdir()] == ["a.png"]


def test_the_picture_has_the_colour_of_what_was_said(tmp_path: Path) -> None:
    verdict, file = verdict_of(voice(4), tmp_path)
    counts = {}
    for name, score in (("high", 3.0), ("low", -3.0)):
        windows = tuple(replace(window, score=score) for window in verdict.windows)
        picture = tmp_path / f"{name}.png"
        timeline.draw(replace(verdict, windows=windows), file, picture)
        red, green, _, _ = np.moveaxis(imread(picture)[480:], 2, 0)
        counts[name] = ((red - green > 0.3).sum(), (green - red > 0.3).sum())
    assert counts["high"][1] > 10 * counts["high"][0]
    assert counts["low"][0] > 10 * counts["low"][1]


def test_overlapping_windows_are_averaged_where_they_overlap(tmp_path: Path) -> None:
    verdict, _ = verdict_of(voice(2), tmp_path)
    spans = [(0.0, 2.0, 4.0), (1.0, 3.0, 0.0), (3.0, 5.0, None), (4.0, 6.0, -2.0)]
    windows = tuple(WindowScore(start, end, score, 1.0) for start, end, score in spans)
    edges_s, score = timeline._parts(replace(verdict, windows=windows, duration_s=6.0))
    assert edges_s.tolist() == [0, 1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(score, [4, 2, 0, np.nan, -2, -2])


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (7.5, "7.5 s"), (60, "1:00"), (83.5, "1:23.5"), (3723, "1:02:03")],
)
def test_times_are_written_as_people_read_them(seconds: float, shown: str) -> None:
    assert timeline._clock(seconds, 0) == shown
