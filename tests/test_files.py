"""Does no file make a read wait for ever, and does a write that fails say which output it is?"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from full_disk import room_for
from unheard import files
from unheard.files import NotRegular, OutputError, in_one_step, open_regular


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(path))


NOT_FILES: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a socket": make_socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("what", NOT_FILES)
def test_what_is_no_file_is_not_opened(tmp_path: Path, what: str) -> None:
    NOT_FILES[what](tmp_path / "x")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    for path in (tmp_path / "x", tmp_path / "link"):
        with pytest.raises(NotRegular, match=what):
            open_regular(path)


@pytest.mark.parametrize("n_bytes", [0, 1, (1 << 18) + 1, 1 << 20, (1 << 20) + 1, 3_000_001])
def test_a_file_is_read_as_it_is_from_any_place_on(tmp_path: Path, n_bytes: int) -> None:
    content = bytes(index * 7 % 251 for index in range(n_bytes))
    (tmp_path / "x").write_bytes(content)
    with open_regular(tmp_path / "x") as ours, (tmp_path / "x").open("rb") as theirs:
        assert ours.read() == content
        for offset, whence in [(0, 0), (n_bytes // 2, 0), (0, 2), (-min(9, n_bytes), 2)]:
            assert ours.seek(offset, whence) == theirs.seek(offset, whence)
            assert ours.read(100_000) == theirs.read(100_000)
            assert ours.tell() == theirs.tell()


def test_a_read_that_lasts_too_long_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(bytes(3 << 20))
    gone, read = threading.Event(), os.pread

    def hang(*arguments: int) -> bytes:
        gone.wait(30)
        return read(*arguments)

    monkeypatch.setattr(files, "READ_LIMIT_S", 0.1)
    with open_regular(tmp_path / "x") as opened, open_regular(tmp_path / "x", quiet=True) as quiet:
        monkeypatch.setattr(os, "pread", hang)
        started_s = time.monotonic()
        with pytest.raises(TimeoutError, match="gave nothing for"):
            opened.read()
        assert len(quiet.read()) == 0
        assert isinstance(quiet.failure, TimeoutError)
        assert time.monotonic() - started_s < 5
        gone.set()


@pytest.mark.parametrize("n_bytes", [1, 4096, 100_000])
def test_a_full_disk_names_the_output_and_leaves_what_was_there(
    tmp_path: Path, n_bytes: int
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("old")
    with (
        room_for(n_bytes - 1),
        pytest.raises(OutputError, match=rf"^{path}: cannot be written: .*room"),
        in_one_step(path) as unfinished,
    ):
        unfinished.write_bytes(bytes(n_bytes))
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_a_folder_that_cannot_be_made_names_the_output(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "a" / "rows.csv"
    with pytest.raises(OutputError, match=rf"^{path}: cannot be written"), in_one_step(path):
        pass


KILLED = """
import os, signal, sys
from pathlib import Path
from unheard.files import in_one_step
with in_one_step(Path(sys.argv[1])) as unfinished:
    unfinished.write_text("half")
    print("half", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("name", ["rows.parquet", "ro[w]s.x.parquet", "rows", ".rows.csv"])
def test_what_a_killed_writer_leaves_is_removed_by_the_next_and_a_living_one_is_left_alone(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "half\n"
    with in_one_step(path) as unfinished:
        unfinished.write_text("first")
    assert len(list(tmp_path.iterdir())) == 2
    writer.kill()
    writer.communicate()
    with in_one_step(path) as unfinished:
        unfinished.write_text("second")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {name: "second"}


def test_writers_of_one_file_at_once_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "x"
    failed: list[BaseException] = []

    def write(letter: str) -> None:
        try:
            for _ in range(50):
                with in_one_step(path) as unfinished:
                    unfinished.write_text(letter * 5000)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert path.read_text() in {letter * 5000 for letter in "abc"}
    assert list(tmp_path.iterdir()) == [path]
