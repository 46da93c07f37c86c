"""Has each recording of an archive exactly one row, whichever process is killed and whenever?"""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from unheard.data import row_shards as row_shards_module
from unheard.data import storage
from unheard.data.row_shards import Filled, RowShards, Shard, fill
from unheard.data.rows import flat
from unheard.errors import EvaluationError
from voice import scorer, voice

VERDICT = scorer().samples(voice(1.2)).to_dict()


class Killed(BaseException):
    """The end of a process, as seen from within."""


def files(folder: Path, n: int) -> list[str]:
    folder.mkdir(exist_ok=True)
    for index in range(n):
        (folder / f"{index:03}.wav").write_text("x" * (index + 1))
    return sorted(map(str, folder.iterdir()))


def recording_scorer(
    log: list[str], *, dies_at: int = 1_000, bad: str = "bad"
) -> Callable[..., Any]:
    """What scores recordings: notes them, fails on names with `bad`, is killed at the n-th."""

    def score(sources: Iterable[str]) -> Iterator[dict[str, Any]]:
        for source in sources:
            if len(log) == dies_at:
                raise Killed
            log.append(source)
            if bad in source:
                yield {"source": source, "error": f"{source}: broken; fix it"}
            else:
                yield {**VERDICT, "source": source, "score": float(len(log))}

    return score


def add(row_shards: RowShards, sources: list[str], n_workers: int = 1) -> int:
    """Plan recordings; return how many were new."""
    n_before = sum(len(shard.sources) for shard in planned(row_shards))
    list(row_shards.plan(sources, n_workers))
    return sum(len(shard.sources) for shard in planned(row_shards)) - n_before


def planned(row_shards: RowShards) -> list[Shard]:
    return [shard for file in row_shards.plan_files() for shard in row_shards.planned(file)]


def run(row_shards: RowShards, score: Callable[..., Any], settings: str = "s") -> list[Filled]:
    filled: list[Filled] = []
    for shard in planned(row_shards):
        filled.append(fill(row_shards, shard, settings, score))
    return filled


def table(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / "rows").to_pylist()
    return rows


def test_each_recording_gets_one_row_in_the_order_it_was_found(tmp_path: Path) -> None:
    listed = files(tmp_path / "in", 7)
    with RowShards(str(tmp_path / "out"), shard_rows=3) as row_shards:
        assert add(row_shards, [*listed, listed[0]]) == 7
        assert row_shards.n_shards() == 3
        assert [shard.n_rows for shard in run(row_shards, recording_scorer([]))] == [3, 3, 1]
    rows = table(tmp_path / "out")
    assert [row["source"] for row in rows] == listed
    assert [row["size_bytes"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert rows[0]["detector"] == "level"
    assert rows[0]["windows"]


def test_what_is_found_later_gets_new_shards_and_what_is_known_keeps_its_own(
    tmp_path: Path,
) -> None:
    listed = files(tmp_path / "in", 5)
    with RowShards(str(tmp_path / "out"), shard_rows=2) as row_shards:
        assert add(row_shards, listed[1:4]) == 3
        first: list[str] = []
        run(row_shards, recording_scorer(first))
        assert add(row_shards, listed) == 2
        second: list[str] = []
        run(row_shards, recording_scorer(second))
        assert row_shards.n_shards() == 3
    assert (first, second) == (listed[1:4], [listed[0], listed[4]])
    assert sorted(row["source"] for row in table(tmp_path / "out")) == listed


@pytest.mark.parametrize("dies_at", range(8))
def test_a_kill_at_any_recording_costs_no_row_and_makes_none_twice(
    tmp_path: Path, dies_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_shards_module, "SAVE_S", -1.0)  # save after each recording
    listed = files(tmp_path / "in", 7)
    log: list[str] = []
    with RowShards(str(tmp_path / "out"), shard_rows=4) as row_shards:
        add(row_shards, listed)
        with contextlib.suppress(Killed):
            run(row_shards, recording_scorer(log, dies_at=dies_at))
    shards = list((tmp_path / "out" / "rows").glob("*"))
    assert len(shards) == (dies_at >= 4) + (dies_at >= 7), "a shard is there before it is complete"
    with RowShards(str(tmp_path / "out"), shard_rows=4) as row_shards:
        add(row_shards, listed)
        run(row_shards, recording_scorer(log))
    assert log == listed, "a recording was scored twice, or never"
    assert [row["source"] for row in table(tmp_path / "out")] == listed
    assert not list((tmp_path / "out" / "partial").glob("*"))


def test_rows_until_a_fault_are_saved(tmp_path: Path) -> None:
    listed = files(tmp_path / "in", 3)
    log: list[str] = []

    def faulty(sources: Iterable[str]) -> Iterator[dict[str, Any]]:
        yield from itertools.islice(recording_scorer(log)(sources), 2)
        raise RuntimeError("the detector is gone")

    with RowShards(str(tmp_path / "out")) as row_shards:
        add(row_shards, listed)
        with pytest.raises(RuntimeError, match="the detector is gone"):
            run(row_shards, faulty)
        run(row_shards, recording_scorer(log))
    assert log == listed


def test_a_shard_that_was_saved_whole_but_not_finished_is_finished(tmp_path: Path) -> None:
    (source,) = files(tmp_path / "in", 1)
    out = tmp_path / "out"
    with RowShards(str(out)) as row_shards:
        add(row_shards, [source])
        run(row_shards, recording_scorer([]))
        (out / "partial").mkdir(exist_ok=True)
        (out / "rows" / "00000000.parquet").rename(out / "partial" / "00000000.parquet")
        log: list[str] = []
        assert run(row_shards, recording_scorer(log)) == [Filled(0, 1, 1, 1, ())]
    assert log == []
    assert len(table(out)) == 1


def test_a_writer_thought_dead_that_returns_removes_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its half of the shard is saved after another has finished all of it."""
    monkeypatch.setattr(row_shards_module, "SAVE_S", -1.0)
    listed = files(tmp_path / "in", 4)
    with RowShards(str(tmp_path / "out")) as row_shards:
        add(row_shards, listed)
        (shard,) = row_shards.planned(row_shards.plan_files()[0])
        late = [{**row, "settings": "s"} for row in recording_scorer([])(listed[:2])]
        run(row_shards, recording_scorer([]))
        row_shards.save(shard.number, map(flat, late))
    assert [row["source"] for row in table(tmp_path / "out")] == listed
    with RowShards(str(tmp_path / "out")) as row_shards:
        run(row_shards, recording_scorer([]))
        assert row_shards.is_settled(0)
    assert [row["source"] for row in table(tmp_path / "out")] == listed


def test_changed_files_other_settings_and_failures_are_scored_again(tmp_path: Path) -> None:
    a, b, bad = [*files(tmp_path / "in", 2), str(tmp_path / "in" / "bad.wav")]
    Path(bad).write_text("bad")
    with RowShards(str(tmp_path / "out")) as row_shards:
        add(row_shards, [a, b, bad])
        (first,) = run(row_shards, recording_scorer([]))
        assert first == Filled(0, 3, 0, 2, (f"{bad}: broken; fix it",))
        os.utime(b, ns=(1, 1))
        log: list[str] = []
        run(row_shards, recording_scorer(log))
        assert log == [b, bad]
        (third,) = run(row_shards, recording_scorer(log := [], bad="none"), "other")
        assert log == [a, b, bad]
        assert third == Filled(0, 3, 0, 3, ())
    assert {row["settings"] for row in table(tmp_path / "out")} == {"other"}


def test_the_row_of_a_file_that_is_gone_stays(tmp_path: Path) -> None:
    a, b = files(tmp_path / "in", 2)
    with RowShards(str(tmp_path / "out")) as row_shards:
        add(row_shards, [a, b])
        run(row_shards, recording_scorer([]))
        Path(a).unlink()
        log: list[str] = []
        run(row_shards, recording_scorer(log), "other")
    assert log == [b]
    assert [row["source"] for row in table(tmp_path / "out")] == [a, b]


def test_a_file_that_cannot_be_read_is_a_row_with_its_error(tmp_path: Path) -> None:
    listed = [*files(tmp_path / "in", 1), str(tmp_path / "in" / "bad.wav")]
    with RowShards(str(tmp_path / "out")) as row_shards:
        add(row_shards, listed)
        run(row_shards, recording_scorer([]))
    good, bad = table(tmp_path / "out")
    assert (good["error"], bad["score"]) == (None, None)
    assert bad["error"] == f"{listed[1]}: broken; fix it"


def test_names_that_are_not_utf8_come_back(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(str(tmp_path)) + b"/caf\xe9.wav")
    Path(name).write_text("x")
    with RowShards(str(tmp_path / "out")) as row_shards:
        add(row_shards, [name])
        log: list[str] = []
        run(row_shards, recording_scorer(log))
        run(row_shards, recording_scorer(log))
    assert log == [name]
    assert table(tmp_path / "out")[0]["source"].endswith("caf\\udce9.wav")


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with (
        RowShards(str(tmp_path / "out")),
        pytest.raises(EvaluationError, match="wait for it, or choose another folder"),
        RowShards(str(tmp_path / "out")),
    ):
        raise AssertionError("entered twice")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear diary")
    with pytest.raises(EvaluationError, match="give a new folder"), RowShards(str(tmp_path)):
        raise AssertionError("entered")


def test_what_killed_writers_left_is_swept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with RowShards(str(out)) as row_shards:
        add(row_shards, files(tmp_path / "in", 1))
    left = out / "plan" / ".00000123.unfinished.parquet"
    left.write_text("half")
    with RowShards(str(out)) as row_shards:
        assert len(row_shards.plan_files()) == 1
    assert not left.exists()


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write(str(tmp_path / "a"), b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        storage.write(str(tmp_path / "a"), b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_shards_grow_with_what_is_known_so_that_workers_share_a_small_archive(
    tmp_path: Path,
) -> None:
    listed = [f"{at:04}.wav" for at in range(1_000)]
    with RowShards(str(tmp_path / "out")) as row_shards:
        assert add(row_shards, listed, n_workers=2) == 1_000
        sizes = [len(shard.sources) for shard in planned(row_shards)]
    assert [source for shard in planned(row_shards) for source in shard.sources] == listed
    assert sizes[:2] == [8, 8]
    assert max(sizes) <= 1_000 // 32, "a worker could be left alone with the last shard"
    assert [shard.number for shard in planned(row_shards)] == list(range(len(sizes)))
    with RowShards(str(tmp_path / "large")) as row_shards:
        add(row_shards, [f"{at:06}.wav" for at in range(60_000)])
        sizes = [len(shard.sources) for shard in planned(row_shards)]
        assert max(sizes) == 1_000
        assert len(sizes) < 200
        assert len(row_shards.plan_files()) < 20


def test_the_plan_is_there_in_parts_while_recordings_are_found(tmp_path: Path) -> None:
    n_found = 0

    def found() -> Iterator[str]:
        nonlocal n_found
        for n_found in range(1, 1_001):
            yield f"{n_found:04}.wav"

    with RowShards(str(tmp_path / "out")) as row_shards:
        first, *_ = row_shards.plan(found(), 2)
        assert first.endswith("plan/000000.parquet")
    with RowShards(str(tmp_path / "again")) as row_shards:
        next(row_shards.plan(found(), 2))
        assert n_found == 16, "nothing can be scored before all is found"
        assert sum(len(shard.sources) for shard in planned(row_shards)) == 16
    with RowShards(str(tmp_path / "again")) as row_shards:
        assert add(row_shards, [f"{at:04}.wav" for at in range(1, 1_001)]) == 984
