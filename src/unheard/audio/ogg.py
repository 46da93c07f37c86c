"""The parts that an Ogg file is chained of, read from its page headers."""

from __future__ import annotations

from typing import BinaryIO

from unheard.audio.track import Reading

__all__ = ["note_chain"]

_HEADER_BYTES = 27
_FIRST, _LAST = 2, 4  # flags of a stream's first and last page
_MOST_PAGES = 2_000_000
_OPUS_HZ = 48_000
_NO_TIME = (1 << 64) - 1


def note_chain(file: BinaryIO, reading: Reading) -> None:
    """Count the parts of an Ogg file that are not read, and note an end without its mark.

    A later part with another codec or rate than the first is not read. The file may seek; where
    a page is damaged, nothing more is known.
    """
    parts: list[tuple[bytes, int, list[int]]] = []  # codec, rate, time stamps
    serial, flags, at = -1, _LAST, 0
    for _ in range(_MOST_PAGES):
        file.seek(at)
        header = file.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES or header[:4] != b"OggS":
            break
        flags = header[5]
        n_body = sum(file.read(header[26]))
        at = file.tell() + n_body
        if flags & _FIRST:
            codec, rate_hz = _coding(file.read(min(n_body, 64)))
            if rate_hz:
                serial = int.from_bytes(header[14:18], "little")
                parts.append((codec, rate_hz, []))
        time_stamp = int.from_bytes(header[6:14], "little")
        if parts and time_stamp != _NO_TIME and header[14:18] == serial.to_bytes(4, "little"):
            parts[-1][2].append(time_stamp)
    for codec, rate_hz, time_stamps in parts[1:]:
        if (codec, rate_hz) != parts[0][:2]:
            reason = "they are a later part of the file, with another codec or rate"
            reading.add(reading.lost_s, reason, (time_stamps or [0])[-1] / rate_hz)
    if parts and not flags & _LAST:
        reading.remarks.append("its last page has no end mark: it may be cut off there")


def _coding(head: bytes) -> tuple[bytes, int]:
    """Return codec and rate by a stream's first packet; rate 0 if it is no sound."""
    if head.startswith(b"OpusHead"):
        return b"opus", _OPUS_HZ
    if head.startswith(b"\x01vorbis"):
        return b"vorbis", int.from_bytes(head[12:16], "little")
    if head.startswith(b"Speex   "):
        return b"speex", int.from_bytes(head[36:40], "little")
    if head.startswith(b"\x7fFLAC"):
        return b"flac", int.from_bytes(head[27:30], "big") >> 4
    return b"", 0
