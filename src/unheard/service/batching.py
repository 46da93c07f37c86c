"""Windows of several requests, scored together.

While the detector is busy, windows gather; the next pass takes as many as fit, those of the key
first that was given least of late. Nobody waits for a batch to fill. A detector's score of a window
does not depend on its batch-mates, so the verdict is that of the file scored alone, up to the
rounding of float32.

N windows, T samples, E experts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from unheard.service.shares import Shares
from unheard.types import FloatArray

__all__ = ["BATCH_WINDOWS", "Batcher"]

BATCH_WINDOWS = 16
"""Windows of one pass through the detector."""

Scores = tuple[FloatArray, FloatArray, FloatArray]
ScoreWindows = Callable[[FloatArray], Scores]


class Batcher:
    """Threads that pass windows through a detector; any number of others may ask `score_windows`.

    Attributes:
        n_passes: Passes until now.
        n_windows: Windows that went through them.
    """

    def __init__(
        self, score_windows: ScoreWindows, *, n_threads: int = 1, shares: Shares | None = None
    ) -> None:
        """Start the threads.

        Args:
            score_windows: `Bundle.expert_scores`, windows [N, T] -> scores [N], experts' scores and
                weights [N, E]; called by each thread at once.
            n_threads: Passes that run at once.
            shares: What each key was given; None knows of no keys.
        """
        self.n_passes = 0
        self.n_windows = 0
        self._score_windows = score_windows
        self._shares = shares or Shares()
        self._waiting: list[tuple[str, FloatArray, Future[Scores]]] = []
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"detector-{number}", daemon=True)
            for number in range(n_threads)
        ]
        for thread in self._threads:
            thread.start()

    def score_windows(self, windows: FloatArray, owner: str = "") -> Scores:
        """Return the scores of windows [N, T] of a key, when their turn has come."""
        result: Future[Scores] = Future()
        with self._changed:
            assert not self._closed, "the batcher is closed"
            self._waiting.append((owner, windows, result))
            self._changed.notify()
        return result.result()

    def close(self) -> None:
        """End the threads, once what waits is done."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._answer(batch)

    def _next(self) -> list[tuple[FloatArray, Future[Scores]]]:
        """Return what is to be scored together; nothing at the end."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            taken: list[tuple[FloatArray, Future[Scores]]] = []
            n_windows = 0
            self._waiting.sort(key=lambda one: self._shares.of(one[0]))  # keeps their order else
            while self._waiting and (
                not taken or n_windows + len(self._waiting[0][1]) <= BATCH_WINDOWS
            ):
                taken.append(self._waiting.pop(0)[1:])
                n_windows += len(taken[-1][0])
            self.n_passes += bool(taken)
            self.n_windows += n_windows
            return taken

    def _answer(self, batch: list[tuple[FloatArray, Future[Scores]]]) -> None:
        try:
            outputs = self._score_windows(np.concatenate([windows for windows, _ in batch]))
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            for request in batch:  # the fault of one must not be another's
                self._answer([request])
            return
        ends = np.cumsum([len(windows) for windows, _ in batch])[:-1]
        parts = zip(*(np.split(output, ends) for output in outputs), strict=True)
        for (_, result), (scores, experts, weights) in zip(batch, parts, strict=True):
            result.set_result((scores, experts, weights))
