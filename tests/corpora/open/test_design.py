"""The plan keeps the parts apart, whatever is installed."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import pytest

from unheard.attacks import Attack, Kind, Speech
from unheard.corpora.open.design import Planned, plan, text_key
from unheard.corpora.open.sizes import EXTRA_PARTS, PARTS_OF_SPEAKER, SIZES, Size, parts_of_voice
from unheard.corpora.open.speech import Recording
from unheard.types import FloatArray

SIZE = Size(
    bonafide={"train": 30, "dev": 12, "eval_in": 16, "eval_out": 16},
    spoof={"train": 80, "dev": 20, "eval_in": 30, "eval_out": 40},
    extra={"train_extra": 12},
)
LANGUAGE = {"fillets-nl-m": "nl", "tuxpaint-fr": "fr", "tuxpaint-es": "es", "fillets-cs-m": "cs"}
LANGUAGE |= {"asterisk-allison": "en", "tuxpaint-ru": "ru", "festvox-ru-nsh": "ru"}


@dataclass(frozen=True)
class Fake:
    name: str
    family: str
    kind: Kind
    languages: tuple[str, ...] = ()
    free: bool = True
    packages: tuple[str, ...] = field(default=())
    licence: str = "x"

    def missing(self) -> str:
        return ""

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        raise NotImplementedError


ALL = [
    Fake("world", "signal vocoder", "copy"),
    Fake("griffin-lim-mel", "signal vocoder", "copy"),
    Fake("codec2-1300", "parametric codec", "copy"),
    Fake("world-shift", "conversion", "copy"),
    Fake("flite-awb", "statistical", "text", ("en",)),
    Fake("pico-fr-FR", "statistical", "text", ("fr",)),
    Fake("pico-es-ES", "statistical", "text", ("es",)),
    Fake("festival-ru", "unit selection", "text", ("ru",)),
    Fake("closed-anna", "statistical", "text", ("ru",), free=False),
    Fake("kokoro-af_sky", "neural TTS", "text", ("en",)),
    *(
        Fake(f"espeak-ng-{language}{variant}", "formant", "text", (language,))
        for language in ("nl", "fr", "es", "cs", "en", "ru")
        for variant in ("", "-f2", "-m3")
    ),
]
ATTACKS: dict[str, Attack] = {attack.name: attack for attack in ALL}
LINES = {
    language: [f"Caption {n} of a stamp in {language}." for n in range(60)]
    for language in sorted(set(LANGUAGE.values()))
}


def recordings(n_each: int = 24) -> list[tuple[Recording, float]]:
    """A few speakers; every fifth recording repeats a line that all speakers of all parts say."""
    listed = []
    for speaker, language in LANGUAGE.items():
        for n in range(n_each):
            text = "The same line in every part." if n % 5 == 0 else f"Line {n} by {speaker} here."
            listed.append(
                (Recording(f"{speaker}/{n}", (f"{n}.ogg",), speaker, language, "x", "p", text), 2.5)
            )
    return listed


def planned(*, seed: int = 0, without: str = "") -> list[Planned]:
    known = {name: attack for name, attack in ATTACKS.items() if name != without}
    return plan(recordings(), known, LINES, SIZE, seed)


def parts_by(key: str, clips: list[Planned]) -> dict[str, set[str]]:
    parts: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        part = EXTRA_PARTS.get(clip.part, clip.part)
        attack = ATTACKS.get(clip.attack)
        values = {
            "recording": clip.recording.id if clip.copy or attack is None else "",
            "text": text_key(clip.text),
            "speaker": clip.attack if attack and not clip.copy else clip.recording.speaker,
        }
        if values[key]:
            parts[values[key]].add(part.partition("_")[0] if key == "speaker" else part)
    return parts


@pytest.mark.parametrize("key", ["recording", "text", "speaker"])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_two_parts_share(key: str, seed: int) -> None:
    shared = {
        value: parts for value, parts in parts_by(key, planned(seed=seed)).items() if len(parts) > 1
    }
    assert not shared


def test_every_language_of_a_part_has_both_labels() -> None:
    labels: dict[tuple[str, str], set[bool]] = defaultdict(set)
    for clip in planned():
        if clip.part not in EXTRA_PARTS:
            labels[clip.part, clip.recording.language].add(clip.attack == "-")
    assert all(both == {True, False} for both in labels.values())


def test_held_out_families_are_never_in_train_or_dev() -> None:
    families = defaultdict(set)
    for clip in planned():
        if clip.attack != "-":
            families[clip.part].add(ATTACKS[clip.attack].family)
    assert families["eval_out"] == {
        "neural TTS",
        "unit selection",
        "parametric codec",
        "conversion",
    }
    assert not families["eval_out"] & (families["train"] | families["dev"] | families["eval_in"])
    assert families["train_extra"] <= families["eval_out"]


def test_a_copy_is_of_a_bonafide_clip_of_its_part() -> None:
    clips = planned()
    bona = {(clip.part, clip.recording.id) for clip in clips if clip.attack == "-"}
    for clip in clips:
        if clip.copy:
            assert (EXTRA_PARTS.get(clip.part, clip.part), clip.recording.id) in bona


def test_generators_that_are_not_free_are_never_planned() -> None:
    assert "closed-anna" not in {clip.attack for clip in planned()}


def test_a_missing_generator_changes_no_other_family() -> None:
    with_all = {c.id: c for c in planned() if c.attack != "codec2-1300"}
    assert {c.id: c for c in planned(without="codec2-1300")} == with_all


def test_one_seed_one_plan() -> None:
    assert planned(seed=3) == planned(seed=3)
    assert {c.id for c in planned(seed=3)} != {c.id for c in planned(seed=4)}


def test_ids_are_unique_and_sizes_are_kept() -> None:
    clips = planned()
    assert len({clip.id for clip in clips}) == len(clips)
    counts: dict[tuple[str, bool], int] = defaultdict(int)
    for clip in clips:
        counts[clip.part, clip.attack == "-"] += 1
    assert counts["train", True] == 30
    assert counts["train", False] <= 80


def test_short_words_are_joined_for_training_and_never_for_evaluation() -> None:
    words = [
        (Recording(f"{s}/{n}", (f"{n}.ogg",), s, "xx", "x", "p", f"word {n}"), 0.8)
        for s in ("ktuberling-uk", "tuxpaint-el")
        for n in range(12)
    ]
    clips = plan(words, {}, {}, SIZE, 0)
    assert {clip.recording.speaker for clip in clips} == {"ktuberling-uk"}
    assert all(len(clip.recording.paths) == 4 for clip in clips)
    assert "word 0, word 1, word 10, word 11." not in {clip.text for clip in clips}


def test_the_unit_selection_speaker_is_judged_only() -> None:
    assert PARTS_OF_SPEAKER["festvox-ru-nsh"] == ("eval_out",)
    assert parts_of_voice("festival-ru", "unit selection", "text") == ("eval_out",)


@pytest.mark.parametrize("name", SIZES)
def test_sizes_have_every_part(name: str) -> None:
    assert set(SIZES[name].bonafide) == set(SIZES[name].spoof)
    assert set(SIZES[name].bonafide) == {"train", "dev", "eval_in", "eval_out"}
