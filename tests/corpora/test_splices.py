"""Is what the manifest says of splices what is in the recordings, and do parts share nothing?"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from copying import Echo
from synthetic_corpus import hum
from unheard import audio
from unheard.attacks import Kind, Speech
from unheard.corpora.splices import OTHER, SYSTEMS, splice
from unheard.data.clip import Clip, Manifest
from unheard.data.segment_labels import NOTE, read_stretches
from unheard.errors import CorpusError
from unheard.types import FloatArray

RATE_HZ = audio.SAMPLE_RATE_HZ
TEXTS = [f"Sentence number {number}." for number in range(8)]


@dataclass(frozen=True)
class Beep(Echo):
    """Speaks any text as a tone of its own."""

    name: str = "beep"
    kind: ClassVar[Kind] = "text"
    languages: ClassVar[tuple[str, ...]] = ("en",)

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Two seconds of a tone."""
        assert speech.text in TEXTS
        time_s = np.arange(2 * RATE_HZ) / RATE_HZ
        return (0.5 * np.sin(2 * np.pi * 3_000 * time_s)).astype(np.float32)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    root = tmp_path_factory.mktemp("clips")
    clips: list[Clip] = []
    for part in ("dev", "eval"):
        for number in range(12):
            for attack in ("-", "saw"):
                rng = np.random.default_rng((len(clips), 1))
                name = f"{part}-{attack.strip('-') or 'human'}-{number:02d}"
                audio.write(root / f"{name}.flac", hum(rng, 2.0, 0.2, 1.0))
                clips.append(
                    Clip(
                        id=name,
                        path=f"{name}.flac",
                        bonafide=attack == "-",
                        part=part,
                        attack=attack,
                        family="formant" if attack != "-" else "-",
                        speaker=f"{part}-{number % 2}" if attack == "-" else "",
                        corpus="hum",
                        duration_s=2.0,
                    )
                )
    return Manifest.of(clips, root)


@pytest.fixture(scope="module")
def made(given: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    out = tmp_path_factory.mktemp("splices")
    attacks = [Beep(), Echo()]
    lengths = (0.5, 2.0)
    path = splice(given, attacks, out, parts=["dev"], texts=TEXTS, each=2, lengths_s=lengths)
    return Manifest.read(path)


def samples_of(manifest: Manifest, clip: Clip) -> FloatArray:
    return audio.read(manifest.file(clip), minimum_s=0.0).samples


def test_labels_say_what_was_put_in(made: Manifest) -> None:
    spliced = [clip for clip in made if clip.notes["engine"] != "none"]
    engines = Counter(clip.notes["engine"] for clip in spliced)
    assert set(engines) == {"copying", "test_splices", SYSTEMS, OTHER}
    assert set(engines.values()) == {4}, "two of each length"
    for clip in spliced:
        (stretch,) = read_stretches(clip.notes[NOTE])
        assert stretch.end_s - stretch.start_s == pytest.approx(float(clip.notes["inserted_s"]))
        assert stretch.start_s >= 2.0
        assert stretch.end_s <= clip.duration_s - 2.0 + 1e-3
        assert stretch.bonafide == clip.bonafide == (clip.notes["engine"] == OTHER)
        assert clip.attack == ("-" if clip.bonafide else stretch.source)
        assert made.root / clip.path == made.file(clip)
        assert samples_of(made, clip).size == pytest.approx(clip.duration_s * RATE_HZ, abs=1)


def test_a_stretch_lies_where_its_label_says(made: Manifest) -> None:
    clips = [clip for clip in made if clip.attack == "beep" and not clip.codec]
    assert clips
    for clip in clips:
        samples = samples_of(made, clip)
        (stretch,) = read_stretches(clip.notes[NOTE])
        start, end = round(stretch.start_s * RATE_HZ), round(stretch.end_s * RATE_HZ)
        inside = samples[start + 400 : end - 400]
        spectrum = np.abs(np.fft.rfft(inside * np.hanning(inside.size)))
        assert np.argmax(spectrum) * RATE_HZ / inside.size == pytest.approx(3_000, abs=10)
        around = np.concatenate([samples[:start], samples[end:]])
        level = np.sqrt(np.mean(inside**2) / np.mean(around**2))
        assert level == pytest.approx(1.0, abs=0.35)


def test_all_people_are_in_recordings_that_nothing_was_put_into(
    given: Manifest, made: Manifest
) -> None:
    people = [clip for clip in made if clip.notes["engine"] == "none"]
    assert Counter(bool(clip.codec) for clip in people) == {True: 2, False: 2}
    assert all(clip.bonafide and read_stretches(clip.notes[NOTE]) == () for clip in people)
    plain = {clip.speaker: samples_of(made, clip) for clip in people if not clip.codec}
    for speaker in ("dev-0", "dev-1"):
        tape = [samples_of(given, clip) for clip in given if clip.speaker == speaker]
        assert np.array_equal(plain[speaker], np.concatenate(tape))
    names = [clip.notes["recording"] for clip in people]
    assert len(set(names)) == 2, "one recording under two codings"


def test_parts_share_no_engine_and_no_part_is_mixed(given: Manifest, tmp_path: Path) -> None:
    attacks = [Beep(), Echo()]
    path = splice(
        given, attacks, tmp_path, parts=["eval", "dev"], texts=TEXTS, each=1, lengths_s=(1.0,)
    )
    engines = {
        part: {clip.notes["engine"] for clip in Manifest.read(path).part(part)}
        for part in ("dev", "eval")
    }
    assert engines == {
        "dev": {"none", "copying", SYSTEMS, OTHER},
        "eval": {"none", "test_splices", SYSTEMS, OTHER},
    }
    assert all(clip.speaker.startswith(clip.part) for clip in Manifest.read(path))


def test_the_same_seed_gives_the_same_recordings(given: Manifest, tmp_path: Path) -> None:
    settings = {"parts": ["dev"], "texts": TEXTS, "each": 1, "lengths_s": (0.5,)}
    first, second, other = (
        Manifest.read(splice(given, [Echo()], tmp_path / name, seed=seed, **settings))  # type: ignore[arg-type]
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first.sha256() == second.sha256() != other.sha256()


def test_a_part_without_people_is_refused(given: Manifest, tmp_path: Path) -> None:
    spoofed = given.where(~given.bonafide())
    with pytest.raises(CorpusError, match="'dev' has no clips of people"):
        splice(spoofed, [], tmp_path, parts=["dev"], texts=TEXTS)
