"""Near copies are found through codecs and cuts, and what only resembles is left alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unheard import audio
from unheard.audio import codecs
from unheard.corpora.demos.copies import find_copies
from unheard.corpora.demos.cutting import cut
from unheard.data.clip import Clip
from unheard.types import FloatArray

RATE = audio.SAMPLE_RATE_HZ

Voice = Callable[..., FloatArray]


def clip(root: Path, name: str, samples: FloatArray, attack: str = "-", page: str = "") -> Clip:
    audio.write(root / f"{name}.flac", cut(np.asarray(samples, np.float32), 3.0))
    return Clip(
        id=name,
        path=f"{name}.flac",
        bonafide=attack == "-",
        part="train",
        attack=attack,
        family="-" if attack == "-" else "vc",
        notes={"page": page or name},
    )


def others(root: Path, voice: Voice, n: int = 24) -> list[Clip]:
    return [clip(root, f"other{seed}", voice(100 + seed, 3.0)) for seed in range(n)]


def trimmed(samples: FloatArray) -> FloatArray:
    return samples[RATE // 3 :]


def through_mp3(samples: FloatArray) -> FloatArray:
    return codecs.round_trip(samples, "mp3", kbps=32)


def at_8_khz(samples: FloatArray) -> FloatArray:
    return audio.resample(audio.resample(samples, RATE, 8000), 8000, RATE)


def quieter_and_coloured(samples: FloatArray) -> FloatArray:
    return 0.2 * np.convolve(samples, [1.0, -0.6])[: samples.size]


@pytest.mark.parametrize("change", [trimmed, through_mp3, at_8_khz, quieter_and_coloured])
def test_a_copy_is_found_and_the_first_stays(
    change: Callable[[FloatArray], FloatArray], voice: Voice, tmp_path: Path
) -> None:
    original = voice(1, 3.0)
    first, copy = clip(tmp_path, "z", original), clip(tmp_path, "a", change(original))
    copies = find_copies([first, *others(tmp_path, voice), copy], tmp_path)
    assert copies.kept == {"a": "z"}


def test_different_recordings_are_no_copies(voice: Voice, tmp_path: Path) -> None:
    assert not find_copies(others(tmp_path, voice), tmp_path).kept


def test_silence_around_a_word_makes_no_copies(voice: Voice, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = []
    for seed in range(12):
        samples = 1e-4 * rng.standard_normal(3 * RATE).astype(np.float32)
        samples[RATE : RATE + RATE // 2] += voice(seed, 0.5)
        clips.append(clip(tmp_path, f"word{seed}", samples))
    assert not find_copies(clips, tmp_path).kept


def test_a_copy_by_a_generator_is_another_clip(voice: Voice, tmp_path: Path) -> None:
    original = voice(1, 3.0)
    clips = [
        clip(tmp_path, "human", original),
        clip(tmp_path, "gan", original, "gan"),
        clip(tmp_path, "wavenet", original, "wavenet"),
    ]
    assert not find_copies([*clips, *others(tmp_path, voice)], tmp_path).kept


def test_variants_on_one_page_are_no_copies_but_on_two_pages_are(
    voice: Voice, tmp_path: Path
) -> None:
    original = voice(1, 3.0)
    talk = clip(tmp_path, "one", original, "gan", page="p")
    side = clip(tmp_path, "side", original, "gan", page="p")
    far = clip(tmp_path, "far", original, "gan", page="q")
    assert not find_copies([talk, side], tmp_path).kept
    assert find_copies([talk, far], tmp_path).kept == {"far": "one"}


def test_no_clips_have_no_copies(tmp_path: Path) -> None:
    assert not find_copies([], tmp_path).kept
