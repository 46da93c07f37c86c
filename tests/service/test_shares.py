"""Does nobody wait for another key's long recordings?"""

import asyncio
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard.service.batching import BATCH_WINDOWS, Batcher
from unheard.service.limits import Refusal
from unheard.service.shares import Allowance, Shares, Turns


@given(
    owners=st.lists(st.sampled_from("abc"), min_size=1, max_size=24),
    n_active=st.integers(1, 4),
)
@settings(deadline=None)
def test_turns_are_shared_out_by_key(owners: list[str], n_active: int) -> None:
    asyncio.run(_taken(owners, n_active))


async def _taken(owners: list[str], n_active: int) -> None:
    """Let requests take turns; check who is active after each step."""
    turns = Turns(n_active, lambda owner: 0.0)
    active: Counter[str] = Counter()
    waiting = Counter(owners)
    ends: defaultdict[str, list[asyncio.Event]] = defaultdict(list)

    async def ask(owner: str) -> None:
        async with turns.turn(owner):
            waiting[owner] -= 1
            active[owner] += 1
            ends[owner].append(end := asyncio.Event())
            await end.wait()
            active[owner] -= 1

    asking = [asyncio.ensure_future(ask(owner)) for owner in owners]
    for _ in owners:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        n_all = active.total()
        assert n_all <= 2 * n_active
        for owner in "abc":
            if waiting[owner] > 0:  # none waits while others alone are scored, if there is room
                assert active[owner] or n_all == 2 * n_active
                assert n_all >= n_active
        owner = max("abc", key=lambda one: active[one])
        ends[owner].pop().set()
    await asyncio.gather(*asking)
    assert not turns._active.total()


def test_a_request_that_is_given_up_leaves_its_place() -> None:
    async def given_up() -> None:
        turns = Turns(1, lambda owner: 0.0)

        async def ask() -> None:
            async with turns.turn("a"):
                await asyncio.sleep(60)

        first, second = (asyncio.ensure_future(ask()) for _ in range(2))
        await asyncio.sleep(0.01)
        for task in (second, first):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with asyncio.timeout(5), turns.turn("a"):
            pass

    asyncio.run(given_up())


def test_half_of_what_a_key_was_given_is_forgotten_in_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    shares = Shares()
    shares.add("desk", 40.0)
    now_s += 60.0
    assert shares.of("desk") == pytest.approx(20.0)
    shares.add("lab", 1.0)
    shares.add("desk", 5.0)
    assert shares.of("desk") == pytest.approx(25.0)
    now_s += 3600.0
    shares.add("lab", 1.0)
    assert shares.of("desk") == 0.0
    assert shares._given.keys() == {"lab"}


@given(given_s=st.permutations([0.0, 10.0, 20.0, 30.0]), n_windows=st.integers(1, BATCH_WINDOWS))
@settings(deadline=None)
def test_windows_of_the_key_that_was_given_least_go_first(
    given_s: list[float], n_windows: int
) -> None:
    shares = Shares()
    batcher = Batcher(lambda windows: (windows[:, 0],) * 3, n_threads=0, shares=shares)
    for place, seconds in enumerate(given_s):
        shares.add(str(place), seconds)
        batcher._waiting.append((str(place), np.full((n_windows, 1), seconds), None))  # type: ignore[arg-type]
    taken: list[float] = []
    while batcher._waiting:
        taken += [float(windows[0, 0]) for windows, _ in batcher._next()]
    assert taken == sorted(given_s)


@given(
    taken=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 500)), min_size=1, max_size=20),
    per_minute_s=st.floats(1, 600),
)
def test_a_key_waits_until_what_it_took_is_what_it_may(
    taken: list[tuple[float, float]], per_minute_s: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        now_s = 1000.0
        patch.setattr("unheard.service.shares.time.monotonic", lambda: now_s)
        allowance, left_s = Allowance(per_minute_s), per_minute_s
        for audio_s, pause_s in taken:
            allowance.take("ann", audio_s)
            left_s -= audio_s
            now_s += pause_s
            left_s = min(per_minute_s, left_s + pause_s * per_minute_s / 60)
            if left_s < -1e-6:
                with pytest.raises(Refusal, match=r"more than .* s of audio a minute") as refused:
                    allowance.check("ann")
                assert refused.value.retry_after_s is not None
                now_s += refused.value.retry_after_s
                left_s += refused.value.retry_after_s * per_minute_s / 60
                left_s = min(per_minute_s, left_s)
                allowance.check("ann")
            elif left_s > 1e-6:
                allowance.check("ann")
        allowance.check("bob")
