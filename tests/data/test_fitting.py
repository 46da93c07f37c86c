"""Which protocol fits manifests where the user names none."""

from pathlib import Path

import pytest

from unheard.data.clip import Clip, Manifest
from unheard.data.protocols import fitting
from unheard.errors import ManifestError


def manifest(*parts: str) -> Manifest:
    clips = [
        Clip(
            id=f"{part}{bonafide}",
            path="a.wav",
            bonafide=bonafide,
            part=part,
            attack="-" if bonafide else "a",
            family="-" if bonafide else "f",
        )
        for part in parts
        for bonafide in (True, False)
    ]
    return Manifest.of(clips, Path())


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("train", "dev", "eval_in", "eval_out"), "open"),
        (("train", "eval_in"), "open_in"),
        (("eval_out",), "open_out"),
        (("train", "dev", "eval"), "eval"),
        (("whatever",), "all"),
        (("train", "dev", "Testing"), "part:Testing"),
    ],
)
def test_the_part_there_is_is_tested_on(parts: tuple[str, ...], name: str) -> None:
    protocol = fitting([manifest(*parts)])
    assert protocol.name == name
    assert len(protocol.chosen([manifest(*parts)])) > 0


@pytest.mark.parametrize("parts", [("train", "dev"), ("train", "one", "two")])
def test_where_several_fit_the_option_is_named(parts: tuple[str, ...]) -> None:
    with pytest.raises(ManifestError, match="choose one with --protocol part:NAME"):
        fitting([manifest(*parts)])
