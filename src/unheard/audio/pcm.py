"""Headerless samples as they come: bytes in, mono float32 at 16 kHz out, at once.

What a call, a sound card or a browser sends has no header and no end. Its samples are those that
`unheard.audio` reads from a wav file of the same bytes, to the bit, for any chunking.

C channels, T samples.
"""

from __future__ import annotations

import io

import numpy as np

from unheard.audio import recording as audio
from unheard.audio.decode import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, mono
from unheard.errors import AudioError, suggestion
from unheard.types import FloatArray

__all__ = ["PCM_FORMATS", "PcmReader"]

PCM_FORMATS = {
    "s16le": ("PCM_16", 2),
    "s24le": ("PCM_24", 3),
    "s32le": ("PCM_32", 4),
    "f32le": ("FLOAT", 4),
    "u8": ("PCM_U8", 1),
    "mulaw": ("ULAW", 1),
    "alaw": ("ALAW", 1),
}
"""How a sample is written, by FFmpeg's name without "pcm_": libsndfile's name, bytes a sample."""


class PcmReader:
    """Turns bytes of interleaved samples into what a `Scorer` is fed with.

    Holds less than one sample of each channel, and what the resampler needs.

    Attributes:
        rate_hz: Rate of the samples that come, for `unheard.scoring.scorer.Stream.close`.
    """

    def __init__(self, kind: str = "s16le", rate_hz: int = 16_000, n_channels: int = 1) -> None:
        """Say what will come.

        Args:
            kind: One of `PCM_FORMATS`.
            rate_hz: Samples a second of each channel.
            n_channels: Channels, interleaved; they are averaged.

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
        self._n_frame_bytes = n_bytes * n_channels
        self._rest = b""
        same = rate_hz == audio.SAMPLE_RATE_HZ
        self._resampler = None if same else audio.resampler(rate_hz)

    def push(self, data: bytes) -> FloatArray:
        """Take the next bytes, any number; return the samples [T] at 16 kHz that they complete.

        Raises:
            AudioError: If float samples are not finite, or far beyond full scale.
        """
        import soundfile

        waiting = self._rest + data
        whole = len(waiting) - len(waiting) % self._n_frame_bytes
        self._rest = waiting[whole:]
        if not whole:
            return np.zeros(0, np.float32)
        channels, _ = soundfile.read(
            io.BytesIO(waiting[:whole]),
            dtype="float32",
            always_2d=True,
            samplerate=self.rate_hz,
            channels=self._n_channels,
            format="RAW",
            subtype=self._subtype,
            endian="LITTLE",
        )
        samples = mono(np.ascontiguousarray(channels.T), "raw samples", f"pcm_{self._kind}")
        if self._resampler is None:
            return samples
        resampled: FloatArray = self._resampler.resample_chunk(samples)
        return np.clip(resampled, -1, 1)

    def close(self) -> FloatArray:
        """Return the samples [T] that the resampler still holds; bytes of half a sample are left.

        Nothing may be pushed after it.
        """
        if self._resampler is None:
            return np.zeros(0, np.float32)
        last: FloatArray = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        return np.clip(last, -1, 1)
