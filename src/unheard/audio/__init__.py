"""Recordings in, mono float32 at 16 kHz out, and what may be done to the samples. No torch.

`unheard.audio` itself holds the names of `recording` and `windowing`: reading, windows, writing.
"""

from unheard.audio.recording import (
    AUDIO_SUFFIXES,
    LONGEST_READ_S,
    SAMPLE_RATE_HZ,
    AudioStream,
    Source,
    Waveform,
    gathered,
    open_stream,
    read,
    resample,
    resampler,
    write,
)
from unheard.audio.track import Encoding, Origin
from unheard.audio.windowing import Windower, Windows, windows

__all__ = [
    "AUDIO_SUFFIXES",
    "LONGEST_READ_S",
    "SAMPLE_RATE_HZ",
    "AudioStream",
    "Encoding",
    "Origin",
    "Source",
    "Waveform",
    "Windower",
    "Windows",
    "gathered",
    "open_stream",
    "read",
    "resample",
    "resampler",
    "windows",
    "write",
]
