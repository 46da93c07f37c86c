"""Recordings in, mono float32 at 16 kHz out, and files of it.

The only place, next to decode and codecs, that decodes or resamples: one resampler (soxr
HQ) everywhere, so a file, a stream and a training clip of one recording have the same samples.

T samples.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from unheard.audio.channels import Mixer
from unheard.audio.decode import Track, open_track
from unheard.audio.track import Encoding, Origin
from unheard.errors import AudioError
from unheard.files import NotRegular, Opened, in_one_step, open_regular
from unheard.types import FloatArray

if TYPE_CHECKING:
    from soxr import ResampleStream

__all__ = [
    "AUDIO_SUFFIXES",
    "LONGEST_READ_S",
    "SAMPLE_RATE_HZ",
    "AudioStream",
    "Source",
    "Waveform",
    "open_stream",
    "read",
    "resample",
    "resampler",
    "write",
]

SAMPLE_RATE_HZ = 16_000

Source = Path | str | bytes | BinaryIO
"""A path (also as text), encoded audio in memory, or an opened file or pipe of encoded audio."""

# fmt: off
AUDIO_SUFFIXES = frozenset({
    ".wav", ".w64", ".rf64", ".flac", ".mp3", ".mp2", ".mpga", ".m4a", ".aac", ".ac3", ".eac3",
    ".ogg", ".oga", ".opus", ".spx", ".webm", ".weba", ".mka", ".mkv", ".mp4", ".m4v", ".mov",
    ".avi", ".flv", ".ts", ".mpg", ".mpeg", ".3gp", ".3g2", ".amr", ".awb", ".wma", ".wv", ".caf",
    ".aif", ".aiff", ".aifc", ".au", ".snd", ".voc", ".sph", ".nist",
})
# fmt: on
"""File names that a folder scan takes for recordings; content decides when they are read."""

LONGEST_READ_S = 4 * 3600.0
"""What `read` will hold in memory: 0.9 GB of samples. `open_stream` has no such limit."""

BLOCK_S = 0.5
LEAD_S = 0.05
"""Audio before a part that the resampler is warmed up with; longer than its filter."""


@dataclass(frozen=True, eq=False)
class Waveform:
    """A recording, or a part of one, ready to be scored.

    Attributes:
        samples: Shape [T] float32, mono, 16 kHz, in [-1, 1].
        source: Path or name, for messages.
        source_rate_hz: Rate that it was recorded with.
        n_channels: Channels that it has.
        codec: FFmpeg's name of its coding, such as "pcm_s16le", "mp3", "opus".
        n_bad_packets: Damaged packets that were skipped.
        notes: What else reading it showed, as sentences.
    """

    samples: FloatArray
    source: str
    source_rate_hz: int
    n_channels: int
    codec: str
    n_bad_packets: int = 0
    notes: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ


class AudioStream:
    """A recording as float32 chunks [n] at 16 kHz, one after another, in constant memory.

    A context manager and an iterator that runs once. Its chunks joined are the samples that
    `read` gives, to the bit, however the source arrives. Made by `open_stream`.

    Attributes:
        name: Path or name, for messages.
        source_rate_hz: Rate that it was recorded with.
        n_channels: Channels that it has.
        n_tracks: Audio tracks that it has.
        codec: FFmpeg's name of its coding.
    """

    def __init__(
        self,
        source: Source,
        *,
        name: str = "",
        start_s: float = 0.0,
        channel: str | int = "mix",
        track: int | None = None,
    ) -> None:
        if not (math.isfinite(start_s) and start_s >= 0):
            raise AudioError(f"start_s is {start_s}; seconds from the beginning, 0 or more")
        self.name = name or _name(source)
        file = _open(source, self.name)
        self._file = file if isinstance(file, Opened) else None
        with _reading_errors(self.name, self._file), contextlib.ExitStack() as opened:
            if not hasattr(source, "read"):
                opened.callback(file.close)
            self._track: Track = open_track(file, self.name, opened, track)
            self._mixer = Mixer(channel, self._track.n_channels, self._track.rate_hz, self.name)
            self._opened = opened.pop_all()
        self.source_rate_hz = self._track.rate_hz
        self.n_channels = self._track.n_channels
        self.n_tracks = self._track.n_tracks
        self.codec = self._track.reading.codec
        self._chunks = self._convert(round(start_s * SAMPLE_RATE_HZ))

    @property
    def encoding(self) -> Encoding:
        """How it is kept in its file."""
        reading = self._track.reading
        layout = self.source_rate_hz, self.n_channels, self.n_tracks
        return Encoding(reading.container, reading.codec, *layout)

    @property
    def n_bad_packets(self) -> int:
        """Damaged packets that were skipped so far."""
        return self._track.reading.n_bad_packets

    @property
    def origin(self) -> Origin:
        """What is known of the recording until now, for the warnings of a verdict."""
        reading = self._track.reading
        notes = (*reading.notes(), *self._mixer.notes())
        return Origin(self.source_rate_hz, reading.is_cut_off(), notes)

    def __iter__(self) -> Iterator[FloatArray]:
        return self._chunks

    def __enter__(self) -> AudioStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the decoder, and the file if it was opened here."""
        self._opened.close()

    def _convert(self, start: int) -> Iterator[FloatArray]:
        """Yield chunks from sample `start` of the 16 kHz signal on.

        A part starts where input and output samples coincide, with a lead for the filter, so its
        samples are those of the whole recording to rounding error.
        """
        rate_hz = self.source_rate_hz
        common = math.gcd(rate_hz, SAMPLE_RATE_HZ)
        n_in, n_out = rate_hz // common, SAMPLE_RATE_HZ // common
        steps = max(0, start // n_out - math.ceil(LEAD_S * SAMPLE_RATE_HZ / n_out))
        drop = start - steps * n_out
        blocks = gathered(self._track.blocks(steps * n_in), int(BLOCK_S * rate_hz))
        with _reading_errors(self.name, self._file):
            for chunk in _resampled(self._mixed(blocks), rate_hz, SAMPLE_RATE_HZ):
                kept = np.clip(chunk[drop:], -1, 1)
                drop = max(0, drop - len(chunk))
                if len(kept):
                    yield kept

    def _mixed(self, blocks: Iterator[FloatArray]) -> Iterator[FloatArray]:
        for block in blocks:
            yield self._mixer.push(block)
        yield self._mixer.close()


def open_stream(
    source: Source, *, name: str = "", channel: str | int = "mix", track: int | None = None
) -> AudioStream:
    """Open a recording of any length, to be read chunk by chunk.

    Args:
        source: Path, bytes, or an opened file or pipe; what is opened by the caller stays open.
        name: What to call it in messages; the path if empty.
        channel: "mix", "left", "right", or a number from 1; see `unheard.audio.channels`.
        track: Which of its audio tracks, from 1; None for its default.

    Returns:
        A context manager and iterator of float32 chunks [n], half a second each, at 16 kHz.

    Raises:
        AudioError: If it is missing, unreadable, not audio, or without an audio track; and while
            iterating, if it turns out to be cut off or to hold samples that are not numbers.
    """
    return AudioStream(source, name=name, channel=channel, track=track)


def read(
    source: Source,
    *,
    start_s: float = 0.0,
    length_s: float | None = None,
    minimum_s: float = 0.2,
    name: str = "",
    channel: str | int = "mix",
) -> Waveform:
    """Read a recording, or a part of it, into memory.

    Of wav and flac only the part is decoded; of other formats everything before its end.
    Samples beyond full scale are clipped to [-1, 1], NaN is refused.

    Args:
        source: Path, bytes, or an opened file or pipe.
        start_s: Where the part begins, seconds.
        length_s: How long it is at most, seconds; None for all that is left.
        minimum_s: What is shorter is refused, seconds.
        name: What to call it in messages; the path if empty.
        channel: "mix", "left", "right", or a number from 1; see `unheard.audio.channels`.

    Raises:
        AudioError: If it is missing, unreadable, not audio, damaged beyond use, too short, or
            longer than `LONGEST_READ_S`.
    """
    if length_s is not None and not length_s > 0:
        raise AudioError(f"length_s is {length_s}; more than 0 s is wanted, or None for all")
    wanted = math.inf if length_s is None else round(length_s * SAMPLE_RATE_HZ)
    limit = round(LONGEST_READ_S * SAMPLE_RATE_HZ)
    gathered = bytearray()
    n_samples = 0
    with AudioStream(source, name=name, start_s=start_s, channel=channel) as stream:
        for chunk in stream:
            kept = chunk[: int(min(len(chunk), wanted - n_samples))]
            gathered += np.ascontiguousarray(kept, np.float32).data
            n_samples += len(kept)
            if n_samples > limit:
                raise AudioError(
                    f"{stream.name}: longer than {LONGEST_READ_S / 3600:g} hours, the most that is "
                    "read at once; read parts with start_s and length_s, or use open_stream"
                )
            if n_samples >= wanted:
                break
    duration_s = n_samples / SAMPLE_RATE_HZ
    if n_samples == 0 or duration_s < minimum_s:
        after = f" after {start_s:g} s" if start_s else ""
        raise AudioError(
            f"{stream.name}: {duration_s:.2f} s of audio{after}, at least {minimum_s:g} s needed; "
            "pass a smaller minimum_s to accept less"
        )
    return Waveform(
        samples=np.frombuffer(gathered, np.float32),
        source=stream.name,
        source_rate_hz=stream.source_rate_hz,
        n_channels=stream.n_channels,
        codec=stream.codec,
        n_bad_packets=stream.n_bad_packets,
        notes=stream.origin.notes,
    )


def resample(samples: FloatArray, from_hz: int, to_hz: int = SAMPLE_RATE_HZ) -> FloatArray:
    """Return samples [T] at another rate, shape [round(T * to_hz / from_hz)] float32."""
    return np.concatenate([*_resampled(iter([np.asarray(samples, np.float32)]), from_hz, to_hz)])


def resampler(from_hz: int, to_hz: int = SAMPLE_RATE_HZ) -> ResampleStream:
    """Return the one resampler of all; its output is the same, to the bit, for any chunking."""
    import soxr

    return soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")


def write(path: Path, samples: FloatArray) -> None:
    """Write 16 kHz mono audio with 16 bits, FLAC or WAV by suffix, in one step.

    A sample x is stored as round(32768 x), clipped: what `read` gives back of a file written here
    is what was stored, to the bit. A reader sees the old file or the whole new one.

    Args:
        path: Where to; ends in .flac or .wav. Its folder is made if missing.
        samples: Shape [T], T at least 1, in [-1, 1].

    Raises:
        AudioError: If the suffix is another one, or the samples are empty, not finite or not [T].
    """
    import soundfile

    kind = {".flac": "FLAC", ".wav": "WAV"}.get(path.suffix.lower())
    if kind is None:
        raise AudioError(f"{path}: written as FLAC or WAV; let the name end in .flac or .wav")
    if samples.ndim != 1 or samples.size == 0 or not np.isfinite(samples).all():
        raise AudioError(
            f"{path}: samples of shape {samples.shape}, all finite: {np.isfinite(samples).all()}; "
            "a non-empty one-dimensional array of finite numbers is wanted: check what made them"
        )
    levels = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    encoded = io.BytesIO()  # libsndfile would not say that a disk is full
    soundfile.write(encoded, levels, SAMPLE_RATE_HZ, format=kind, subtype="PCM_16")
    with in_one_step(path) as unfinished:
        unfinished.write_bytes(encoded.getvalue())


@contextlib.contextmanager
def _reading_errors(name: str, file: Opened | None = None) -> Iterator[None]:
    """Raise an AudioError for a disk or a pipe that fails, as for any other bad recording."""
    try:
        yield
        if file is not None and file.failure is not None:
            raise file.failure
    except (OSError, AudioError) as error:
        failure = file.failure if file is not None else None
        if failure is None and isinstance(error, AudioError):
            raise
        why = failure or error
        raise AudioError(f"{name}: cannot be read ({why}); check where it comes from") from error


def _name(source: Source) -> str:
    if isinstance(source, bytes):
        return f"{len(source)} bytes"
    return str(source if isinstance(source, Path | str) else getattr(source, "name", "stream"))


def _open(source: Source, name: str) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if not isinstance(source, Path | str):
        return source
    try:
        return open_regular(source, quiet=True)
    except NotRegular as error:
        raise AudioError(
            f"{name}: {error}, not a file, so it was not opened; pipe what it gives into "
            "`unheard score -`, or save it first"
        ) from error
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise AudioError(f"{name}: no such file; check the path") from error
    except IsADirectoryError as error:
        raise AudioError(f"{name}: a folder; name the recordings in it") from error
    except PermissionError as error:
        raise AudioError(f"{name}: not permitted to read it; change its permissions") from error
    except OSError as error:
        raise AudioError(f"{name}: cannot be read ({error}); check where it comes from") from error


def gathered(chunks: Iterable[FloatArray], n_samples: int) -> Iterator[FloatArray]:
    """Join chunks along their last axis until each holds at least n_samples, but for the last.

    Decoders give small ones, and calls cost more than samples.
    """
    waiting: list[FloatArray] = []
    n_waiting = 0
    for chunk in chunks:
        waiting.append(chunk)
        n_waiting += chunk.shape[-1]
        if n_waiting >= n_samples:
            yield np.concatenate(waiting, axis=-1)
            waiting, n_waiting = [], 0
    if waiting:
        yield np.concatenate(waiting, axis=-1)


def _resampled(blocks: Iterator[FloatArray], from_hz: int, to_hz: int) -> Iterator[FloatArray]:
    stream = resampler(from_hz, to_hz) if from_hz != to_hz else None
    for block in blocks:
        yield block if stream is None else stream.resample_chunk(block)
    if stream is not None:
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
