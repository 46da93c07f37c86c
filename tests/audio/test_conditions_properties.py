"""What must hold for every condition, whatever the wave."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard.audio.conditions import CONDITIONS
from unheard.types import FloatArray
from voice import voice


def wave_of(kind: str, n: int, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    by_kind = {
        "voice": voice(0.5, seed)[:n],
        "noise": 0.2 * rng.standard_normal(n).clip(-5, 5),
        "full scale": rng.choice([-1.0, 1.0], n),
        "half silent": np.where(np.arange(n) < n // 2, 0, rng.uniform(-1, 1, n)),
    }
    return by_kind[kind].astype(np.float32)


waves = st.builds(
    wave_of,
    st.sampled_from(["voice", "noise", "full scale", "half silent"]),
    st.one_of(st.integers(1, 40), st.integers(41, 8_000)),
    st.integers(0, 1_000),
)


@pytest.mark.parametrize("name", CONDITIONS)
@settings(max_examples=6, derandomize=True, deadline=None)
@given(wave=waves, clip=st.text(max_size=8))
def test_a_condition_keeps_type_and_range_and_repeats_itself(
    name: str, wave: FloatArray, clip: str
) -> None:
    before = wave.copy()
    changed, again = (CONDITIONS[name](wave, clip) for _ in range(2))
    assert changed.dtype == np.float32
    assert changed.ndim == 1
    assert np.abs(changed).max(initial=0) <= 1  # false for NaN
    np.testing.assert_array_equal(changed, again)
    np.testing.assert_array_equal(wave, before)
    if CONDITIONS[name].group not in ("trim", "speed"):
        assert changed.shape == wave.shape


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("n_samples", [0, 1, 16_000])
def test_silence_comes_out_as_silence(name: str, n_samples: int) -> None:
    silence = np.zeros(n_samples, np.float32)
    np.testing.assert_array_equal(CONDITIONS[name](silence, "clip"), silence)
