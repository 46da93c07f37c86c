"""Manifests of several corpora made one."""

from dataclasses import replace
from pathlib import Path

import pytest

from unheard.data.clip import Clip, Manifest, values_of
from unheard.data.joining import joined
from unheard.data.licences import Licences, under
from unheard.errors import ManifestError

PERSON = Clip(id="a", path="a.wav", bonafide=True, part="train", corpus="one")
COPY = Clip(
    id="b", path="deep/b.wav", bonafide=False, part="train", attack="x", family="vocoder-gan"
)


def test_paths_lead_from_the_new_folder_and_a_shared_clip_is_kept_once(tmp_path: Path) -> None:
    first = Manifest.of([PERSON], tmp_path / "first")
    beside = replace(PERSON, path="../first/a.wav")
    second = Manifest.of([beside, COPY], tmp_path / "second")
    both = joined([first, second], tmp_path)
    assert both.column("id").tolist() == ["a", "b"]
    assert both.column("path").tolist() == ["first/a.wav", "second/deep/b.wav"]


def test_a_clip_with_two_parts_is_refused(tmp_path: Path) -> None:
    first = Manifest.of([PERSON], tmp_path)
    second = Manifest.of([replace(PERSON, part="dev")], tmp_path)
    with pytest.raises(ManifestError, match="'a' has part 'train' in one manifest and 'dev'"):
        joined([first, second], tmp_path)


def test_values_of_takes_the_first_that_a_clip_has(tmp_path: Path) -> None:
    noted = replace(PERSON, id="c", path="c.wav", notes={"page": "lab/demo"})
    manifest = Manifest.of([PERSON, noted], tmp_path)
    assert values_of(manifest, "notes.page").tolist() == ["", "lab/demo"]
    assert values_of(manifest, "notes.page|corpus").tolist() == ["one", "lab/demo"]
    assert values_of(manifest, "corpus").tolist() == ["one", "one"]


@pytest.mark.parametrize(
    ("licences", "kept"),
    [
        ("any", ["", "CC-BY-4.0", "CC-BY-NC-ND-4.0", "GPL-3.0", "MIT", "custom: by contract"]),
        ("unrestricted", ["", "CC-BY-4.0", "GPL-3.0", "MIT"]),
        ("permissive", ["CC-BY-4.0", "MIT"]),
    ],
)
def test_clips_to_train_on_have_a_licence_of_the_sort(licences: Licences, kept: list[str]) -> None:
    names = ["MIT", "CC-BY-4.0", "CC-BY-NC-ND-4.0", "custom: by contract", "GPL-3.0", ""]
    clips = [
        replace(PERSON, id=f"{part}{name}", licence=name, part=part)
        for name in names
        for part in ("train", "eval_extra")
    ]
    left = under(Manifest.of(clips, Path()), licences)
    assert sorted(clip.licence for clip in left if clip.part == "train") == kept
    assert sorted(clip.licence for clip in left if clip.part != "train") == sorted(names)
