"""Which file a recording is, by its first bytes: who decodes it, and what a refusal calls it."""

from __future__ import annotations

import io
import re
from typing import BinaryIO

__all__ = [
    "FORMATS",
    "PROMISING_FORMATS",
    "Kept",
    "container_of",
    "is_exact",
    "is_plain",
    "looks_like_audio",
    "mp3_samples",
    "tag_bytes",
    "what_it_is",
    "with_unknown_length",
]

FORMATS = (
    "wav,w64,aiff,flac,mp3,aac,ogg,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,amr,amrnb,amrwb,caf,"
    "au,nistsphere,avi,mpegts,mpeg,flv,ac3,eac3,wv,voc"
)
"""What FFmpeg may open; none of these may refer to another file or address."""

PROMISING_FORMATS = ("flac", "aiff", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2")
"""Formats whose header FFmpeg asks how long the audio is; for others it guesses by file size."""

_EXACT = {"wav", "flac", "aiff", "caf", "au", "nist sphere", "voc"}
"""What libsndfile decodes, where FFmpeg takes some codings or byte orders for others."""

_PLAIN_WAV = (1, 3, 6, 7, 0xFFFE)
"""Codings of wav that FFmpeg reads as libsndfile does: linear, float, A-law, mu-law, extensible."""

_CONTAINERS = (
    ("wav", re.compile(rb"RIF[FX]....WAVE|RF64....WAVE|riff\x2e\x91\xcf\x11", re.S)),
    ("avi", re.compile(rb"RIFF....AVI ", re.S)),
    ("flac", re.compile(rb"fLaC")),
    ("aiff", re.compile(rb"FORM....AIF[FC]", re.S)),
    ("caf", re.compile(rb"caff")),
    ("au", re.compile(rb"\.snd|dns\.")),
    ("ogg", re.compile(rb"OggS")),
    ("mp3", re.compile(rb"ID3[\x02-\x04]")),
    ("mp4", re.compile(rb"....(ftyp|moov|mdat|wide|free)", re.S)),
    ("webm or mkv", re.compile(rb"\x1a\x45\xdf\xa3")),
    ("amr", re.compile(rb"#!AMR")),
    ("wma", re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11")),
    ("nist sphere", re.compile(rb"NIST_1A")),
    ("voc", re.compile(rb"Creative Voice File")),
    ("wavpack", re.compile(rb"wvpk")),
    ("flv", re.compile(rb"FLV\x01")),
)

_HEADLESS = re.compile(
    rb"\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd][\x10-\xef]"  # a frame of mp2 or mp3
    rb"|\xff[\xf0\xf1\xf8\xf9][\x00-\xbf]"  # of aac
    rb"|\x0b\x77"  # of ac3 or eac3
    rb"|\x47.{187}\x47.{187}\x47"  # packets of mpeg-ts
    rb"|\x00\x00\x01\xba",  # a pack of mpeg
    re.S,
)

_PIECES_OF_WEBM = (b"\x1f\x43\xb6\x75", b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b")
"""A cluster, information or tracks of matroska."""


def is_exact(head: bytes) -> bool:
    """Return whether libsndfile is to decode a file that begins with these bytes."""
    return container_of(head) in _EXACT


def is_plain(head: bytes) -> bool:
    """Return whether FFmpeg gives the same samples, so that a pipe need not be kept first."""
    if head.startswith(b"fLaC"):
        return True
    at = head.find(b"fmt ", 12)
    little = head[:4] in {b"RIFF", b"RF64"} and at > 0
    return little and int.from_bytes(head[at + 8 : at + 10], "little") in _PLAIN_WAV


def with_unknown_length(head: bytes) -> bytes:
    """Return the first bytes of an RF64 that states no length, as a wav that is read to its end.

    Empty for any other file.
    """
    at = head.find(b"ds64", 12)
    if head[:4] != b"RF64" or at < 0 or head[at + 16 : at + 24] != bytes(8):
        return b""
    return b"RIFF" + head[4:at] + b"JUNK" + head[at + 4 :]


def container_of(head: bytes) -> str | None:
    """Return the name of the format that bytes begin like, or None."""
    return next((name for name, pattern in _CONTAINERS if pattern.match(head)), None)


def looks_like_audio(head: bytes) -> bool:
    """Return whether bytes begin like a recording of any format, one without a magic word too."""
    return container_of(head) is not None or _HEADLESS.match(head) is not None


def tag_bytes(head: bytes) -> int:
    """Return the size of the ID3 tag that a file begins with, 0 if there is none."""
    if not head.startswith(b"ID3") or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if head[5] & 0x10 else 0)


def mp3_samples(head: bytes) -> int:
    """Return how many samples the first frame of an mp3 promises; 0 if it says nothing.

    Only a Xing, Info or VBRI frame counts them. A length by size and first bit rate is a guess,
    and wrong for files that were joined.

    Args:
        head: Its first bytes, without an ID3 tag.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    n_frame = 1152 if head[1] >> 3 & 3 == 3 else 576
    tag = re.search(rb"(?:Xing|Info)(...[\x01-\x0f])(....)|VBRI.{10}(....)", head[4:200], re.S)
    if tag is None or (tag[1] and not tag[1][3] & 1):
        return 0
    return n_frame * int.from_bytes(tag[2] or tag[3], "big")


def what_it_is(head: bytes, *, has_index: bool = True) -> str:
    """Say what a file is that was refused, what was wanted, and what to do.

    Args:
        head: Its first bytes.
        has_index: False for an mp4 in which no index was met.
    """
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the audio itself; fetch the audio with: git lfs pull"
    if text.startswith((b"#extm3u", b"ffconcat", b"[playlist]", b"<asx", b"file '")):
        return "a playlist, which is never followed; give the audio files themselves"
    if text.startswith((b"<!doctype", b"<html")):
        return "a web page, not audio; download the recording itself"
    if not has_index:
        return (
            "an mp4 without its index (moov), as a recording that was not finished leaves it; "
            "let its recorder finish it, or repair it there"
        )
    if head.startswith(_PIECES_OF_WEBM):
        return (
            "a piece of a webm or mkv without its beginning, which says how it is coded; "
            "join the pieces from the first on, and give the whole"
        )
    known = container_of(head) or _known_to_libsndfile(head)
    if known is not None:
        return (
            f"{known}, of which nothing can be read here, or cut off before its audio begins; "
            "copy the file again, or convert it to wav or flac"
        )
    if not re.search(rb"[^\t\r\n\x20-\x7e\x80-\xff]", head):
        return "text, not audio; give a recording (wav, flac, mp3, m4a, ogg, opus, webm, mp4)"
    return (
        "not audio of a known format, or cut off before its audio begins; "
        "convert it to wav or flac, and give headerless samples a wav header"
    )


class Kept:
    """A file that stays where it is when a damaged header asks for a place before its beginning.

    A decoder that calls back into Python is told so by the place; an exception would be printed.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read, self.tell = file.read, file.tell

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, if there is one; return where it is then."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return self._file.tell()


def _known_to_libsndfile(head: bytes) -> str | None:
    """Return libsndfile's name of a rare format that is not read, or None."""
    import soundfile

    try:
        return str(soundfile.info(Kept(io.BytesIO(head))).format_info)
    except (soundfile.SoundFileError, TypeError):
        return None
