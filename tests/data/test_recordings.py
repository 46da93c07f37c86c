"""Is each recording found once, whatever names it, and is what is passed over counted and named?"""

import csv
import io
import itertools
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unicodedata import normalize

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audio_files import FORMATS, encoded, tone
from unheard.audio import AUDIO_SUFFIXES
from unheard.audio.containers import looks_like_audio
from unheard.data.clip import Clip, Manifest
from unheard.data.recordings import Search, absolute, find
from unheard.errors import RecipeError

NAMES = ["a.wav", "b, c.wav", "d;e.flac", "sub/josé \u0301.mp3", "ünï'q.opus"]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(*names: object) -> list[str]:
    """What names stand for, where all of them stand for something."""
    search = Search()
    listed = find(map(str, names), search)
    assert search.errors == []
    return listed


@pytest.fixture
def store() -> Iterator[Any]:
    """An object store that lives in this process."""
    memory = fsspec.filesystem("memory")
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def test_folders_are_searched_to_any_depth_and_sorted(tmp_path: Path) -> None:
    touch(tmp_path / "b" / "c" / "2.WAV", tmp_path / "b" / "1.mp3", tmp_path / "a.wav")
    assert found(tmp_path) == [str(tmp_path / name) for name in ("a.wav", "b/1.mp3", "b/c/2.WAV")]


def test_what_is_passed_over_is_counted_and_the_first_are_named(tmp_path: Path) -> None:
    far = tmp_path / "far"
    folder = tmp_path / "in"
    touch(far / "x.wav", *(folder / f"{number:02}.md" for number in range(12)), folder / "plain")
    touch(folder / ".a.wav", folder / ".cache" / "b.wav", folder / "good.wav")
    (folder / "link").symlink_to(far)
    os.mkfifo(folder / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(folder / "socket.wav"))
    search = Search()
    assert find([str(folder)], search) == [str(folder / "good.wav")]
    hidden, links, special, suffix = search.notes()
    assert hidden.startswith("skipped 2 hidden, --all")
    assert links == f"skipped 1 links to folders, --follow-symlinks follows them: {folder / 'link'}"
    assert special.endswith(f"{folder / 'pipe.wav'}, {folder / 'socket.wav'}")
    assert "skipped 13 without a suffix" in suffix
    assert suffix.endswith(f"{folder / '01.md'}, {folder / '02.md'}, ...")


def test_all_takes_what_begins_like_audio_whatever_its_name(tmp_path: Path) -> None:
    content = encoded(tone(0.3), ".flac")
    names = ["x", ".hidden", ".cache/y", "z.bin", "z.txt", "w.wav"]
    for name in names:
        touch(tmp_path / name)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "letter").write_text("dear diary")
    (tmp_path / "picture.wav").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    search = Search(every_file=True)
    assert sorted(find([str(tmp_path)], search)) == sorted(str(tmp_path / name) for name in names)
    (note,) = search.notes()
    assert note.startswith("skipped 2 not beginning like audio: ")


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_begins_like_audio_and_has_a_suffix_that_is_searched_for(suffix: str) -> None:
    assert looks_like_audio(encoded(tone(0.5), suffix))
    assert suffix in AUDIO_SUFFIXES


@pytest.mark.parametrize(
    "head",
    [
        *(b"", b"text", b"%PDF-1.7", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"),
        *(b"\x7fELF", "ÿþ".encode("utf-16"), bytes(400), b"\xff" * 400, b"RIFF1234WEBPVP8 "),
    ],
)
def test_what_is_no_audio_does_not_begin_like_it(head: bytes) -> None:
    assert not looks_like_audio(head)


def test_links_to_folders_are_followed_once_if_wanted(tmp_path: Path) -> None:
    touch(tmp_path / "real" / "x.wav", tmp_path / "in" / "y.wav")
    for name in ("one", "two"):
        (tmp_path / "in" / name).symlink_to(tmp_path / "real")
    (tmp_path / "real" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "in" / "round").symlink_to("round")
    search = Search(follow_links=True)
    assert find([str(tmp_path / "in")], search) == [
        str(tmp_path / "in" / "y.wav"),
        str(tmp_path / "in" / "one" / "x.wav"),
    ]
    assert found(tmp_path / "in") == [str(tmp_path / "in" / "y.wav")]


def test_a_file_under_any_spelling_of_its_path_comes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "in" / "a.wav")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    spellings = ["in/a.wav", "./in/a.wav", "in//a.wav", str(tmp_path / "in/a.wav"), "link/a.wav"]
    spellings += ["in/../in/a.wav", "link/../in/a.wav", "in/*.wav", "in", "list.txt"]
    (tmp_path / "list.txt").write_text("in/a.wav\nlink/a.wav\n")
    for order in itertools.permutations(spellings, 2):
        assert len(found(*order)) == 1, order
    assert len(found(*spellings)) == 1
    assert {absolute(name) for name in spellings[:6] if "link" not in name} == {
        str(tmp_path / "in" / "a.wav")
    }


def test_a_folder_that_cannot_be_listed_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "a.wav", tmp_path / "locked" / "b.wav")
    locked, scan = tmp_path / "locked", os.scandir

    def refuse(path: str) -> Any:
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for names, files in [([tmp_path], [str(tmp_path / "a.wav")]), ([locked], [])]:
        search = Search()
        assert find(map(str, names), search) == files
        (row,) = search.errors
        assert row["source"] == str(locked)
        assert "cannot be listed (Permission denied)" in row["error"]


def test_patterns_take_files_of_any_suffix_once(tmp_path: Path) -> None:
    touch(tmp_path / "x" / "a.bin", tmp_path / "b.bin")
    assert found(tmp_path / "b.bin", tmp_path / "**" / "*.bin") == [
        str(tmp_path / "b.bin"),
        str(tmp_path / "x" / "a.bin"),
    ]


def test_a_name_with_brackets_is_a_file_first(tmp_path: Path) -> None:
    touch(tmp_path / "take[1].wav", tmp_path / "take1.wav")
    assert found(tmp_path / "take[1].wav") == [str(tmp_path / "take[1].wav")]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("gone", "check the path"),
        ("*.flac", "give the folder"),
        ("empty", "name others one by one, or give --all"),
        ("empty.txt", "give a path on each line"),
        ("other.csv", "no column of paths among speaker, age; call it path"),
        ("broken.parquet", "not a readable Parquet file"),
        ("broken.jsonl", "broken.jsonl:2: no JSON object"),
    ],
)
def test_what_is_not_found_is_a_row_with_its_remedy(tmp_path: Path, name: str, remedy: str) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path / "empty.txt", tmp_path / "a.wav")
    (tmp_path / "other.csv").write_text("speaker,age\n1,2\n")
    (tmp_path / "broken.parquet").write_text("x")
    (tmp_path / "broken.jsonl").write_text('{"path": "a.wav"}\n{"path"\n')
    search = Search()
    assert find([str(tmp_path / name)], search) in ([], [str(tmp_path / "a.wav")])
    (row,) = search.errors
    assert row["source"] == str(tmp_path / name)
    assert remedy in row["error"]


def plain(names: list[str]) -> str:
    return "".join(f"{name}\n" for name in names)


def with_header(delimiter: str, column: str) -> Callable[[list[str]], str]:
    def text(names: list[str]) -> str:
        file = io.StringIO()
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerows([["speaker", column, "label"]] + [["s", name, "real"] for name in names])
        return file.getvalue()

    return text


def without_header(names: list[str]) -> str:
    return "".join(with_header(",", "x")(names).splitlines(keepends=True)[1:])


def json_lines(names: list[str]) -> str:
    return "".join(json.dumps({"n": 1, "source": name}) + "\n" for name in names)


LISTS: dict[str, Callable[[list[str]], str]] = {
    "plain.txt": plain,
    "plain.lst": plain,
    "headed.txt": lambda names: plain(["path", *names]),
    "tabs.txt": with_header("\t", "File Name"),
    "commas.csv": with_header(",", "path"),
    "semicolons.csv": with_header(";", "filename"),
    "tabs.tsv": with_header("\t", "audio"),
    "bare.csv": without_header,
    "lines.jsonl": json_lines,
}
CODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("name", LISTS)
def test_lists_and_tables_of_any_writing_name_the_same_recordings(
    tmp_path: Path, name: str, coding: str, end: str
) -> None:
    touch(*(tmp_path / recording for recording in NAMES))
    text = LISTS[name](NAMES).replace("\n", end)
    (tmp_path / name).write_bytes(text.encode(coding))
    assert found(tmp_path / name) == [str(tmp_path / recording) for recording in NAMES]


def test_tables_in_parquet_name_files_or_hold_recordings(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    clip = Clip(id="1", path="t.tar::c.wav", bonafide=True, part="train")
    Manifest.of([clip], tmp_path).write(tmp_path / "m.parquet")
    assert found(tmp_path / "m.parquet") == [str(tmp_path / "t.tar::c.wav")]
    pq.write_table(pa.table({"x": [1], "file": ["a.wav"]}), tmp_path / "t.parquet")
    assert found(tmp_path / "t.parquet") == [str(tmp_path / "a.wav")]
    held = pa.array([{"bytes": b"x", "path": "y"}] * 2)
    pq.write_table(pa.table({"audio": held}), tmp_path / "h.parquet")
    assert found(tmp_path / "h.parquet") == [f"{tmp_path}/h.parquet::audio::{n}" for n in (0, 1)]


def test_paths_of_a_list_start_from_its_folder_or_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "here.wav", tmp_path / "lists" / "there.wav", tmp_path / "lists" / "both.wav")
    touch(tmp_path / "both.wav")
    (tmp_path / "lists" / "l.txt").write_text(
        "here.wav\nthere.wav\nboth.wav\ns3://far/x.wav\n/n.wav"
    )
    monkeypatch.chdir(tmp_path)
    expected = ["here.wav", "lists/there.wav", "lists/both.wav", "s3://far/x.wav", "/n.wav"]
    assert found("lists/l.txt") == expected


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("as_listed", ["NFC", "NFD"])
def test_names_equal_but_for_their_unicode_form_are_found(
    tmp_path: Path, on_disk: Any, as_listed: Any
) -> None:
    names = ["josé/ñandú.wav", "josé/가.wav", "Å/ọ̈.wav"]
    touch(*(tmp_path / normalize(on_disk, name) for name in names))
    (tmp_path / "l.txt").write_text(plain([normalize(as_listed, name) for name in names]))
    expected = [str(tmp_path / normalize(on_disk, name)) for name in names]
    assert found(tmp_path / "l.txt") == expected
    assert found(*(tmp_path / normalize(as_listed, name) for name in names)) == expected


def test_a_recording_named_like_a_list_is_a_recording(tmp_path: Path) -> None:
    (tmp_path / "call.txt").write_bytes(encoded(tone(0.3), ".wav"))
    assert found(tmp_path / "call.txt") == [str(tmp_path / "call.txt")]


def test_names_that_are_not_utf8_are_found_by_a_list(tmp_path: Path) -> None:
    odd = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.wav")
    Path(odd).touch()
    (tmp_path / "l.txt").write_bytes(os.fsencode(odd) + b"\n")
    assert found(tmp_path / "l.txt") == [odd]


def test_a_store_is_listed_like_a_folder(store: Any) -> None:
    for path in ("/bucket/b/2.WAV", "/bucket/a.mp3", "/bucket/.a.wav", "/bucket/note.txt"):
        store.pipe_file(path, b"x")
    urls = ["memory:///bucket/a.mp3", "memory:///bucket/b/2.WAV"]
    search = Search()
    assert sorted(find(["memory://bucket"], search)) == urls
    assert [note.partition(",")[0] for note in search.notes()] == [
        "skipped 1 hidden",
        "skipped 1 without a suffix of audio",
    ]
    assert found("memory://bucket/*.mp3") == urls[:1]
    assert found("memory://bucket/note.txt") == ["memory://bucket/note.txt"]
    search = Search()
    assert find(["memory://gone"], search) == []
    assert "check the URL" in search.errors[0]["error"]


def test_a_store_of_no_known_kind_is_refused() -> None:
    with pytest.raises(RecipeError, match="install the package for its kind of store"):
        found("far://bucket")
