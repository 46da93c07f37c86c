"""Is each file of a watched folder scored once it is complete, even if it changes or moves?"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unheard.data.rows import RowFile
from unheard.errors import RecipeError
from unheard.scoring.many import Row, Task
from unheard.scoring.watch import Watch
from voice import scorer, voice

VERDICT = scorer().samples(voice(1.2)).to_dict()


class Folder:
    """A folder, the watch over it, what was scored, and a clock that a test moves."""

    row_file: RowFile

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "in"
        self.folder.mkdir(exist_ok=True)
        self.out = tmp_path / "rows.jsonl"
        self.scored: list[str] = []
        self.now_s = 0.0
        self._change = 1_000
        self.start()

    def start(self, settings: str = "s") -> None:
        """Begin to watch, as after a kill."""
        if hasattr(self, "row_file"):
            self.row_file.__exit__()
        self.row_file = RowFile(self.out, settings)
        self.watch = Watch(self.folder, self.row_file, self.score, settle_s=5.0)

    def score(self, task: Task) -> Row:
        name = str(task.audio.relative_to(self.folder))
        self.scored.append(name)
        if "bad" in name:
            return {"source": task.source, "error": f"{task.source}: broken; fix it"}
        return {**VERDICT, "source": task.source, "score": float(len(self.scored))}

    def put(self, name: str, content: str) -> None:
        """Write a file; each write has a later time of change."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        self._change += 1
        os.utime(path, ns=(self._change, self._change))

    def look(self, after_s: float = 5.0) -> list[str]:
        """Let time pass and look; return the names of files that got rows."""
        self.now_s += after_s
        return [str(Path(row["source"]).relative_to(self.folder)) for row in self._rows()]

    def _rows(self) -> Iterator[Row]:
        return self.watch.look(self.now_s)

    def settle(self) -> list[str]:
        """Look, wait until files have settled, and look again."""
        return self.look() + self.look()

    def rows(self) -> dict[str, Any]:
        """What the output holds in the end, score or error by name; each name once."""
        self.row_file.finish()
        rows = [json.loads(line) for line in self.out.read_text().splitlines()]
        names = [str(Path(row["source"]).relative_to(self.folder)) for row in rows]
        assert len(set(names)) == len(names), names
        return {
            name: row.get("error") or row["score"] for name, row in zip(names, rows, strict=True)
        }


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path)
    yield folder
    folder.row_file.__exit__()


def test_a_file_is_scored_once_and_only_when_it_has_stopped_growing(box: Folder) -> None:
    box.put("a.wav", "a")
    assert box.look() == []
    box.put("a.wav", "aa")
    assert box.look() == []
    assert box.look(4.9) == []
    assert box.look(0.1) == ["a.wav"]
    assert box.settle() == []
    assert box.scored == ["a.wav"]


def test_folders_inside_are_watched_other_suffixes_and_hidden_files_are_not(box: Folder) -> None:
    for name in ("b/c.mp3", "note.txt", ".a.wav", "a.wav.part"):
        box.put(name, "x")
    assert box.settle() == ["b/c.mp3"]


def test_a_changed_file_is_scored_again_and_has_one_row(box: Folder) -> None:
    box.put("a.wav", "a")
    box.settle()
    box.put("a.wav", "b")
    assert box.settle() == ["a.wav"]
    assert box.rows() == {"a.wav": 2.0}


def test_a_file_that_changes_while_it_is_scored_waits_until_it_settles(
    box: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.put("a.wav", "a")
    box.look()
    score = box.score

    def slow(task: Task) -> Row:
        row = score(task)
        if len(box.scored) == 1:
            box.put("a.wav", "ab")
        return row

    monkeypatch.setattr(box.watch, "_score", slow)
    assert box.look() == []
    assert box.settle() == ["a.wav"]
    assert box.rows() == {"a.wav": 2.0}


def test_a_file_that_is_gone_before_it_is_scored_has_no_row(box: Folder) -> None:
    box.put("a.wav", "a")
    box.look()
    (box.folder / "a.wav").unlink()
    assert box.settle() == []
    assert box.rows() == {}


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_a_moved_file_takes_its_row_with_it_and_is_not_scored_again(
    box: Folder, restarted: bool
) -> None:
    box.put("a.wav", "a")
    box.put("b.wav", "b")
    box.settle()
    (box.folder / "sub").mkdir()
    (box.folder / "a.wav").rename(box.folder / "sub" / "c.wav")
    if restarted:
        box.start()
    assert box.settle() == ["sub/c.wav"]
    assert box.scored == ["a.wav", "b.wav"]
    box.start()
    assert box.settle() == []
    assert box.rows() == {"b.wav": 2.0, "sub/c.wav": 1.0}


def test_a_new_file_where_one_was_moved_from_has_a_row_of_its_own(box: Folder) -> None:
    box.put("a.wav", "a")
    box.settle()
    (box.folder / "a.wav").rename(box.folder / "b.wav")
    box.settle()
    box.put("a.wav", "new")
    assert box.settle() == ["a.wav"]
    box.rows()
    box.start()
    assert box.settle() == []
    assert box.rows() == {"a.wav": 2.0, "b.wav": 1.0}


def test_a_copy_is_a_file_of_its_own(box: Folder) -> None:
    box.put("a.wav", "same")
    box.put("b.wav", "same")
    assert box.settle() == ["a.wav", "b.wav"]
    assert box.scored == ["a.wav", "b.wav"]


def test_a_file_of_equal_size_and_time_is_not_taken_for_one_that_was_deleted(box: Folder) -> None:
    box.put("a.wav", "a")
    box.settle()
    stat = (box.folder / "a.wav").stat()
    (box.folder / "a.wav").unlink()
    box.put("b.wav", "b")
    os.utime(box.folder / "b.wav", ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    box.settle()
    assert box.scored == ["a.wav", "b.wav"]


def test_the_row_of_a_deleted_file_stays(box: Folder) -> None:
    box.put("a.wav", "a")
    box.settle()
    (box.folder / "a.wav").unlink()
    assert box.settle() == []
    assert box.rows() == {"a.wav": 1.0}


def test_a_bad_file_is_reported_once_and_tried_again_when_it_changes(box: Folder) -> None:
    box.put("bad.wav", "x")
    assert box.settle() == ["bad.wav"]
    assert box.settle() == []
    box.start()
    assert box.settle() == []
    box.put("bad.wav", "y")
    assert box.settle() == ["bad.wav"]
    assert "fix it" in box.rows()["bad.wav"]


def test_after_a_kill_nothing_is_scored_twice(box: Folder) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        box.put(name, name)
    box.look()
    box.now_s += 5
    rows = box.watch.look(box.now_s)
    next(rows)
    next(rows)  # then the process is killed
    box.start()
    assert box.settle() == ["c.wav"]
    assert box.scored == ["a.wav", "b.wav", "c.wav"]
    assert len(box.rows()) == 3


def test_other_settings_score_again(box: Folder) -> None:
    box.put("a.wav", "a")
    box.settle()
    box.start("other")
    assert box.settle() == ["a.wav"]
    assert box.rows() == {"a.wav": 2.0}


def test_a_folder_that_goes_away_and_comes_back_loses_nothing(box: Folder) -> None:
    box.put("a.wav", "a")
    box.settle()
    away = box.folder.rename(box.folder.with_name("away"))
    assert box.settle() == []
    away.rename(box.folder)
    assert box.settle() == []
    assert box.scored == ["a.wav"]


def test_no_folder_is_refused(box: Folder, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="make it, or check the path"):
        Watch(tmp_path / "gone", box.row_file, box.score)


def test_a_name_that_holds_something_else_by_now_gives_its_row_to_nobody(box: Folder) -> None:
    rows = {}
    for name, content in (("latest.wav", "fake"), ("latest.wav", "human")):
        box.put(name, content)
        box.look()
        rows[content] = box.look()
    assert rows == {"fake": ["latest.wav"], "human": ["latest.wav"]}
    (box.folder / "latest.wav").unlink()
    for name, content in (("archive.wav", "fake"), ("moved.wav", "human"), ("c.wav", "human")):
        box.put(name, content)
        box.look()
        assert box.look() == [name]
    assert box.scored == ["latest.wav", "latest.wav", "archive.wav", "c.wav"]
    kept = {Path(row["source"]).name: row["score"] for row in box.row_file.rows()}
    assert kept == {"archive.wav": 3.0, "moved.wav": 2.0, "c.wav": 4.0}
