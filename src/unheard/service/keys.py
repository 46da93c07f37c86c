"""Who may ask: keys of 256 random bits, of which only hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from unheard.errors import ServiceError

__all__ = ["Keys", "make_key"]

_MOST_OF_NAME = 2
_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
_LINE = re.compile(r"([A-Za-z0-9._-]{1,40}) ([0-9a-f]{64})")


class Keys:
    """The keys of a service.

    A plain SHA-256 is enough, since keys are drawn, not chosen: there is nothing to guess.
    """

    def __init__(self, file: Path, hashes: dict[str, list[str]]) -> None:
        """Take the file of the keys, and the hashes of each name's keys."""
        self._file = file
        self._hashes = hashes

    @classmethod
    def read(cls, file: Path) -> Keys:
        """Read a file that `make_key` writes.

        Raises:
            ServiceError: If there is no such file, it holds no key, a line is none, or a name has
                more than two keys.
        """
        try:
            lines = file.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ServiceError(
                f"{file}: no file of keys that can be read; make a key with: "
                f"unheard serve --keys {file} --make-key NAME"
            ) from error
        hashes: dict[str, list[str]] = {}
        for number, line in enumerate(lines, start=1):
            fits = _LINE.fullmatch(line.strip())
            if line.strip() and fits is None:
                raise ServiceError(
                    f"{file}, line {number}: not a name and the SHA-256 of a key; "
                    "delete the line and make the key again with --make-key"
                )
            if fits is not None:
                hashes.setdefault(fits[1], []).append(fits[2])
                if len(hashes[fits[1]]) > _MOST_OF_NAME:
                    raise ServiceError(
                        f"{file}, line {number}: a third key of {fits[1]!r}; a name may have two, "
                        "while one is replaced: delete the line of one that is no longer used"
                    )
        if not hashes:
            raise ServiceError(f"{file}: holds no key; make one with --make-key NAME")
        return cls(file, hashes)

    def reload(self) -> None:
        """Read the file again; if it cannot be read, the keys stay as they are.

        Raises:
            ServiceError: As `read`.
        """
        self._hashes = Keys.read(self._file)._hashes

    def names(self) -> list[str]:
        """Return the names that have a key, sorted."""
        return sorted(self._hashes)

    def name(self, key: str) -> str | None:
        """Return the name of a key, None if there is no such key.

        All hashes are compared, each in constant time: how long it takes tells nothing.
        """
        given = _hash(key)
        owner = None
        for name, hashes in self._hashes.items():
            for known in hashes:
                if hmac.compare_digest(given, known):
                    owner = name
        return owner


def make_key(file: Path, name: str) -> str:
    """Draw a key, append its hash to a file, and return it; it cannot be read again.

    A name may have two keys, so that the first still opens until everybody has the second.

    Args:
        file: Made if missing, readable for its owner alone.
        name: Who it is for; stands in logs.

    Raises:
        ServiceError: If the name does not fit or has two keys, or the file is none of keys.
    """
    if _NAME.fullmatch(name) is None:
        raise ServiceError(
            f"{name!r} cannot name a key; use 1 to 40 of the characters A-Z a-z 0-9 . _ -"
        )
    content = file.read_bytes() if file.exists() else b""
    n_keys = len(Keys.read(file)._hashes.get(name, ())) if content else 0
    if n_keys >= _MOST_OF_NAME:
        raise ServiceError(
            f"{file}: has two keys of {name!r} already, the most that a name may have; delete the "
            "line of the older one, or choose another name"
        )
    key = f"unheard_{secrets.token_urlsafe(32)}"
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as stream:
        if content and not content.endswith(b"\n"):  # as an editor may leave it
            stream.write("\n")
        stream.write(f"{name} {_hash(key)}\n")
    return key


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()
