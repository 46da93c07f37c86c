"""Audio inside tar and Parquet files is read as if it lay loose."""

import io
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unheard import audio
from unheard.audio import SAMPLE_RATE_HZ
from unheard.data.batches import Balanced, BatchSource
from unheard.data.clip import Clip, Manifest
from unheard.data.shards import parquet_members, source, tar_finder, tar_members
from unheard.errors import AudioError

CLIPS = {f"LA/flac/{name}.flac": pitch for pitch, name in enumerate("abcdef", start=3)}


def sound(pitch: int) -> np.ndarray:
    return (0.3 * np.sin(np.arange(SAMPLE_RATE_HZ // 4) / pitch)).astype(np.float32)


def flac(folder: Path, pitch: int) -> bytes:
    audio.write(folder / f"{pitch}.flac", sound(pitch))
    return (folder / f"{pitch}.flac").read_bytes()


@pytest.fixture
def contents(tmp_path: Path) -> dict[str, bytes]:
    return {name: flac(tmp_path / "loose", pitch) for name, pitch in CLIPS.items()}


def tar_of(path: Path, contents: dict[str, bytes], mode: Literal["w", "w:gz"] = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def parquet_of(path: Path, contents: dict[str, bytes]) -> Path:
    rows = [{"bytes": content, "path": name} for name, content in contents.items()]
    columns = {"audio": rows, "raw": list(contents.values()), "label": ["x"] * len(rows)}
    pq.write_table(pa.table(columns), path, row_group_size=4)
    return path


def test_a_member_of_a_tar_is_the_file_that_was_packed(
    tmp_path: Path, contents: dict[str, bytes]
) -> None:
    tar_of(tmp_path / "shards/0.tar", contents)
    assert tar_members(tmp_path / "shards/0.tar") == tuple(contents)
    for name, content in contents.items():
        assert source(tmp_path, f"shards/0.tar::{name}") == content


def test_a_path_without_a_mark_is_a_file_there_or_not(tmp_path: Path) -> None:
    assert source(tmp_path, "LA/x.flac") == tmp_path / "LA/x.flac"


@pytest.mark.parametrize("column", ["audio", "raw"])
def test_a_row_of_parquet_is_the_file_that_was_stored(
    tmp_path: Path, contents: dict[str, bytes], column: str
) -> None:
    path = parquet_of(tmp_path / "0.parquet", contents)
    members = [Path(member).name for member in parquet_members(path, column)]
    assert members == [f"0.parquet::{column}::{row}" for row in range(6)]
    for member, content in reversed(list(zip(members, contents.values(), strict=True))):
        assert source(tmp_path, member) == content


def test_a_tar_that_was_replaced_is_read_anew(tmp_path: Path, contents: dict[str, bytes]) -> None:
    path = tar_of(tmp_path / "0.tar", contents)
    assert source(tmp_path, "0.tar::LA/flac/b.flac") == contents["LA/flac/b.flac"]
    tar_of(path, dict(reversed(contents.items())))
    os.utime(path, ns=(1, 1))
    assert source(tmp_path, "0.tar::LA/flac/b.flac") == contents["LA/flac/b.flac"]


def test_many_threads_read_one_shard(tmp_path: Path, contents: dict[str, bytes]) -> None:
    tar_of(tmp_path / "0.tar", contents)
    names = list(contents) * 20
    with ThreadPoolExecutor(8) as pool:
        read = pool.map(lambda name: source(tmp_path, f"0.tar::{name}"), names)
        assert list(read) == [contents[name] for name in names]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_from_shards_are_those_from_files(
    tmp_path: Path, contents: dict[str, bytes], workers: int
) -> None:
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    tar_of(tmp_path / "0.tar", contents)

    def clips(prefix: str) -> Manifest:
        return Manifest.of(
            (
                Clip(
                    id=name,
                    path=f"{prefix}{name}",
                    bonafide=pitch % 2 == 0,
                    part="train",
                    attack="-" if pitch % 2 == 0 else "x",
                    family="-" if pitch % 2 == 0 else "x",
                )
                for name, pitch in CLIPS.items()
            ),
            tmp_path,
        )

    loose, packed = (
        list(BatchSource(clips(prefix), Balanced(4), window_s=0.2, seed=1).batches(0, 3, workers=w))
        for prefix, w in (("", 0), ("0.tar::", workers))
    )
    for batch, other in zip(loose, packed, strict=True):
        np.testing.assert_array_equal(batch.waveform.numpy(), other.waveform.numpy())


def test_a_manifest_gives_the_bytes_of_a_packed_clip(
    tmp_path: Path, contents: dict[str, bytes]
) -> None:
    tar_of(tmp_path / "0.tar", contents)
    clip = Clip(id="a", path="0.tar::LA/flac/a.flac", bonafide=True, part="eval")
    content = Manifest.of([clip], tmp_path).audio(clip)
    assert content == contents["LA/flac/a.flac"]
    np.testing.assert_allclose(audio.read(content).samples, sound(3), atol=1e-4)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("LA/flac/a.flac", "0.tar::./LA/flac/a.flac"),  # as in the tar, but for "./"
        ("unpacked/LA/flac/a.flac", "0.tar::./LA/flac/a.flac"),  # packed from further below
        ("flac/a.flac", "0.tar::./LA/flac/a.flac"),  # packed from further above
        ("elsewhere/b.flac", "1.tar::other/b.flac"),  # the only one of this name
        ("train/c.flac", "1.tar::train/c.flac"),  # the folder decides between two
        ("nowhere/c.flac", None),  # two of this name
        ("LA/flac/z.flac", None),
    ],
)
def test_a_listed_file_is_found_in_tars(tmp_path: Path, listed: str, expected: str | None) -> None:
    tar_of(tmp_path / "0.tar", {"./LA/flac/a.flac": b"", "dev/c.flac": b""})
    tar_of(tmp_path / "1.tar", {"other/b.flac": b"", "train/c.flac": b""})
    assert tar_finder(tmp_path, ["0.tar", "1.tar"])(listed) == expected


def test_a_bad_shard_or_member_says_what_to_do(tmp_path: Path, contents: dict[str, bytes]) -> None:
    tar = tar_of(tmp_path / "0.tar", contents)
    parquet_of(tmp_path / "0.parquet", {"a": b"x", "b": b"y"})
    tar_of(tmp_path / "z.tar", contents, "w:gz")
    (tmp_path / "t.parquet").write_text("text")
    for path, remedy in {
        "0.tar::LA/flac/z.flac": "holds no member .* import the corpus again",
        "1.tar::LA/flac/a.flac": "where it was when the manifest was made",
        "z.tar::LA/flac/a.flac": "uncompress it to a plain .tar",
        "0.parquet::audio::2": "has rows 0 to 1 and no 2; import the corpus again",
        "0.parquet::audio::x": "no x",
        "0.parquet::sound::1": "'sound' does not exist; name one of bytes.*audio, raw, label",
        "0.parquet::label::1": "'label' holds string; name one of bytes",
        "t.parquet::audio::1": "not a readable Parquet file",
    }.items():
        with pytest.raises(AudioError, match=remedy):
            source(tmp_path, path)
    tar.write_bytes(tar.read_bytes()[:700])
    with pytest.raises(AudioError, match=r"not a whole, plain tar .* fetch it again"):
        source(tmp_path, "0.tar::LA/flac/a.flac")
    with pytest.raises(AudioError, match="check the path"):
        tar_members(tmp_path / "9.tar")
    with pytest.raises(AudioError, match="check the path"):
        list(parquet_members(tmp_path / "9.parquet", "audio"))


def test_an_empty_row_is_refused_by_its_number(tmp_path: Path) -> None:
    rows = pa.array(
        [{"bytes": None, "path": "a"}], pa.struct({"bytes": pa.binary(), "path": pa.string()})
    )
    pq.write_table(pa.table({"audio": rows}), tmp_path / "0.parquet")
    with pytest.raises(AudioError, match=r"row 0 of 'audio' is empty; leave this clip out"):
        source(tmp_path, "0.parquet::audio::0")
