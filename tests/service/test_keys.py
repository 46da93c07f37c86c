"""Are keys kept as hashes alone, and is only the right one let in?"""

import stat
from pathlib import Path

import pytest

from unheard.errors import ServiceError
from unheard.service.keys import Keys, make_key


def test_a_key_opens_and_its_file_does_not_hold_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / "keys"
    first, second = make_key(file, "newsroom"), make_key(file, "lab")
    keys = Keys.read(file)
    assert (keys.name(first), keys.name(second)) == ("newsroom", "lab")
    assert first not in file.read_text()
    assert len(first) > 40
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("wrong", ["", "newsroom", "unheard_", "\udcff", "x" * 10_000])
def test_what_is_no_key_does_not_open(tmp_path: Path, wrong: str) -> None:
    key = make_key(tmp_path / "keys", "newsroom")
    keys = Keys.read(tmp_path / "keys")
    assert keys.name(wrong) is None
    assert keys.name(key[:-1]) is None
    assert keys.name((tmp_path / "keys").read_text().split()[1]) is None  # the hash itself


def test_every_hash_is_compared_in_constant_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    def compare(given: str, known: str) -> bool:
        compared.append(known)
        return given == known

    first = make_key(tmp_path / "keys", "a")
    make_key(tmp_path / "keys", "b")
    monkeypatch.setattr("hmac.compare_digest", compare)
    assert Keys.read(tmp_path / "keys").name(first) == "a"
    assert len(compared) == 2


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "x" * 41, "ä"])
def test_a_name_that_would_break_the_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ServiceError, match="cannot name a key; use 1 to 40"):
        make_key(tmp_path / "keys", name)


def test_a_name_has_two_keys_while_one_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    first, second = make_key(file, "lab"), make_key(file, "lab")
    keys = Keys.read(file)
    assert (keys.name(first), keys.name(second)) == ("lab", "lab")
    with pytest.raises(
        ServiceError, match=r"has two keys of 'lab' already.*delete the line of the"
    ):
        make_key(file, "lab")
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[1:]))
    keys.reload()
    assert (keys.name(first), keys.name(second)) == (None, "lab")
    third = make_key(file, "lab")
    assert keys.name(third) is None
    keys.reload()
    assert keys.name(third) == "lab"


@pytest.mark.parametrize("content", [None, "", "lab secret\n", 3 * ("lab " + 64 * "0" + "\n")])
def test_keys_that_cannot_be_read_again_stay(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "keys"
    key = make_key(file, "lab")
    keys = Keys.read(file)
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(ServiceError, match=r"make .*key|third key of 'lab'.*delete the line"):
        keys.reload()
    assert keys.name(key) == "lab"


def test_a_last_line_without_its_end_is_ended_first(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    first = make_key(file, "newsroom")
    file.write_text(file.read_text().rstrip("\n"))
    second, third = make_key(file, "lab"), make_key(file, "desk")
    keys = Keys.read(file)
    assert [keys.name(key) for key in (first, second, third)] == ["newsroom", "lab", "desk"]
    assert len(file.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no file of keys that can be read; make a key with"),
        ("", "holds no key; make one with --make-key"),
        ("lab secret\n", "line 1: not a name and the SHA-256 of a key; delete the line"),
    ],
)
def test_a_file_without_keys_says_how_to_make_one(
    tmp_path: Path, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / "keys").write_text(text)
    with pytest.raises(ServiceError, match=message):
        Keys.read(tmp_path / "keys")
