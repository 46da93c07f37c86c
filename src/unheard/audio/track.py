"""What both decoders share: which layouts are read, and what reading a recording shows.

T samples, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from unheard.errors import AudioError
from unheard.types import FloatArray

__all__ = [
    "MAX_CHANNELS",
    "MAX_RATE_HZ",
    "MIN_RATE_HZ",
    "Origin",
    "Reading",
    "check_complete",
    "check_layout",
]

MAX_CHANNELS = 64
MIN_RATE_HZ = 4_000
MAX_RATE_HZ = 384_000

SHORT_BY_S = 0.25
"""Audio may end this much before what its header promises: encoders round to whole frames."""

ABSURD_LEVEL = 16.0
"""Float samples beyond this are another scale, not a loud recording."""

_LEAST_LOST_S = 0.1


@dataclass(frozen=True)
class Origin:
    """What is known of where samples come from, for the warnings of a verdict.

    Attributes:
        rate_hz: Rate that they were recorded with.
        cut_off: Whether float samples beyond full scale were cut off while reading.
        notes: What reading showed, as sentences.
    """

    rate_hz: int = 16_000
    cut_off: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoding:
    """How a recording is kept in its file.

    Attributes:
        container: Format of the file, such as "wav" or "mp4".
        codec: FFmpeg's name of the coding of the track, such as "pcm_s16le" or "aac".
        rate_hz: Rate of the track.
        n_channels: Channels of the track.
        n_tracks: Audio tracks of the file.
    """

    container: str = ""
    codec: str = ""
    rate_hz: int = 0
    n_channels: int = 0
    n_tracks: int = 0


@dataclass
class Reading:
    """What reading a recording shows while it goes on.

    Attributes:
        name: Path or name, for messages.
        container: Format of the file.
        codec: FFmpeg's name of its coding.
        n_bad_packets: Damaged packets that were skipped.
        peak: Largest magnitude before it was cut off at full scale.
        lost_s: Seconds of sound that were not read, by reason.
        pauses_s: Seconds without sound data, by reason; they are read as silence or faint noise.
        remarks: Further sentences.
    """

    name: str
    container: str = ""
    codec: str = ""
    n_bad_packets: int = 0
    peak: float = 0.0
    lost_s: dict[str, float] = field(default_factory=dict)
    pauses_s: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def usable(self, channels: FloatArray) -> FloatArray:
        """Return samples [C, T] cut off at full scale.

        Raises:
            AudioError: If uncompressed samples are not finite, or on another scale.
            FloatingPointError: If those of a lossy frame are not finite.
        """
        uncompressed = self.codec.startswith("pcm_")
        if not np.isfinite(channels).all():
            if not uncompressed:
                raise FloatingPointError
            raise AudioError(
                f"{self.name}: holds samples that are not numbers (NaN or infinite); "
                "finite samples are wanted: export it again as 16-bit wav or flac"
            )
        peak = max(float(channels.max(initial=0.0)), -float(channels.min(initial=0.0)))
        if uncompressed and peak > ABSURD_LEVEL:
            raise AudioError(
                f"{self.name}: float samples reach {peak:.3g}; full scale is 1: "
                "divide them by their full scale (32768 for 16-bit values) and save again"
            )
        self.peak = max(self.peak, peak)
        return np.clip(channels, -1, 1)

    def add(self, seconds_of: dict[str, float], reason: str, seconds: float) -> None:
        """Count seconds of a reason, in `lost_s` or `pauses_s`."""
        seconds_of[reason] = seconds_of.get(reason, 0.0) + seconds

    def is_cut_off(self) -> bool:
        """Return whether float samples were beyond full scale, as no recorder leaves them."""
        return self.codec.startswith(("pcm_f", "pcm_float")) and self.peak > 1

    def notes(self) -> list[str]:
        """Return what of it gives reason to doubt a verdict, as sentences."""
        lost = [(reason, s) for reason, s in self.lost_s.items() if s >= _LEAST_LOST_S]
        pauses = [(reason, s) for reason, s in self.pauses_s.items() if s >= _LEAST_LOST_S]
        notes = [f"{s:.1f} s of it were not read: {reason}" for reason, s in lost]
        notes += [f"{s:.1f} s of it hold no sound data: {reason}" for reason, s in pauses]
        if self.is_cut_off():
            notes.append(
                f"its float samples reach {self.peak:.3g} times full scale and were cut off at "
                "full scale here, not by the recorder: divide them by their peak and score again"
            )
        if self.n_bad_packets:
            notes.append(
                f"damaged: {self.n_bad_packets} packets could not be decoded and were skipped"
            )
        return notes + self.remarks


def check_layout(name: str, rate_hz: int, n_channels: int) -> None:
    """Raise an AudioError for a rate or a number of channels that is not read."""
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


def check_complete(name: str, n_found: int, n_promised: int, rate_hz: int) -> None:
    """Raise an AudioError for fewer samples than the header promises."""
    if n_found < n_promised - max(SHORT_BY_S, 0.01 * n_promised / rate_hz) * rate_hz:
        raise AudioError(
            f"{name}: cut off after {n_found / rate_hz:.2f} s of the {n_promised / rate_hz:.2f} s "
            "that its header promises; copy the file again, or export what is left of it as wav"
        )
