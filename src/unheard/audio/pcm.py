"""Headerless samples as they come: bytes in, mono float32 at 16 kHz out, at once.

What a call, a sound card or a browser sends has no header and no end. Its samples are those that
`unheard.audio` reads from a wav file of the same bytes, to the bit, for any chunking.

C channels, T samples.
"""

from __future__ import annotations

import io

import numpy as np

from unheard.audio import recording as audio
from unheard.audio.channels import Mixer
from unheard.audio.containers import container_of
from unheard.audio.track import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, Origin, Reading
from unheard.errors import AudioError, suggestion
from unheard.types import FloatArray

__all__ = ["PCM_FORMATS", "PcmReader"]

PCM_FORMATS = {
    "s16le": ("PCM_16", 2),
    "s24le": ("PCM_24", 3),
    "s32le": ("PCM_32", 4),
    "f32le": ("FLOAT", 4),
    "s16be": ("PCM_16", 2),
    "s24be": ("PCM_24", 3),
    "s32be": ("PCM_32", 4),
    "f32be": ("FLOAT", 4),
    "u8": ("PCM_U8", 1),
    "mulaw": ("ULAW", 1),
    "alaw": ("ALAW", 1),
}
"""How a sample is written, by FFmpeg's name without "pcm_": libsndfile's name, bytes a sample."""

_NAME = "raw samples"
_HEAD_BYTES = 12
_FEWEST_SAMPLES = 4_000
_NOISE = 0.5
"""Half the power of differences over that of samples: 1 in white noise, 0.1 and less in speech."""

_FAR_BETTER = 0.2


class PcmReader:
    """Turns bytes of interleaved samples into what a `Scorer` is fed with.

    Holds less than one sample of each channel, and what the resampler needs.

    Attributes:
        rate_hz: Rate of the samples that come, for `unheard.scoring.scorer.Stream.close`.
    """

    def __init__(
        self,
        kind: str = "s16le",
        rate_hz: int = 16_000,
        n_channels: int = 1,
        channel: str | int = "mix",
    ) -> None:
        """Say what will come.

        Args:
            kind: One of `PCM_FORMATS`.
            rate_hz: Samples a second of each channel.
            n_channels: Channels, interleaved.
            channel: "mix", "left", "right", or a number from 1; see `unheard.audio.channels`.

        Raises:
            AudioError: If the format is not known, or the rate or channels are beyond what is read.
        """
        if kind not in PCM_FORMATS:
            raise AudioError(
                f"no samples are written as {kind!r}{suggestion(kind, PCM_FORMATS)}; "
                "say how they are written"
            )
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise AudioError(
                f"raw samples at {rate_hz} Hz; give a rate of {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz"
            )
        if not 1 <= n_channels <= MAX_CHANNELS:
            raise AudioError(
                f"raw samples of {n_channels} channels; give 1 to {MAX_CHANNELS} channels"
            )
        self.rate_hz = rate_hz
        self._kind, self._n_channels = kind, n_channels
        self._subtype, n_bytes = PCM_FORMATS[kind]
        self._endian = "BIG" if kind.endswith("be") else "LITTLE"
        self._n_frame_bytes = n_bytes * n_channels
        self._rest = self._head = b""
        self._reading = Reading(_NAME, codec=f"pcm_{kind}")
        self._mixer = Mixer(channel, n_channels, rate_hz, _NAME)
        self._is_checked = n_bytes == 1 or self._subtype == "FLOAT"
        self._roughness = np.zeros((2, 2))  # as read and swapped; of differences, of samples
        self._n_checked = 0
        same = rate_hz == audio.SAMPLE_RATE_HZ
        self._resampler = None if same else audio.resampler(rate_hz)

    def push(self, data: bytes) -> FloatArray:
        """Take the next bytes, any number; return the samples [T] at 16 kHz that they complete.

        Raises:
            AudioError: If they begin a file, are far more like sound with their bytes swapped, or
                are float samples that are not finite or far beyond full scale.
        """
        if len(self._head) < _HEAD_BYTES:
            self._head = (self._head + data)[:_HEAD_BYTES]
            if container := container_of(self._head):
                raise AudioError(
                    f"{_NAME} begin as a file does, {container}; headerless samples are wanted: "
                    "send it as a file, without saying how samples are written"
                )
        waiting = self._rest + data
        whole = len(waiting) - len(waiting) % self._n_frame_bytes
        self._rest = waiting[whole:]
        if not whole:
            return np.zeros(0, np.float32)
        channels = self._read(waiting[:whole], self._endian)
        if not self._is_checked:
            self._check_order(channels, waiting[:whole])
        return self._resampled(self._mixer.push(self._reading.usable(channels)))

    def close(self) -> FloatArray:
        """Return the samples [T] that wait for others; bytes of half a sample are left.

        Nothing may be pushed after it.
        """
        return self._resampled(self._mixer.close(), last=True)

    @property
    def origin(self) -> Origin:
        """What is known of the samples until now, for the warnings of a verdict."""
        reading = self._reading
        notes = (*reading.notes(), *self._mixer.notes())
        return Origin(self.rate_hz, reading.is_cut_off(), notes)

    def _read(self, data: bytes, endian: str) -> FloatArray:
        import soundfile

        channels, _ = soundfile.read(
            io.BytesIO(data),
            dtype="float32",
            always_2d=True,
            samplerate=self.rate_hz,
            channels=self._n_channels,
            format="RAW",
            subtype=self._subtype,
            endian=endian,
        )
        return np.ascontiguousarray(channels.T)

    def _check_order(self, channels: FloatArray, data: bytes) -> None:
        """Refuse samples that are noise as they are read, and sound with their bytes swapped."""
        other = "LITTLE" if self._endian == "BIG" else "BIG"
        for row, wave in enumerate((channels[0], self._read(data, other)[0])):
            steps = np.diff(wave, prepend=wave[:1])
            self._roughness[row] += np.square(np.stack([steps, wave]), dtype=np.float64).sum(axis=1)
        self._n_checked += int(np.count_nonzero(channels[0]))
        if self._n_checked < _FEWEST_SAMPLES:
            return
        self._is_checked = True
        as_read, swapped = self._roughness[:, 0] / (2 * self._roughness[:, 1])
        if as_read > _NOISE and swapped < _FAR_BETTER * as_read:
            better = self._kind[:-2] + ("le" if self._endian == "BIG" else "be")
            raise AudioError(
                f"{_NAME} read as {self._kind} are noise, and far more like sound as {better}; "
                f"say that they are written as {better}"
            )

    def _resampled(self, samples: FloatArray, *, last: bool = False) -> FloatArray:
        if self._resampler is None:
            return samples
        resampled: FloatArray = self._resampler.resample_chunk(samples, last=last)
        return np.clip(resampled, -1, 1)
