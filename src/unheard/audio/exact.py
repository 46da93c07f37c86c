"""Recordings that libsndfile decodes, exactly and from any place on.

T samples, C channels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from unheard.audio.containers import Kept
from unheard.audio.ffmpeg import FfmpegTrack
from unheard.audio.track import Reading, check_complete, check_layout
from unheard.errors import AudioError
from unheard.types import FloatArray

__all__ = ["ExactTrack"]

# fmt: off
_CODECS = {
    "PCM_S8": "pcm_s8", "PCM_U8": "pcm_u8", "PCM_16": "pcm_s16", "PCM_24": "pcm_s24",
    "PCM_32": "pcm_s32", "FLOAT": "pcm_f32", "DOUBLE": "pcm_f64", "ULAW": "pcm_mulaw",
    "ALAW": "pcm_alaw",
}
# fmt: on
"""FFmpeg's names of libsndfile's codings, without their byte order."""

_BLOCK_VALUES = 1 << 16
_UNKNOWN_BYTES = 0x7FFF0000
"""A wav whose header says this much was written to a pipe, before its length was known."""

_UNKNOWN_FRAMES = 1 << 48
_FORM_BYTES = 12


class ExactTrack:
    """The one track of a file that libsndfile opens; it seeks, so a part costs only that part.

    Where libsndfile gives up on a damaged flac, FFmpeg continues from the same sample.
    """

    n_tracks = 1

    def __init__(self, file: BinaryIO, reading: Reading) -> None:
        import soundfile

        self.reading = reading
        self._file = file
        self._sound = soundfile.SoundFile(Kept(file))
        self.rate_hz = int(self._sound.samplerate)
        self.n_channels = int(self._sound.channels)
        reading.codec = self._codec()
        check_layout(reading.name, self.rate_hz, self.n_channels)
        if not 0 < self._sound.frames < _UNKNOWN_FRAMES or not self._has_length():
            raise soundfile.SoundFileError("a length that is not known is left to FFmpeg")

    def blocks(self, skip: int = 0) -> Iterator[FloatArray]:
        """Yield float32 blocks [C, T] from the sample `skip` on; see `FfmpegTrack.blocks`."""
        import soundfile

        n_block = max(1, _BLOCK_VALUES // self.n_channels)
        position = n_skipped = 0
        if skip and self._sound.seekable():
            position = n_skipped = self._sound.seek(min(skip, self._sound.frames))
        while position < self._sound.frames:
            try:
                block = self._sound.read(n_block, dtype="float32", always_2d=True)
            except soundfile.SoundFileError:
                break
            if not len(block):
                break
            position += len(block)
            kept = block[max(0, skip - n_skipped) :]
            n_skipped += len(block) - len(kept)
            if len(kept):
                yield self.reading.usable(np.ascontiguousarray(kept.T))
        if position < self._sound.frames and self.reading.codec == "flac":
            yield from self._rest(max(skip, position))
            return
        n_promised = max(self._n_promised(), self._sound.frames)
        check_complete(self.reading.name, position, n_promised, self.rate_hz)
        self._count_behind()

    def _rest(self, position: int) -> Iterator[FloatArray]:
        """Yield what FFmpeg makes of a flac from a sample on; it finds the next whole frame."""
        import av

        self._file.seek(0)
        n_before = self.reading.n_bad_packets
        damaged = AudioError(
            f"{self.reading.name}: damaged from {position / self.rate_hz:.2f} s on; "
            "copy the file again, or convert it to wav"
        )
        try:
            track = FfmpegTrack(self._file, self.reading)
            if (track.rate_hz, track.n_channels) != (self.rate_hz, self.n_channels):
                raise damaged  # The header is what is damaged: its frames say something else.
            yield from track.blocks(position)
        except av.FFmpegError as error:
            raise damaged from error
        self.reading.n_bad_packets = max(n_before + 1, self.reading.n_bad_packets)

    def _codec(self) -> str:
        subtype, kind = self._sound.subtype, self._sound.format
        if kind == "FLAC":
            return "flac"
        codec = _CODECS.get(subtype, f"{subtype.lower()}")
        if codec[-1].isdigit() and not codec.endswith("8"):
            big = self._sound.endian == "BIG" or (
                self._sound.endian == "FILE" and kind in {"AIFF", "AU", "CAF"}
            )
            return f"{codec}{'be' if big else 'le'}" if codec.startswith("pcm_") else codec
        return codec

    def _has_length(self) -> bool:
        """Return whether a wav says how long it is: what was written to a pipe may say 0."""
        return re.search(r"^data : 0\b", self._sound.extra_info, re.M) is None

    def _n_promised(self) -> int:
        """How many frames the header promises, where libsndfile met fewer."""
        text, frames = self._sound.extra_info, self._sound.frames
        if counted := re.search(r"does not match value from 'ds64' chunk of (\d+)", text):
            return int(counted[1])
        note = re.search(r"^ *(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", text, re.M)
        note = note or re.search(r"^riff : (\d+) \(should be (\d+)\)", text, re.M)
        if note is None or int(note[1]) >= _UNKNOWN_BYTES or int(note[2]) == 0:
            return 0
        return int(frames * int(note[1]) / int(note[2]))

    def _count_behind(self) -> None:
        """Count the sound of a wav that lies behind what its header counts."""
        self._file.seek(0)
        form = self._file.read(_FORM_BYTES)
        if form[:4] not in {b"RIFF", b"RIFX"}:
            return
        order = "little" if form[:4] == b"RIFF" else "big"
        end, at, n_data = self._file.seek(0, 2), _FORM_BYTES, 0
        while at + 8 <= end:
            self._file.seek(at)
            chunk = self._file.read(8)
            n_bytes = int.from_bytes(chunk[4:], order)  # type: ignore[arg-type]
            if not re.match(rb"[\w ]{4}", chunk) or at + 8 + n_bytes > end + 1:
                break
            n_data = n_bytes if chunk[:4] == b"data" else n_data
            at += 8 + n_bytes + n_bytes % 2
        if n_data:
            rest_s = (end - at) / n_data * self._sound.frames / self.rate_hz
            reason = "they lie behind the length that its header states"
            self.reading.add(self.reading.lost_s, reason, max(0.0, rest_s))

    def close(self) -> None:
        """Release the decoder; the file stays with who opened it."""
        self._sound.close()
