"""The equalising chain leaves nothing but speech to tell the labels apart by."""

from dataclasses import replace

import numpy as np
import pytest

from unheard.corpora.open.finish import KEPT, LEVEL_DB, draw, equalise, matched_durations_s, trimmed
from unheard.corpora.open.speech import speech_bounds
from unheard.types import FloatArray

PLAIN = replace(
    draw(0, "clip"), low_pass_hz=8000.0, room_s=0.0, noise_db=float("inf"), codec="", kbps=0.0
)


def voice(length_s: float, level: float = 0.2, seed: int = 0) -> FloatArray:
    time = np.arange(round(16_000 * length_s)) / 16_000
    noise = np.random.default_rng(seed).normal(0, 0.05, time.size)
    return (level * (np.sin(2 * np.pi * 200 * time) + noise)).astype(np.float32)


def test_what_is_drawn_depends_on_seed_and_id_alone() -> None:
    assert draw(0, "a") == draw(0, "a")
    assert draw(0, "a") != draw(1, "a")
    assert draw(0, "a") != draw(0, "b")


def test_draws_use_every_channel() -> None:
    drawn = [draw(0, str(n)) for n in range(400)]
    assert {d.low_pass_hz for d in drawn} == {3400.0, 5500.0, 7000.0, 8000.0}
    assert {d.codec for d in drawn} == {"", "opus", "mp3", "aac", "vorbis", "g722"}
    assert 0.15 < np.mean([d.room_s > 0 for d in drawn]) < 0.35
    assert drawn[0].channel == (f"{drawn[0].codec}-{drawn[0].kbps:g}k" if drawn[0].codec else "pcm")


@pytest.mark.parametrize("level", [0.001, 0.9])
def test_one_level_whatever_came_in(level: float) -> None:
    clip = equalise(voice(2.0, level), 2.0, PLAIN)
    start, end = speech_bounds(clip)
    level_db = 20 * np.log10(np.sqrt(np.mean(clip[start:end] ** 2)))
    assert abs(level_db - LEVEL_DB - PLAIN.gain_db) < 0.5


def test_length_is_speech_and_drawn_edges() -> None:
    clip = equalise(voice(3.0), 2.0, PLAIN)
    edges = sum(round(s * 16_000) for s in (PLAIN.lead_s, PLAIN.trail_s))
    assert clip.size == 32_000 + edges


def test_no_clipping_no_offset_no_digital_silence() -> None:
    burst = voice(2.0)
    burst[16_000] = 1.0
    clip = equalise(burst + 0.3, 2.0, replace(PLAIN, gain_db=4.0))
    assert np.abs(clip).max() < 1.0
    assert abs(clip.mean()) < 1e-4
    assert np.mean(clip == 0.0) == 0.0
    assert clip[:200].std() == pytest.approx(10 ** (-70 / 20), rel=0.3)


def test_low_pass_leaves_nothing_above_it() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    power = np.abs(np.fft.rfft(equalise(noise, 2.0, replace(PLAIN, low_pass_hz=3400.0)))) ** 2
    hertz = np.linspace(0, 8000, power.size)
    above, below = power[hertz > 3600].mean(), power[hertz < 3200].mean()
    assert 10 * np.log10(above / below) < -35


def test_noise_has_the_drawn_level() -> None:
    silent_middle = voice(2.0)
    noisy = equalise(silent_middle, 2.0, replace(PLAIN, noise_db=20.0, lead_s=0.2))
    edge_db = 20 * np.log10(noisy[: round(0.15 * 16_000)].std())
    assert edge_db == pytest.approx(LEVEL_DB + PLAIN.gain_db - 20.0, abs=1.0)


def test_the_whole_chain_repeats_itself_to_the_bit() -> None:
    drawn = replace(PLAIN, codec="opus", kbps=24, room_s=0.3, noise_db=15.0)
    np.testing.assert_array_equal(equalise(voice(2), 1.5, drawn), equalise(voice(2), 1.5, drawn))


def test_durations_are_matched_and_never_lengthened() -> None:
    rng = np.random.default_rng(0)
    human, machine = rng.uniform(1.5, 9.0, 300), rng.uniform(2.0, 3.0, 700)
    kept_human, kept_machine = matched_durations_s(human, machine, 4.0)
    assert (kept_human <= human * KEPT + 1e-9).all()
    assert (kept_machine <= machine * KEPT + 1e-9).all()
    assert max(kept_human.max(), kept_machine.max()) <= 4.0
    grid = np.linspace(0.02, 0.98, 25)
    apart = np.abs(np.quantile(kept_human, grid) - np.quantile(kept_machine, grid))
    assert apart.max() < 0.05


def test_durations_without_one_label_are_cropped_alike() -> None:
    kept, none = matched_durations_s(np.array([2.0, 6.0]), np.zeros(0), 4.0)
    np.testing.assert_allclose(kept, [2.0 * KEPT, 4.0])
    assert none.size == 0


def test_silent_edges_are_trimmed_by_energy() -> None:
    padded = np.concatenate([np.zeros(8000), voice(1.0), np.full(8000, 1e-4)]).astype(np.float32)
    assert trimmed(padded).size == 16_000
    assert speech_bounds(np.zeros(4000, np.float32)) == (0, 0)
