"""Settings whose scorer is slow enough to be interrupted and notes what it scores, on any node."""

import os
import time
from typing import Any

from unheard.scoring.scorer import Scorer
from unheard.scoring.verdict import Verdict
from voice import FakeSettings

__all__ = ["LOG", "SlowSettings"]

LOG = "UNHEARD_TEST_STARTED"
"""Variable with the file where each node notes its raylet's number and what it begins."""

SCORE_S = 0.5


class _Slow(Scorer):
    def file(self, source: Any, *, name: str = "") -> Verdict:
        with open(os.environ[LOG], "a") as log:
            log.write(f"{os.environ.get('RAY_RAYLET_PID', '-')} {name}\n")
        time.sleep(SCORE_S)
        return super().file(source, name=name)


class SlowSettings(FakeSettings):
    """The key is that of the bundle; the scorer is ready at once."""

    def scorer(self) -> Scorer:
        return _Slow(super().scorer().bundle)
