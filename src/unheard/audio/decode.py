"""Encoded audio to blocks of channels at its own rate. Imported by recording alone.

Two decoders: libsndfile for what it decodes exactly and from any place on, FFmpeg for everything
else and for what libsndfile cannot finish. FFmpeg is only given formats that hold their own audio:
a playlist cannot make it open another file.

T samples, C channels.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from typing import Any, BinaryIO, cast

from unheard.audio.containers import (
    container_of,
    is_exact,
    is_plain,
    tag_bytes,
    what_it_is,
    with_unknown_length,
)
from unheard.audio.exact import ExactTrack
from unheard.audio.ffmpeg import FfmpegTrack
from unheard.audio.ogg import note_chain
from unheard.audio.track import Reading
from unheard.errors import AudioError

__all__ = ["Track", "open_track"]

HEAD_BYTES = 4096
SPOOL_IN_MEMORY_BYTES = 16 << 20
MOST_BOXES = 10_000

Track = ExactTrack | FfmpegTrack


class _Pipe:
    """A source that cannot go back, with the bytes that were looked at put in front again."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head, self._file = head, file

    def read(self, n: int = -1) -> bytes:
        if not self._head:
            return self._file.read(n)
        taken, self._head = (self._head, b"") if n < 0 else (self._head[:n], self._head[n:])
        return taken


class _Behind(io.RawIOBase):
    """A file from some byte on, as if it began there."""

    def __init__(self, file: BinaryIO, n_bytes: int) -> None:
        self._file, self._n_bytes = file, n_bytes
        self.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        at = self._file.seek(offset + (0 if whence else self._n_bytes), whence)
        return max(0, at - self._n_bytes)

    def tell(self) -> int:
        return self._file.tell() - self._n_bytes

    def readinto(self, buffer: Any, /) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def open_track(
    file: BinaryIO, name: str, opened: contextlib.ExitStack, track: int | None = None
) -> Track:
    """Open encoded audio.

    Args:
        file: The encoded bytes, from the beginning if it can seek. It need not, but what must go
            back and forth, as an mp4 whose index may stand at the end, is first copied to a
            temporary file.
        name: What to call it in messages.
        opened: Closes what is opened here, the track and a temporary file.
        track: Which audio track, from 1; None for the file's default.

    Raises:
        AudioError: If it is not audio, holds no such track, or cannot be decoded.
    """
    import soundfile

    seekable = file.seekable()
    if seekable:
        file.seek(0)
    head = _read(file, HEAD_BYTES)
    if not head:
        raise AudioError(f"{name}: empty; audio is wanted: copy or record it again")
    n_tag = tag_bytes(head)
    if n_tag and seekable:
        file = cast(BinaryIO, _Behind(file, n_tag))
        head = _read(file, HEAD_BYTES)
    elif n_tag:
        head = head[n_tag:] or _behind(file, n_tag - len(head))
    unknown = with_unknown_length(head)
    if not seekable and (head[4:8] == b"ftyp" or (is_exact(head) and not is_plain(head))):
        file, seekable = _spooled(file, head, opened), True
    elif not seekable or unknown:
        file, seekable = cast(BinaryIO, _Pipe(unknown or head, file)), False
    else:
        file.seek(0)
    reading = Reading(name, container=container_of(head) or "")
    if seekable and is_exact(head) and track in {None, 1}:
        try:
            return opened.enter_context(contextlib.closing(ExactTrack(file, reading)))
        except soundfile.SoundFileError:
            file.seek(0)
    if seekable and head.startswith(b"OggS"):
        note_chain(file, reading)
        file.seek(0)
    return opened.enter_context(contextlib.closing(_ffmpeg_track(file, reading, head, track)))


def _ffmpeg_track(file: BinaryIO, reading: Reading, head: bytes, track: int | None) -> FfmpegTrack:
    import av

    try:
        return FfmpegTrack(file, reading, head, track)
    except (av.FFmpegError, ValueError) as error:
        what = what_it_is(head, has_index=isinstance(file, _Pipe) or _has_index(file, head))
        raise AudioError(f"{reading.name}: {what}") from error


def _read(file: BinaryIO, n_bytes: int) -> bytes:
    head = b""
    while len(head) < n_bytes and (more := file.read(n_bytes - len(head))):
        head += more
    return head


def _behind(file: BinaryIO, n_bytes: int) -> bytes:
    """Return the first bytes of a pipe behind n_bytes more of a tag."""
    while n_bytes > 0 and (skipped := file.read(min(n_bytes, HEAD_BYTES))):
        n_bytes -= len(skipped)
    return _read(file, HEAD_BYTES)


def _spooled(file: BinaryIO, head: bytes, opened: contextlib.ExitStack) -> BinaryIO:
    spooled = tempfile.SpooledTemporaryFile(SPOOL_IN_MEMORY_BYTES)  # noqa: SIM115
    opened.enter_context(spooled)
    spooled.write(head)
    shutil.copyfileobj(file, spooled)
    spooled.seek(0)
    return cast(BinaryIO, spooled)


def _has_index(file: BinaryIO, head: bytes) -> bool:
    """Return False for an mp4 whose boxes hold no moov."""
    if head[4:8] not in {b"ftyp", b"mdat", b"wide", b"free", b"skip"}:
        return True
    at, end = 0, file.seek(0, io.SEEK_END)
    for _ in range(MOST_BOXES):
        if at >= end:
            return False
        file.seek(at)
        box = file.read(16)
        if len(box) < 8:
            return False
        if box[4:8] in {b"moov", b"moof"}:
            return True
        size = int.from_bytes(box[:4], "big")
        at += int.from_bytes(box[8:], "big") if size == 1 else size
        if size == 0:
            return False
    return True
