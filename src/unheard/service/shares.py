"""Who goes next, the key that was given least audio of late, and how much one may send."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from unheard.service.limits import Refusal

__all__ = ["Allowance", "Shares", "Turns"]

_HALF_S = 60.0
_FORGOTTEN_S = 0.01


class Shares:
    """Seconds of audio that each key was given of late; half is forgotten in a minute."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[float, float]] = {}  # by key: seconds, and when
        self._lock = threading.Lock()

    def add(self, owner: str, audio_s: float) -> None:
        """Note that audio of a key is scored."""
        now_s = time.monotonic()
        with self._lock:
            self._given[owner] = _left(self._given.get(owner), now_s) + audio_s, now_s
            if len(self._given) > 1:
                kept = {who: given for who, given in self._given.items() if _left(given, now_s)}
                self._given = kept

    def of(self, owner: str) -> float:
        """Return the seconds that a key was given of late."""
        with self._lock:
            return _left(self._given.get(owner), time.monotonic())


class Allowance:
    """Seconds of audio that a key may send in a minute, over time.

    A key that has sent nothing for a minute may send a minute's allowance at once. How long a
    recording is shows only while it is decoded, so one may go beyond: what it took too much is
    waited for before the next.
    """

    def __init__(self, per_minute_s: float) -> None:
        self._per_minute_s = per_minute_s
        self._left: dict[str, tuple[float, float]] = {}  # by key: seconds, and when
        self._lock = threading.Lock()

    def take(self, owner: str, audio_s: float) -> None:
        """Note that audio of a key is scored; without keys nothing is noted."""
        if owner and self._per_minute_s:
            with self._lock:
                self._left[owner] = self._left_s(owner) - audio_s, time.monotonic()

    def check(self, owner: str) -> None:
        """Refuse a key that has sent more than it may, until a time that is told."""
        if not (owner and self._per_minute_s):
            return
        with self._lock:
            left_s = self._left_s(owner)
        if left_s < 0:
            wait_s = math.ceil(-left_s * 60 / self._per_minute_s) or 1
            raise Refusal(
                429,
                "too_much_audio",
                f"this key has sent more than {self._per_minute_s:g} s of audio a minute; send the "
                f"next in {wait_s} s",
                retry_after_s=wait_s,
            )

    def _left_s(self, owner: str) -> float:
        left_s, when_s = self._left.get(owner, (self._per_minute_s, 0.0))
        gained_s = (time.monotonic() - when_s) * self._per_minute_s / 60
        return min(self._per_minute_s, left_s + gained_s)


class Turns:
    """Lets so many requests be scored at once, those of the key with fewest of them first.

    A key of which nothing is scored waits for none of another: it gets a place beyond the number,
    until there are twice as many.
    """

    def __init__(self, n_active: int, given: Callable[[str], float]) -> None:
        self._n_active = n_active
        self._given = given
        self._active: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        """Wait for a place, and hold it."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((owner, place))
        self._admit()
        try:
            await place
            yield
        finally:
            if (owner, place) in self._waiting:
                self._waiting.remove((owner, place))
            else:
                self._active[owner] -= 1
                self._active += Counter()  # forget owners without requests
            self._admit()

    def _admit(self) -> None:
        while True:
            n_active = self._active.total()
            fitting = [
                (owner, place)
                for owner, place in self._waiting
                if n_active < self._n_active * (1 if self._active[owner] else 2)
            ]
            if not fitting:
                return
            taken = min(fitting, key=lambda one: (self._active[one[0]], self._given(one[0])))
            self._waiting.remove(taken)
            self._active[taken[0]] += 1
            if not taken[1].done():
                taken[1].set_result(None)


def _left(given: tuple[float, float] | None, now_s: float) -> float:
    if given is None:
        return 0.0
    left_s = given[0] * 0.5 ** ((now_s - given[1]) / _HALF_S)
    return left_s if left_s >= _FORGOTTEN_S else 0.0
