"""Are windows of several requests scored together, and each answered with its own?"""

import threading
import time
from typing import Any

import numpy as np
import pytest

from unheard.service.batching import BATCH_WINDOWS, Batcher
from unheard.types import FloatArray


def mixture_scores(windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """A mixture of two: the mean of a window, and the mean with its half as experts."""
    mean = windows.mean(axis=1)
    experts = np.stack([mean, mean / 2], axis=1)
    return mean, experts, np.full_like(experts, 0.5)


class Slow:
    """A detector that waits for `go`, and remembers its batches."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.entered = threading.Semaphore(0)
        self.batches: list[int] = []

    def __call__(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        self.entered.release()
        assert self.go.wait(10)
        self.batches.append(len(windows))
        if (windows < 0).any():
            raise ValueError("a window that breaks the detector")
        return mixture_scores(windows)


def gathered(detector: Slow, parts: list[FloatArray]) -> list[Any]:
    """Ask for parts at once while the detector is busy with another; outcomes, in order."""
    batcher = Batcher(detector)
    outcomes: list[Any] = [None] * len(parts)

    def ask(place: int) -> None:
        try:
            outcomes[place] = batcher.score_windows(parts[place])
        except ValueError as error:
            outcomes[place] = error

    busy = threading.Thread(target=batcher.score_windows, args=[np.zeros((1, 4))], daemon=True)
    asking = [
        threading.Thread(target=ask, args=[place], daemon=True) for place in range(len(parts))
    ]
    busy.start()
    assert detector.entered.acquire(timeout=10)
    for number, thread in enumerate(asking, start=1):
        thread.start()
        while len(batcher._waiting) < number:
            time.sleep(0.001)
    detector.go.set()
    for thread in [busy, *asking]:
        thread.join(10)
        assert not thread.is_alive(), "a request was never answered"
    batcher.close()
    return outcomes


def test_windows_that_wait_share_a_pass_and_each_gets_its_own() -> None:
    rng = np.random.default_rng(0)
    parts: list[FloatArray] = [rng.random((n, 4)) for n in (3, 1, 5)]
    detector = Slow()
    outcomes = gathered(detector, parts)
    assert detector.batches == [1, 9]
    for part, outcome in zip(parts, outcomes, strict=True):
        for scores, wanted in zip(outcome, mixture_scores(part), strict=True):
            np.testing.assert_array_equal(scores, wanted)


def test_a_pass_holds_no_more_than_it_may_but_always_one_request() -> None:
    detector = Slow()
    gathered(detector, [np.ones((n, 4)) for n in (BATCH_WINDOWS - 1, 1, 1, BATCH_WINDOWS + 5, 2)])
    assert detector.batches == [1, BATCH_WINDOWS, 1, BATCH_WINDOWS + 5, 2]


def test_one_request_that_fails_fails_alone() -> None:
    detector = Slow()
    good, bad = np.ones((2, 4)), -np.ones((1, 4))
    outcomes = gathered(detector, [good, bad, good])
    assert isinstance(outcomes[1], ValueError)
    assert not isinstance(outcomes[0], Exception)
    assert not isinstance(outcomes[2], Exception)


def test_closing_answers_what_waits() -> None:
    batcher = Batcher(mixture_scores, n_threads=2)
    assert batcher.score_windows(np.ones((2, 4)))[0].tolist() == [1.0, 1.0]
    batcher.close()
    assert not any(thread.is_alive() for thread in batcher._threads)
    with pytest.raises(AssertionError, match="closed"):
        batcher.score_windows(np.ones((1, 4)))
