"""Groups and folds are left out whole, and evaluation stays out of choosing."""

from pathlib import Path

import pytest

from unheard.data.clip import Clip, Manifest
from unheard.data.demo_protocols import DEMO_PROTOCOLS, lab_fold, without_group
from unheard.errors import ManifestError

PROTOCOLS = {protocol.name: protocol for protocol in DEMO_PROTOCOLS}


def corpus() -> Manifest:
    rows = [
        ("train", "-", "0"), ("train", "tts-ar", "0"), ("train", "vc", "1"), ("train", "-", "1"),
        ("dev", "-", "2"), ("dev", "tts-ar", "2"), ("dev", "vc", "2"),
        ("eval", "-", ""), ("eval", "-", ""), ("eval", "tts-ar", ""), ("eval", "vc", ""),
        ("eval_extra", "tts-ar", ""), ("train", "reconstruction", "1"),
    ]  # fmt: skip
    clips = [
        Clip(
            id=f"{index:02d}",
            path=f"{index}.flac",
            bonafide=family == "-",
            part=part,
            attack="-" if family == "-" else f"system of {family}",
            family=family,
            notes=({"fold": fold} if fold else {})
            | ({"generator_family": "conversion"} if family == "reconstruction" else {}),
        )
        for index, (part, family, fold) in enumerate(rows)
    ]
    return Manifest.of(clips, Path("/corpora"))


def families(manifest: Manifest) -> dict[str, list[str]]:
    attacks: dict[str, list[str]] = {}
    for clip in manifest:
        attacks.setdefault(clip.part, []).append(clip.family)
    return {part: sorted(some) for part, some in attacks.items()}


def test_a_group_is_left_out_of_train_and_dev_with_the_copies_it_made() -> None:
    assert families(without_group(corpus(), "conversion")) == {
        "train": ["-", "-", "tts-ar"],
        "dev": ["-", "tts-ar"],
        "eval_out": ["-", "-", "vc"],
    }


def test_a_fold_becomes_dev_and_eval_is_gone() -> None:
    assert families(lab_fold(corpus(), "1")) == {
        "train": ["-", "-", "tts-ar", "tts-ar", "vc"],
        "dev": ["-", "reconstruction", "vc"],
    }


def test_wrong_names_and_corpora_are_told() -> None:
    with pytest.raises(ManifestError, match="did you mean 'vocoder'"):
        without_group(corpus(), "vocoders")
    with pytest.raises(ManifestError, match="no clip of eval is of the group codec"):
        without_group(corpus(), "codec")
    with pytest.raises(ManifestError, match="no clip is in fold 4"):
        lab_fold(corpus(), "4")
    with pytest.raises(ManifestError, match="no fold is called '9'"):
        lab_fold(corpus(), "9")


def test_the_protocol_demos_tests_on_eval_alone() -> None:
    chosen = PROTOCOLS["demos"].chosen([corpus()])
    assert set(chosen.column("part")) == {"eval"}
    assert len(chosen) == 4


def test_each_group_meets_all_people_of_eval() -> None:
    chosen = PROTOCOLS["demos_group_out"].chosen([corpus()], allow_missing=True)
    sets = {
        part: [clip.family for clip in chosen if clip.part == part]
        for part in set(chosen.column("part"))
    }
    assert sorted(sets["tts-ar"]) == ["-", "-", "tts-ar"]
    assert sorted(sets["conversion"]) == ["-", "-", "vc"]
    # A group without clips in eval holds people only: nothing can be measured, so it says so.
    assert sorted(sets["codec"]) == ["-", "-"]
