"""What must hold for every transform, whatever the wave."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard.audio.augment import AUGMENTS, Augment, Step
from unheard.types import FloatArray


def wave_of(kind: str, n: int, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    by_kind = {
        "noise": 0.2 * rng.standard_normal(n).clip(-5, 5),
        "silence": np.zeros(n),
        "constant": np.full(n, rng.uniform(-1, 1)),
        "full scale": rng.choice([-1.0, 1.0], n),
        "faint": 1e-6 * rng.standard_normal(n),
        "half silent": np.where(np.arange(n) < n // 2, 0, rng.uniform(-1, 1, n)),
    }
    return by_kind[kind].astype(np.float32)


waves = st.builds(
    wave_of,
    st.sampled_from(["noise", "silence", "constant", "full scale", "faint", "half silent"]),
    st.one_of(st.integers(1, 40), st.integers(41, 6_000)),
    st.integers(0, 1_000),
)


@pytest.mark.parametrize("name", AUGMENTS)
@settings(max_examples=25, derandomize=True, deadline=None)
@given(wave=waves, seed=st.integers(0, 2**32))
def test_a_transform_keeps_length_type_and_range_and_repeats_itself(
    name: str, wave: FloatArray, seed: int
) -> None:
    before = wave.copy()
    changed, again = (AUGMENTS[name](wave, np.random.default_rng(seed)) for _ in range(2))
    assert changed.shape == wave.shape
    assert changed.dtype == np.float32
    assert np.abs(changed).max() <= 1  # false for NaN
    np.testing.assert_array_equal(changed, again)
    np.testing.assert_array_equal(wave, before)  # the clip may be cached


@settings(max_examples=15, derandomize=True, deadline=None)
@given(wave=waves, seed=st.integers(0, 2**32), names=st.permutations(sorted(AUGMENTS)))
def test_transforms_follow_each_other_in_any_order(
    wave: FloatArray, seed: int, names: list[str]
) -> None:
    steps = Augment(tuple(Step(name, 0.5) for name in names))
    changed = steps(wave, np.random.default_rng(seed))
    assert changed.shape == wave.shape
    assert changed.dtype == np.float32
    assert np.abs(changed).max() <= 1
