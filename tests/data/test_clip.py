"""Clips and manifests."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unheard.data.clip import Clip, Manifest
from unheard.errors import ManifestError

HUMAN = Clip(id="h1", path="a/h1.flac", bonafide=True, part="train", notes={"gender": "F"})
SPOOF = Clip(id="s1", path="a/s1.flac", bonafide=False, part="dev", attack="x", family="formant")


def test_write_then_read_gives_the_same_clips(tmp_path: Path) -> None:
    path = Manifest.of([SPOOF, HUMAN], tmp_path).write(tmp_path / "m" / "clips.parquet")
    manifest = Manifest.read(path)
    assert list(manifest) == [HUMAN, SPOOF]
    assert manifest.root == path.parent
    assert manifest.file(manifest[0]) == path.parent / "a" / "h1.flac"


def test_columns_parts_and_masks_agree(tmp_path: Path) -> None:
    manifest = Manifest.of([HUMAN, SPOOF], tmp_path)
    np.testing.assert_array_equal(manifest.column("bonafide"), [True, False])
    assert list(manifest.part("dev")) == [SPOOF]
    assert list(manifest.part("train", "dev")) == [HUMAN, SPOOF]
    assert manifest.where(np.array([False, True]))[0] == SPOOF
    assert manifest[[1, 0]] == [SPOOF, HUMAN]


def test_a_repeated_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"h1.*ids must be unique"):
        Manifest.of([HUMAN, replace(HUMAN, path="b.flac")], tmp_path)


@pytest.mark.parametrize(
    "clip", [replace(HUMAN, attack="x"), replace(SPOOF, attack="-")], ids=["human", "spoof"]
)
def test_a_label_that_contradicts_the_attack_is_refused(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="a bona fide clip has attack '-'"):
        Manifest.of([clip], tmp_path)


def test_an_unknown_part_or_column_suggests_the_nearest_name(tmp_path: Path) -> None:
    manifest = Manifest.of([HUMAN, SPOOF], tmp_path)
    with pytest.raises(ManifestError, match="did you mean 'train'"):
        manifest.part("trian")
    with pytest.raises(ManifestError, match="did you mean 'speaker'"):
        manifest.column("speakers")


def test_a_missing_or_foreign_file_says_how_to_make_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="unheard corpus build open"):
        Manifest.read(tmp_path / "none.parquet")
    text = tmp_path / "text.parquet"
    text.write_text("not parquet")
    with pytest.raises(ManifestError, match="not a readable Parquet file"):
        Manifest.read(text)


def test_a_column_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = Manifest.of([HUMAN], tmp_path).write(tmp_path / "m.parquet")
    table = pq.read_table(file)
    place = table.column_names.index("duration_s")
    pq.write_table(table.set_column(place, "duration_s", pa.array(["n/a"])), file)
    with pytest.raises(ManifestError, match=r"a column is of another kind: .*n/a"):
        Manifest.read(file)


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"id": ["a"]}), path)
    with pytest.raises(ManifestError, match="lacks the columns path, bonafide"):
        Manifest.read(path)


@pytest.mark.parametrize("change", [{"part": "eval"}, {"sha256": "00"}, {"id": "h2"}])
def test_the_hash_sees_what_matters_and_not_the_order(
    change: dict[str, Any], tmp_path: Path
) -> None:
    sha256 = Manifest.of([HUMAN, SPOOF], tmp_path).sha256()
    assert Manifest.of([SPOOF, HUMAN], tmp_path / "elsewhere").sha256() == sha256
    assert Manifest.of([replace(HUMAN, **change), SPOOF], tmp_path).sha256() != sha256


def test_an_interrupted_write_leaves_the_old_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Manifest.of([HUMAN], tmp_path).write(tmp_path / "clips.parquet")

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("pyarrow.parquet.write_table", full_disk)
    with pytest.raises(OSError, match="no space"):
        Manifest.of([HUMAN, SPOOF], tmp_path).write(path)
    monkeypatch.undo()
    assert len(Manifest.read(path)) == 1
