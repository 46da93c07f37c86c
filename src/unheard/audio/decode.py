"""Encoded audio to mono blocks at its own rate. Imported by recording and pcm alone.

Two decoders: libsndfile for plain wav and flac (exact, seeks), FFmpeg for everything else and for
what libsndfile cannot finish. FFmpeg is only ever given an opened file, never a path or an
address, and only formats that hold their own audio: a playlist cannot make it open another file.

T samples, C channels.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from unheard.errors import AudioError
from unheard.types import FloatArray

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

__all__ = ["ExactTrack", "FfmpegTrack", "Track", "joined", "mono", "open_track"]

MAX_CHANNELS = 64
MIN_RATE_HZ = 4_000
MAX_RATE_HZ = 384_000

FORMATS = (
    "wav,w64,aiff,flac,mp3,aac,ogg,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,amr,caf,au,nistsphere"
)
"""What FFmpeg may open; none of these may refer to another file or address."""

PROMISING_FORMATS = ("flac", "aiff", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2")
"""Formats whose header FFmpeg asks how long the audio is; for others it guesses by file size."""

# fmt: off
EXACT_CODECS = {
    "PCM_U8": "pcm_u8", "PCM_16": "pcm_s16le", "PCM_24": "pcm_s24le", "PCM_32": "pcm_s32le",
    "FLOAT": "pcm_f32le", "DOUBLE": "pcm_f64le", "ULAW": "pcm_mulaw", "ALAW": "pcm_alaw",
}
# fmt: on
"""Sample formats of wav that libsndfile reads exactly, with FFmpeg's names for them."""

BLOCK_VALUES = 1 << 16
HEAD_BYTES = 4096
SPOOL_IN_MEMORY_BYTES = 16 << 20
UNKNOWN_SIZE_BYTES = 0x7FFF0000
"""A wav whose header says this much was written to a pipe, before its length was known."""

UNKNOWN_FRAMES = 1 << 48

SHORT_BY_S = 0.25
"""Audio may end this much before what its header promises: encoders round to whole frames."""

OGG_GAP_S = 0.1

ABSURD_LEVEL = 16.0
"""Float samples beyond this are another scale, not a loud recording."""


class ExactTrack:
    """Plain wav or flac, decoded by libsndfile; it seeks, so a part costs only that part.

    Where libsndfile gives up on a damaged flac, FFmpeg continues from the same sample.
    """

    def __init__(self, file: BinaryIO, name: str, head: bytes) -> None:
        import soundfile

        self.name = name
        self.n_bad_packets = 0
        self._file, self._head = file, head
        self._sound = soundfile.SoundFile(file)
        self.rate_hz = int(self._sound.samplerate)
        self.n_channels = int(self._sound.channels)
        subtype = self._sound.subtype
        self.codec = "flac" if self._sound.format == "FLAC" else EXACT_CODECS.get(subtype, "")
        if not self.codec:
            raise soundfile.SoundFileError(f"{subtype} is left to FFmpeg")
        _check_layout(name, self.rate_hz, self.n_channels)
        if not 0 < self._sound.frames < UNKNOWN_FRAMES:
            raise soundfile.SoundFileError("a length that is not known is left to FFmpeg")

    def blocks(self, skip: int = 0) -> Iterator[FloatArray]:
        """Yield mono float32 blocks [T] from the sample `skip` on; see `FfmpegTrack.blocks`."""
        import soundfile

        position = min(skip, self._sound.frames)
        n_block = max(1, BLOCK_VALUES // self.n_channels)
        while True:
            try:
                self._sound.seek(position)
                block = self._sound.read(n_block, dtype="float32", always_2d=True)
            except soundfile.SoundFileError:
                break
            if not len(block) and position < self._sound.frames:
                break
            if not len(block):
                _check_complete(self.name, self._sound.frames, self._promised(), self.rate_hz)
                return
            position += len(block)
            yield mono(np.ascontiguousarray(block.T), self.name, self.codec)
        self._file.seek(0)
        rest = _ffmpeg_track(self._file, self.name, self._head)
        yield from rest.blocks(position)
        self.n_bad_packets = max(1, rest.n_bad_packets)

    def _promised(self) -> int:
        """How many frames the header of a wav promises, where libsndfile found fewer."""
        note = re.search(r"^data : (\d+) \(should be (\d+)\)", self._sound.extra_info, re.M)
        if note is None or int(note[1]) >= UNKNOWN_SIZE_BYTES or int(note[2]) == 0:
            return 0
        return int(self._sound.frames * int(note[1]) / int(note[2]))

    def close(self) -> None:
        """Release the decoder; the file stays with who opened it."""
        self._sound.close()


class FfmpegTrack:
    """The best audio track of what FFmpeg can open; bad packets are skipped and counted."""

    def __init__(self, file: BinaryIO, name: str, head: bytes) -> None:
        import av

        self.name = name
        self.n_bad_packets = 0
        self._n_good_packets = 0
        self._end_s = 0.0
        options = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
        self._container = av.open(file, "r", metadata_errors="ignore", options=options)
        stream = self._container.streams.best("audio")
        if stream is None or stream.codec_context is None:
            raise AudioError(
                f"{name}: {self._container.format.long_name} without an audio track that can be "
                "decoded; audio is wanted: export the sound, or choose another file"
            )
        self._stream = cast("av.AudioStream", stream)
        context = self._stream.codec_context
        container = self._container.format.name
        # An mp3 states its length only in the tag that most encoders put into its first frame.
        tagged = container == "mp3" and re.search(rb"Xing|Info", head) is not None
        self._promises = tagged or container in PROMISING_FORMATS
        context.thread_count = 1
        if context.name == "flac":
            # Without this a damaged frame comes out as noise instead of an error.
            context.options = {"err_detect": "crccheck+explode"}
        self.codec = context.codec.canonical_name
        if context.sample_rate:
            _check_layout(name, context.sample_rate, context.channels)
        self._frames = self._decode()
        first = next(self._frames, None)
        if first is None:
            raise AudioError(
                f"{name}: {self.codec} of which nothing can be decoded "
                f"({self.n_bad_packets} bad packets); "
                "copy the file again from where it came from, or convert it to wav"
            )
        self._first: AudioFrame = first
        # The frame knows better than the header: HE-AAC declares half of its rate.
        self.rate_hz, self.n_channels = first.sample_rate, first.layout.nb_channels
        _check_layout(name, self.rate_hz, self.n_channels)

    def blocks(self, skip: int = 0) -> Iterator[FloatArray]:
        """Yield mono float32 blocks [T] at the track's own rate; can be called once.

        Channels are averaged; samples beyond full scale are clipped to [-1, 1].

        Args:
            skip: Samples to skip at the start.

        Raises:
            AudioError: At the end, if the file was cut short; anywhere, if uncompressed samples
                are not finite or on another scale.
        """
        frame: AudioFrame | None = self._first
        while frame is not None:
            if frame.sample_rate != self.rate_hz:
                raise AudioError(
                    f"{self.name}: the rate changes from {self.rate_hz} to {frame.sample_rate} Hz "
                    "on the way; one rate is wanted: convert it to wav"
                )
            channels = _channels(frame)[:, skip:]
            skip = max(0, skip - frame.samples)
            if channels.size:
                try:
                    yield mono(channels, self.name, self.codec)
                except FloatingPointError:
                    self.n_bad_packets += 1
            frame = next(self._frames, None)
        if self.n_bad_packets > self._n_good_packets:
            raise AudioError(
                f"{self.name}: {self.n_bad_packets} bad packets and {self._n_good_packets} good "
                "ones; audio that is mostly whole is wanted: copy the file again"
            )
        n_found, n_promised = int(self._end_s * self.rate_hz), self._n_promised()
        _check_complete(self.name, n_found, n_promised, self.rate_hz)

    def _n_promised(self) -> int:
        """How many samples the header promises, 0 if it does not say."""
        container, stream = self._container, self._stream
        if not self._promises:
            return 0
        if stream.duration and stream.time_base:
            return int(stream.duration * stream.time_base * self.rate_hz)
        # Without a length of its own, a track has its file's, if it is alone there.
        alone = len(container.streams) == 1
        return int((container.duration or 0) * self.rate_hz / 1_000_000) if alone else 0

    def _decode(self) -> Iterator[AudioFrame]:
        import av

        ogg = self._container.format.name == "ogg"
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                self.n_bad_packets += 1
                return
            if packet is None:
                return
            if packet.pts is not None and packet.time_base is not None:
                start_s = float(packet.pts * packet.time_base)
                # FFmpeg leaves out damaged ogg pages without a word; only the clock shows it.
                if ogg and self._end_s and start_s > self._end_s + OGG_GAP_S:
                    self.n_bad_packets += 1
                end_s = start_s + float((packet.duration or 0) * packet.time_base)
                self._end_s = max(self._end_s, end_s)
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.n_bad_packets += 1
                continue
            self._n_good_packets += 1
            yield from frames

    def close(self) -> None:
        """Release the decoder; the file stays with who opened it."""
        self._container.close()


Track = ExactTrack | FfmpegTrack


def joined(blocks: Iterator[FloatArray], n_block: int) -> Iterator[FloatArray]:
    """Join small blocks until each holds at least n_block samples: calls cost more than samples."""
    waiting: list[FloatArray] = []
    for block in blocks:
        waiting.append(block)
        if sum(map(len, waiting)) >= n_block:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


class _Pipe:
    """A source that cannot go back, with the bytes that were looked at put in front again."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head, self._file = head, file

    def read(self, n: int = -1) -> bytes:
        if not self._head:
            return self._file.read(n)
        taken, self._head = (self._head, b"") if n < 0 else (self._head[:n], self._head[n:])
        return taken


def open_track(file: BinaryIO, name: str, opened: contextlib.ExitStack) -> Track:
    """Open encoded audio.

    Args:
        file: The encoded bytes, from the beginning if it can seek. It need not, but an mp4 through
            a pipe is first copied to a temporary file, because its index may stand at the end.
        name: What to call it in messages.
        opened: Closes what is opened here, the track and a temporary file.

    Raises:
        AudioError: If it is not audio, holds no audio track, or cannot be decoded.
    """
    import soundfile

    seekable = file.seekable()
    if seekable:
        file.seek(0)
    head = _head(file)
    if not head:
        raise AudioError(f"{name}: empty; audio is wanted: copy or record it again")
    if seekable:
        file.seek(0)
    elif head[4:8] == b"ftyp":
        spooled = tempfile.SpooledTemporaryFile(SPOOL_IN_MEMORY_BYTES)  # noqa: SIM115
        opened.enter_context(spooled)
        spooled.write(head)
        shutil.copyfileobj(file, spooled)
        spooled.seek(0)
        file = cast(BinaryIO, spooled)
    else:
        file = cast(BinaryIO, _Pipe(head, file))
    if seekable and head[:4] in {b"fLaC", b"RIFF", b"RF64"}:
        try:
            return opened.enter_context(contextlib.closing(ExactTrack(file, name, head)))
        except soundfile.SoundFileError:
            file.seek(0)
    return opened.enter_context(contextlib.closing(_ffmpeg_track(file, name, head)))


def _ffmpeg_track(file: BinaryIO, name: str, head: bytes) -> FfmpegTrack:
    import av

    try:
        return FfmpegTrack(file, name, head)
    except (av.FFmpegError, ValueError) as error:
        raise AudioError(f"{name}: {_what_it_is(head)}") from error


def _head(file: BinaryIO) -> bytes:
    head = b""
    while len(head) < HEAD_BYTES and (more := file.read(HEAD_BYTES - len(head))):
        head += more
    return head


def _what_it_is(head: bytes) -> str:
    """Say what a file is that FFmpeg refused, what was wanted, and what to do."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the audio itself; fetch the audio with: git lfs pull"
    if start.startswith((b"#extm3u", b"ffconcat", b"[playlist]", b"<asx", b"file '")):
        return "a playlist, which is never followed; give the audio files themselves"
    if start.startswith((b"<!doctype", b"<html")):
        return "a web page, not audio; download the recording itself"
    if not re.search(rb"[^\t\r\n\x20-\x7e\x80-\xff]", head):
        return "text, not audio; give a recording (wav, flac, mp3, m4a, ogg, opus, webm, mp4)"
    return (
        "not audio of a known format, or cut off before its audio begins; "
        "convert it to wav or flac, and give headerless samples a wav header"
    )


def _check_layout(name: str, rate_hz: int, n_channels: int) -> None:
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(
            f"{name}: sampled at {rate_hz} Hz; {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz is wanted: "
            "check its header, or convert it to 16 kHz wav"
        )
    if not 1 <= n_channels <= MAX_CHANNELS:
        raise AudioError(
            f"{name}: {n_channels} channels; 1 to {MAX_CHANNELS} are wanted: "
            "check its header, or export the channels that hold speech"
        )


def _check_complete(name: str, n_found: int, n_promised: int, rate_hz: int) -> None:
    if n_found < n_promised - max(SHORT_BY_S, 0.01 * n_promised / rate_hz) * rate_hz:
        raise AudioError(
            f"{name}: cut off after {n_found / rate_hz:.2f} s of the {n_promised / rate_hz:.2f} s "
            "that its header promises; copy the file again, or export what is left of it as wav"
        )


def _channels(frame: AudioFrame) -> FloatArray:
    """Return the samples of a frame as float32 [C, T] on the scale [-1, 1]."""
    values: np.ndarray[Any, Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        values = np.ascontiguousarray(values.reshape(frame.samples, -1).T)
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - 128) / 128
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.float32) / np.float32(1 << (8 * values.itemsize - 1))
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def mono(channels: FloatArray, name: str, codec: str) -> FloatArray:
    """Average float32 [C, T] to [T]; raise FloatingPointError for a lossy frame beyond use."""
    uncompressed = codec.startswith("pcm_")
    if not np.isfinite(channels).all():
        if not uncompressed:
            raise FloatingPointError
        raise AudioError(
            f"{name}: holds samples that are not numbers (NaN or infinite); "
            "finite samples are wanted: export it again as 16-bit wav or flac"
        )
    peak = max(float(channels.max()), -float(channels.min()))
    if uncompressed and peak > ABSURD_LEVEL:
        raise AudioError(
            f"{name}: float samples reach {peak:.3g}; full scale is 1: "
            "divide them by their full scale (32768 for 16-bit values) and save again"
        )
    mono: FloatArray = np.clip(channels, -1, 1).mean(axis=0, dtype=np.float32)
    return mono
