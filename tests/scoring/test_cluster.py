"""Are archives found in folders, stores and lists, and scored into shards, crashes included?"""

import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest

from audio_files import wav
from unheard.data import storage
from unheard.data.recordings import Search, find
from unheard.data.row_shards import Filled, RowShards
from unheard.errors import AudioError, BundleError, RecipeError
from unheard.scoring.cluster import Engine, score_archive
from unheard.scoring.many import Settings
from unheard.scoring.scorer import Scorer
from unheard.scoring.verdict import Verdict
from voice import FakeSettings, silence, voice

SPEECH = wav(voice(1.2)[None])
SECOND = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Fragile(Scorer):
    """Ends its process at a recording of this name, as a decoder that crashes does."""

    def file(self, source: Any, *, name: str = "") -> Verdict:
        if name.endswith("crash.wav"):
            os._exit(77)
        return super().file(source, name=name)


class FragileSettings(FakeSettings):
    """Settings with a key and a scorer, and no bundle on disk."""

    def scorer(self) -> Scorer:
        return Fragile(super().scorer().bundle)

    def key(self) -> str:
        return "key"


SETTINGS = FragileSettings(Path("nowhere"))


@pytest.fixture
def store() -> Iterator[Any]:
    """An object store that lives in this process."""
    memory = fsspec.filesystem("memory")
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def listed_sources(*patterns: str) -> list[str]:
    search = Search()
    listed = find(patterns, search)
    assert search.errors == []
    return listed


def score(listed: list[str], out: str, settings: Settings = SETTINGS) -> Filled:
    with RowShards(out) as row_shards:
        (filled,) = score_archive(listed, settings, row_shards, Engine())
    return filled


def table(out: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name in storage.names(f"{out}/rows"):
        rows += pq.read_table(io.BytesIO(storage.read(f"{out}/rows/{name}"))).to_pylist()
    return rows


def test_bad_files_and_crashes_cost_their_rows_alone(tmp_path: Path) -> None:
    contents = {"a": SPEECH, "bad": b"no audio", "crash": SPEECH, "d": wav(silence(2)[None])}
    for name, content in contents.items():
        (tmp_path / f"{name}.wav").write_bytes(content)
    out = str(tmp_path / "out")
    filled = score(listed_sources(str(tmp_path)), out)
    assert (filled.n_rows, filled.n_before, filled.n_verdicts, len(filled.errors)) == (4, 0, 1, 2)
    a, bad, crash, d = table(out)
    assert a["score"] is not None
    assert "bad.wav: " in bad["error"]
    assert "died (exit code 77)" in crash["error"]
    assert "digital silence" in d["reason"]
    assert score(listed_sources(str(tmp_path)), out).n_before == 2


def test_many_shards_are_shared_out_and_all_are_reported(tmp_path: Path) -> None:
    for index in range(5):
        (tmp_path / f"{index}.wav").write_bytes(SPEECH)
    with RowShards(str(tmp_path / "out"), shard_rows=2) as row_shards:
        done = list(
            score_archive(listed_sources(str(tmp_path)), SETTINGS, row_shards, Engine(n_jobs=2))
        )
    assert sorted(shard.number for shard in done) == [0, 1, 2]
    assert len(table(str(tmp_path / "out"))) == 5


def test_stopping_keeps_what_was_scored_and_blames_no_recording(tmp_path: Path) -> None:
    for index in range(6):
        (tmp_path / f"{index}.wav").write_bytes(SPEECH)
    listed, out = listed_sources(str(tmp_path)), str(tmp_path / "out")
    with RowShards(out, shard_rows=2) as row_shards:
        scoring: Any = score_archive(listed, SETTINGS, row_shards, Engine(n_jobs=2))
        next(scoring)
        scoring.close()
        rows = [row for number in range(3) for row in row_shards.rows(number)]
        assert {row["error"] for row in rows} == {None}
        done = list(score_archive(listed, SETTINGS, row_shards, Engine()))
    assert sum(shard.n_before for shard in done) == len(rows) >= 2
    assert [row["source"] for row in table(out)] == listed


def test_a_store_is_scored_into_a_store_and_only_what_changes_again(store: Any) -> None:
    for index in range(7):
        store.pipe_file(f"/bucket/{index}.wav", wav(voice(1.2, seed=index)[None]))
    assert score(listed_sources("memory://bucket"), "memory://out").n_before == 0
    before = table("memory://out")
    assert [row["source"] for row in before] == [f"memory:///bucket/{i}.wav" for i in range(7)]
    assert len({row["score"] for row in before}) == 7
    store.pipe_file("/bucket/3.wav", SPEECH)
    assert score(listed_sources("memory://bucket"), "memory://out").n_before == 6
    after = table("memory://out")
    assert [a == b for a, b in zip(before, after, strict=True)] == [i != 3 for i in range(7)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"created": SECOND}, {"created": SECOND + timedelta(microseconds=1)}),
        ({"mtime": 1.7e9}, {"mtime": 1.7e9 + 0.001}),
        ({"LastModified": SECOND, "ETag": "a"}, {"LastModified": SECOND, "ETag": "b"}),
    ],
)
def test_a_file_changed_within_a_second_has_another_stamp(
    store: Any, monkeypatch: pytest.MonkeyPatch, before: dict[str, Any], after: dict[str, Any]
) -> None:
    stamps = []
    for fields in (before, after, after):
        monkeypatch.setattr(type(store), "info", lambda *_, fields=fields: {"size": 9, **fields})
        stamps.append(storage.stamp("memory://bucket/a.wav"))
    assert stamps[0] != stamps[1] == stamps[2]


def test_a_recording_that_cannot_be_fetched_is_a_row_with_its_remedy(store: Any) -> None:
    store.pipe_file("/bucket/a.wav", SPEECH)
    filled = score(["memory://bucket/gone.wav", "memory://bucket/a.wav"], "memory://out")
    assert filled.errors == ("memory://bucket/gone.wav: no such file; check the URL",)
    assert filled.n_verdicts == 1


def test_a_store_that_fails_says_what_to_do(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("403 Forbidden")

    monkeypatch.setattr(type(store), "get_file", refuse)
    with pytest.raises(AudioError, match=r"403 Forbidden.*check the network and your permissions"):
        storage.fetch("memory://bucket/a.wav", tmp_path)


def test_copies_of_what_a_store_holds_do_not_stay(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store.pipe_file("/bucket/a.wav", SPEECH)
    score(listed_sources("memory://bucket"), "memory://out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_bundle_is_refused_before_anything_is_planned(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(SPEECH)
    out = tmp_path / "out"
    with pytest.raises(BundleError, match="give the folder of a detector"):
        score(listed_sources(str(tmp_path)), str(out), Settings(tmp_path))
    assert storage.names(str(out / "plan")) == []


def test_a_number_that_does_not_fit_ends_the_scoring(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(SPEECH)
    with pytest.raises(RecipeError, match="at most the window"):
        score([str(tmp_path / "a.wav")], str(tmp_path / "out"), WrongSettings(Path(), hop_s=9.0))


class WrongSettings(FakeSettings):
    """Settings that are found not to fit when the detector is loaded."""

    def key(self) -> str:
        return "key"
