"""Lossy channels: what a codec does to a recording, in memory and at its own bit rates.

Used where both labels must go through the same channel (the open corpus) and where training
should not learn one (augmentation). T samples at 16 kHz.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from unheard.audio.recording import SAMPLE_RATE_HZ, read, resample
from unheard.errors import AudioError, suggestion
from unheard.types import FloatArray

__all__ = ["CODECS", "Codec", "encode", "round_trip"]

TAIL_S = 0.25
"""Mirrored audio encoded after the end, so that the end is not the last, incomplete frame."""


@dataclass(frozen=True, kw_only=True)
class Codec:
    """One way to compress speech.

    Attributes:
        kbps: Bit rates it offers, kbit/s, ascending; nominal, speech may take more or less.
        default_kbps: The one taken when none is named.
        encoder: FFmpeg's name of the encoder; libsndfile's name of the subtype for its own.
        container: FFmpeg's or libsndfile's name of the file format it is put in.
        rate_hz: Rate at which it is encoded; 8000 means that all above 4 kHz is lost.
        delay: Samples at 16 kHz by which it comes back late, after what the container says of it.
        sndfile: Whether libsndfile encodes it, where FFmpeg has no good encoder.
        compression: For each bit rate, libsndfile's compression level in [0, 1]; {} if fixed.
    """

    kbps: tuple[float, ...]
    default_kbps: float
    encoder: str
    container: str
    rate_hz: int = SAMPLE_RATE_HZ
    delay: int = 0
    sndfile: bool = False
    compression: dict[float, float] = field(default_factory=dict)


_NARROW = 8_000

CODECS: dict[str, Codec] = {
    "opus": Codec(
        kbps=(6, 8, 12, 16, 24, 32, 48, 64), default_kbps=24, encoder="libopus", container="ogg"
    ),
    "mp3": Codec(
        kbps=(16, 24, 32, 48, 64, 96, 128), default_kbps=48, encoder="libmp3lame", container="mp3"
    ),
    "aac": Codec(kbps=(12, 16, 24, 32, 48, 64), default_kbps=32, encoder="aac", container="mp4"),
    "vorbis": Codec(
        kbps=(32, 40, 48, 64),
        default_kbps=48,
        encoder="VORBIS",
        container="OGG",
        sndfile=True,
        compression={32: 1.0, 40: 0.7, 48: 0.5, 64: 0.2},
    ),
    "g722": Codec(kbps=(64,), default_kbps=64, encoder="g722", container="wav", delay=22),
    "amr_nb": Codec(
        kbps=(4.75, 5.15, 5.9, 6.7, 7.4, 7.95, 10.2, 12.2),
        default_kbps=12.2,
        encoder="libopencore_amrnb",
        container="amr",
        rate_hz=_NARROW,
        delay=80,
    ),
    "gsm": Codec(
        kbps=(13,),
        default_kbps=13,
        encoder="GSM610",
        container="WAV",
        rate_hz=_NARROW,
        sndfile=True,
    ),
    "g726": Codec(
        kbps=(16, 24, 32, 40), default_kbps=32, encoder="g726", container="wav", rate_hz=_NARROW
    ),
    "g723_1": Codec(
        kbps=(6.3,),
        default_kbps=6.3,
        encoder="g723_1",
        container="wav",
        rate_hz=_NARROW,
        delay=120,
    ),
    "ima_adpcm": Codec(
        kbps=(32,), default_kbps=32, encoder="adpcm_ima_wav", container="wav", rate_hz=_NARROW
    ),
    "mulaw": Codec(
        kbps=(64,), default_kbps=64, encoder="pcm_mulaw", container="wav", rate_hz=_NARROW
    ),
    "alaw": Codec(
        kbps=(64,), default_kbps=64, encoder="pcm_alaw", container="wav", rate_hz=_NARROW
    ),
}
"""Every codec that the pinned libraries can both encode and decode, by the name used everywhere."""


def encode(samples: FloatArray, codec: str, *, kbps: float | None = None) -> bytes:
    """Return a recording as the bytes of a compressed file.

    Args:
        samples: Shape [T] at 16 kHz in [-1, 1].
        codec: A key of `CODECS`.
        kbps: One of its bit rates, kbit/s; None for its default.

    Raises:
        AudioError: If the codec or bit rate is not in the table, or the samples are not fit.
    """
    chosen = _chosen(codec)
    rate = chosen.default_kbps if kbps is None else kbps
    if rate not in chosen.kbps:
        raise AudioError(
            f"{codec} at {rate:g} kbit/s is not offered; "
            f"choose one of {', '.join(f'{known:g}' for known in chosen.kbps)}"
        )
    if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
        raise AudioError(
            f"samples of shape {samples.shape} cannot be encoded; "
            "a non-empty one-dimensional array of finite numbers is wanted"
        )
    levels = np.rint(resample(samples, SAMPLE_RATE_HZ, chosen.rate_hz) * 32768.0)
    pcm = np.clip(levels, -32768, 32767).astype(np.int16)
    return _by_sndfile(pcm, chosen, rate) if chosen.sndfile else _by_ffmpeg(pcm, chosen, rate)


def round_trip(samples: FloatArray, codec: str, *, kbps: float | None = None) -> FloatArray:
    """Return a recording as it sounds after a codec, of the same length and not delayed.

    Args:
        samples: Shape [T] at 16 kHz in [-1, 1].
        codec: A key of `CODECS`.
        kbps: One of its bit rates, kbit/s; None for its default.

    Returns:
        Shape [T] float32 in [-1, 1]; deterministic.

    Raises:
        AudioError: As `encode`.
    """
    n_tail = round(TAIL_S * SAMPLE_RATE_HZ)
    padded = np.pad(samples, (0, n_tail), mode="symmetric") if samples.size else samples
    decoded = read(encode(padded, codec, kbps=kbps), minimum_s=0.0, name=codec).samples
    decoded = decoded[CODECS[codec].delay :][: len(samples)]
    return np.pad(decoded, (0, len(samples) - len(decoded)))


def _chosen(codec: str) -> Codec:
    if codec not in CODECS:
        raise AudioError(f"no codec is called {codec!r}{suggestion(codec, CODECS)}")
    return CODECS[codec]


def _by_ffmpeg(pcm: np.ndarray[Any, Any], codec: Codec, kbps: float) -> bytes:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=codec.container, options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(codec.encoder, rate=codec.rate_hz)
        stream = cast("av.AudioStream", stream)
        stream.layout = "mono"
        stream.bit_rate = round(kbps * 1000)
        stream.codec_context.thread_count = 1
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate = codec.rate_hz
        frame.pts = 0
        for part in (frame, None):
            container.mux(stream.encode(part))
    return file.getvalue()


def _by_sndfile(pcm: np.ndarray[Any, Any], codec: Codec, kbps: float) -> bytes:
    import soundfile

    file = io.BytesIO()
    with soundfile.SoundFile(
        file,
        "w",
        codec.rate_hz,
        1,
        codec.encoder,
        format=codec.container,
        compression_level=codec.compression.get(kbps),
    ) as sound:
        for start in range(0, len(pcm), codec.rate_hz):
            sound.write(pcm[start : start + codec.rate_hz])
    return file.getvalue()
