"""Does a killed scoring lose nothing, and does a finished one not start again?"""

import csv
import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from unheard.data.rows import SUFFIXES, Lines, RowFile
from unheard.data.storage import stamp
from unheard.errors import EvaluationError
from voice import scorer, silence, voice


def row(source: str, score: float = 1.0) -> dict[str, Any]:
    return {**scorer().samples(voice(1.2), name=source).to_dict(), "score": score}


def file(folder: Path, name: str = "a.wav", content: str = "abc") -> Path:
    path = folder / name
    path.write_text(content)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_come_back_sorted_and_complete(tmp_path: Path, suffix: str) -> None:
    out, a = tmp_path / f"out{suffix}", file(tmp_path)
    with RowFile(out, "s") as row_file:
        row_file.add(row("b", 2.5), stamp(str(a)))
        row_file.add({"source": "c", "error": "broken"}, stamp(str(a)))
        row_file.add(row("a", -1.5), stamp(str(a)))
        assert row_file.finish() == out
    if suffix == ".parquet":
        rows = pq.read_table(out).to_pylist()
        wanted = {"start_s", "end_s", "score", "speech_s", "experts"}
        assert rows[0]["windows"][0].keys() == wanted
        assert rows[0]["detector"] == "level"
    elif suffix == ".csv":
        rows = list(csv.DictReader(out.read_text().splitlines()))
        assert (rows[0]["spoof_below"], rows[0]["bonafide_from"]) == ("-1.0", "2.0")
    else:
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [r["source"] for r in rows] == ["a", "b", "c"]
    assert [float(r["score"]) for r in rows[:2]] == [-1.5, 2.5]
    assert rows[2]["error"] == "broken"


def test_rows_without_a_verdict_are_kept_with_the_reason(tmp_path: Path) -> None:
    with RowFile(tmp_path / "out.parquet", "s") as row_file:
        row_file.add(scorer().samples(silence(2), name="a").to_dict(), stamp(str(file(tmp_path))))
        assert row_file.is_done("a", stamp(str(tmp_path / "a.wav")))
        assert not row_file.has_verdict("a")
        (row,) = pq.read_table(row_file.finish()).to_pylist()
    assert row["score"] is None
    assert "digital silence" in row["reason"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_written_before_a_kill_is_done_after_it(tmp_path: Path, suffix: str) -> None:
    out, a = tmp_path / f"out{suffix}", file(tmp_path)
    with RowFile(out, "s") as row_file:
        row_file.add(row("a"), stamp(str(a)))
        path = row_file.path
    with path.open("a") as lines:
        lines.write('{"source": "b", "sco')
    with RowFile(out, "s") as row_file:
        assert row_file.is_done("a", stamp(str(a)))
        assert row_file.has_verdict("a")
        assert not row_file.is_done("b", stamp(str(a)))
        row_file.add(row("b", 7.0), stamp(str(a)))
        row_file.finish()
    with RowFile(out, "s") as row_file:
        assert row_file.is_done("a", stamp(str(a)))
        assert row_file.is_done("b", stamp(str(a)))


def test_changed_files_other_settings_and_failures_are_scored_again(tmp_path: Path) -> None:
    a, out = file(tmp_path), tmp_path / "out.jsonl"
    with RowFile(out, "s") as row_file:
        row_file.add(row("a"), stamp(str(a)))
        row_file.add({"source": "bad", "error": "broken"}, stamp(str(a)))
        assert row_file.is_done("a", stamp(str(a)))
        assert not row_file.is_done("bad", stamp(str(a)))
    with RowFile(out, "other") as row_file:
        assert not row_file.is_done("a", stamp(str(a)))
    os.utime(a, ns=(1, 1))
    with RowFile(out, "s") as row_file:
        assert not row_file.is_done("a", stamp(str(a)))


def test_a_file_scored_again_has_its_last_row_alone(tmp_path: Path) -> None:
    a = file(tmp_path)
    with RowFile(tmp_path / "out.csv", "s") as row_file:
        row_file.add(row("a", 1.0), stamp(str(a)))
        row_file.add(row("a", 2.0), stamp(str(a)))
        rows = list(csv.DictReader(row_file.finish().read_text().splitlines()))
    assert [r["score"] for r in rows] == ["2.0"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_names_that_are_not_utf8_are_kept(tmp_path: Path, suffix: str) -> None:
    with RowFile(tmp_path / f"out{suffix}", "s") as row_file:
        row_file.add(row("caf\udce9.wav"), stamp(str(file(tmp_path))))
        row_file.finish()
        assert row_file.is_done("caf\udce9.wav", stamp(str(tmp_path / "a.wav")))


def test_a_foreign_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("precious")
    with pytest.raises(EvaluationError, match="choose another name, or delete it"):
        RowFile(tmp_path / "mine.csv", "s")
    (tmp_path / "mine.jsonl").write_text('{"precious": 1}\n')
    with pytest.raises(EvaluationError, match="choose another name"):
        RowFile(tmp_path / "mine.jsonl", "s")
    assert (tmp_path / "mine.csv").read_text() == "precious"
    assert (tmp_path / "mine.jsonl").read_text() == '{"precious": 1}\n'


def test_two_processes_do_not_write_one_output(tmp_path: Path) -> None:
    with (
        RowFile(tmp_path / "out.csv", "s"),
        pytest.raises(EvaluationError, match="wait for it, or choose another name"),
    ):
        RowFile(tmp_path / "out.csv", "s")


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"choose one of \.parquet, \.csv, \.jsonl"):
        RowFile(tmp_path / "out.xlsx", "s")


def test_a_file_that_changes_while_it_is_scored_is_scored_again(tmp_path: Path) -> None:
    a = file(tmp_path)
    with RowFile(tmp_path / "rows.jsonl", "s") as row_file:
        before = stamp(str(a))
        a.write_bytes(b"and the rest of the copy")
        row_file.add(row("a"), before)
        assert not row_file.is_done("a", stamp(str(a)))


@pytest.mark.parametrize("content", ['{"important": "notes"}', "words", "{"])
def test_a_foreign_file_without_a_last_line_break_is_kept(tmp_path: Path, content: str) -> None:
    notes = tmp_path / "notes.jsonl"
    notes.write_text(content)
    if content == "{":  # a row of ours may have been cut off there
        with RowFile(notes, "s"):
            assert notes.read_text() == ""
        return
    with pytest.raises(EvaluationError, match="not written by"):
        RowFile(notes, "s")
    assert notes.read_text() == content


@pytest.mark.parametrize("n_bytes", [10, 100_000])
def test_a_line_that_a_kill_cut_off_is_dropped_and_the_others_stay(
    tmp_path: Path, n_bytes: int
) -> None:
    path, wrong = tmp_path / "folder" / "lines.jsonl", EvaluationError("something else")
    with Lines(path, b'{"id": ', wrong) as lines:
        places = [lines.add({"id": n, "text": "x" * n_bytes}) for n in range(3)]
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    with Lines(path, b'{"id": ', wrong) as lines:
        assert [(place, row["id"]) for place, row in lines] == [(places[0], 0), (places[1], 1)]
        assert lines.add({"id": 2, "text": "x" * n_bytes}) == places[2]
        assert lines.at(places[1])["id"] == 1
        with pytest.raises(EvaluationError, match="another process is writing it"):
            Lines(path, b'{"id": ', wrong)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"my own notes", b"my own notes\n", b"[1]\n"])
def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(content)
    wrong = EvaluationError("something else")
    with (
        pytest.raises(EvaluationError, match="something else"),
        Lines(path, b'{"id": ', wrong) as lines,
    ):
        list(lines)
    assert path.read_bytes() == content
