"""Recordings that FFmpeg decodes; it is given an opened file, never a path or an address.

T samples, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from unheard.audio.containers import FORMATS, PROMISING_FORMATS, mp3_samples
from unheard.audio.track import Reading, check_complete, check_layout
from unheard.errors import AudioError
from unheard.types import FloatArray

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.packet import Packet

__all__ = ["FfmpegTrack"]

_DECODERS = {"amrnb": "libopencore_amrnb", "amrwb": "libopencore_amrwb"}
"""Decoders that know the frames of a coded pause, where FFmpeg's own do not."""

_PAUSE_TYPES = {"amr_nb": 8, "amr_wb": 9}
"""The first type of a frame, 0 to 15, that holds no speech: comfort noise, or nothing at all."""

_PAUSE_BYTES = 3
"""Size of an Opus packet, at most, that holds no speech."""

_SPEEX_PAUSE_BITS, _SPEEX_FRAME_S = 9, 0.02
"""Size of a Speex frame, at most, that holds no speech: its first five bits are zero."""

_WITH_PAUSES = {*_PAUSE_TYPES, "opus", "speex"}

_CLOCKED = ("ogg", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "mpegts", "flv")
"""Formats whose time stamps are those of the recording; others count what came before."""

_GAP_S = 0.1
_LONGEST_GAP_S = 3600.0
_LONGER_BY = 1.02
_LONGER_BY_S = 0.25
_CODED_PAUSE_BYTES = 8
"""A packet of a coded pause is hardly more than its first byte."""

_ZEROS = 1 << 16

_NO_LABELS = {None, "", "und", "SoundHandler"}
"""What a writer that was told nothing puts down for a track's language or name."""


class FfmpegTrack:
    """One audio track of what FFmpeg can open; bad packets are skipped and counted.

    Where time stamps leave out a stretch, silence stands in for it: times stay the recording's.
    """

    def __init__(
        self, file: BinaryIO, reading: Reading, head: bytes = b"", track: int | None = None
    ) -> None:
        """Open a file.

        Args:
            file: Its bytes, from the beginning.
            reading: Takes what reading shows.
            head: Its first bytes.
            track: Which of its audio tracks, from 1; None for its default.
        """
        import av

        self.reading = reading
        self._n_good_packets = 0
        self._end_s = 0.0
        options = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
        self._container = av.open(file, "r", metadata_errors="ignore", options=options)
        self._stream = self._chosen(track)
        context = self._stream.codec_context
        self._format = self._container.format.name
        self._n_counted = mp3_samples(head) if self._format == "mp3" else 0
        context.thread_count = 1
        if context.name == "flac":
            # Without this a damaged frame comes out as noise instead of an error.
            context.options = {"err_detect": "crccheck+explode"}
        reading.container = reading.container or self._format
        reading.codec = context.codec.canonical_name
        self._decoder = None
        if context.name in _DECODERS:
            self._decoder = cast(
                "av.AudioCodecContext", av.CodecContext.create(_DECODERS[context.name], "r")
            )
            self._decoder.sample_rate, self._decoder.layout = context.sample_rate, "mono"
        if context.sample_rate:
            check_layout(reading.name, context.sample_rate, context.channels)
        self._frames = self._decode()
        first = next(self._frames, None)
        if first is None:
            raise AudioError(
                f"{reading.name}: {reading.codec} of which nothing can be decoded "
                f"({reading.n_bad_packets} bad packets); "
                "copy the file again from where it came from, or convert it to wav"
            )
        self._first: AudioFrame = first
        # The frame knows better than the header: HE-AAC declares half of its rate.
        self.rate_hz, self.n_channels = first.sample_rate, first.layout.nb_channels
        check_layout(reading.name, self.rate_hz, self.n_channels)

    def _chosen(self, track: int | None) -> Any:
        """Return the stream of a track, and note which others there are."""
        name = self.reading.name
        streams = [stream for stream in self._container.streams.audio if stream.codec_context]
        self.n_tracks = len(streams)
        if not streams:
            raise AudioError(
                f"{name}: {self._container.format.long_name} without an audio track that can be "
                "decoded; audio is wanted: export the sound, or choose another file"
            )
        if track is not None:
            if track > len(streams):
                raise AudioError(
                    f"{name}: track {track} is asked for, it has {len(streams)} with sound; "
                    "give a lower number"
                )
            return streams[track - 1]
        default = next((s for s in streams if s.disposition.value & 1), None)
        best: Any = default or self._container.streams.best("audio") or streams[0]
        if len(streams) > 1:
            names = [_track_name(number, stream) for number, stream in enumerate(streams, 1)]
            chosen = streams.index(best)
            others = ", ".join(names[:chosen] + names[chosen + 1 :])
            self.reading.remarks.append(
                f"{names[chosen]} of {len(streams)} was scored, not {others}; "
                "--track takes another, or all"
            )
        return best

    def blocks(self, skip: int = 0) -> Iterator[FloatArray]:
        """Yield float32 blocks [C, T] at the track's own rate; can be called once.

        Samples beyond full scale are clipped to [-1, 1].

        Args:
            skip: Samples to skip at the start.

        Raises:
            AudioError: At the end, if the file was cut short; anywhere, if uncompressed samples
                are not finite or on another scale.
        """
        for block in self._timed():
            kept = block[:, skip:]
            skip = max(0, skip - block.shape[1])
            if kept.shape[1]:
                yield kept
        reading = self.reading
        if reading.n_bad_packets > self._n_good_packets:
            raise AudioError(
                f"{reading.name}: {reading.n_bad_packets} bad packets and {self._n_good_packets} "
                "good ones; audio that is mostly whole is wanted: copy the file again"
            )
        n_counted, n_promised = int(self._end_s * self.rate_hz), self._n_promised()
        check_complete(reading.name, n_counted, n_promised, self.rate_hz)
        longer_by_s = (n_counted - _LONGER_BY * n_promised) / self.rate_hz
        if n_promised and longer_by_s > _LONGER_BY_S:
            joined = "several files were joined" if self._n_counted else "its header is wrong"
            reading.remarks.append(
                f"{n_counted / self.rate_hz:.1f} s long where its header promises "
                f"{n_promised / self.rate_hz:.1f} s: {joined}; all of it was read"
            )

    def _timed(self) -> Iterator[FloatArray]:
        """Yield the samples of each frame, and silence where time stamps leave a gap."""
        n_samples, zero_s = 0, None
        frame: AudioFrame | None = self._first
        while frame is not None:
            if frame.sample_rate != self.rate_hz:
                reason = (
                    f"the rate changes from {self.rate_hz} to {frame.sample_rate} Hz on the way"
                )
                seconds = frame.samples / frame.sample_rate
                self.reading.add(self.reading.lost_s, reason, seconds)
            else:
                if frame.time is not None and self._format in _CLOCKED:
                    zero_s = self._zero_s(frame.time) if zero_s is None else zero_s
                    gap_s = frame.time - zero_s - n_samples / self.rate_hz
                    if gap_s > _LONGEST_GAP_S:
                        zero_s += gap_s
                    elif gap_s > _GAP_S:
                        for block in self._pause(gap_s):
                            n_samples += block.shape[1]
                            yield block
                try:
                    block = self.reading.usable(_channels(frame, self.n_channels))
                except FloatingPointError:
                    self.reading.n_bad_packets += 1
                    block = np.zeros((self.n_channels, frame.samples), np.float32)
                n_samples += block.shape[1]
                yield block
            frame = next(self._frames, None)

    def _zero_s(self, first_s: float) -> float:
        """Return where the recording's time begins, by the clock of its packets."""
        if self._format.startswith("mov"):
            return min(0.0, first_s)
        start = self._container.start_time
        return first_s if start is None else min(first_s, start / 1_000_000)

    def _pause(self, gap_s: float) -> Iterator[FloatArray]:
        reason = "its time stamps leave them out, as in a coded pause, or where packets were lost"
        self.reading.add(self.reading.pauses_s, reason, gap_s)
        n_left = round(gap_s * self.rate_hz)
        while n_left:
            n_block = min(n_left, _ZEROS)
            n_left -= n_block
            yield np.zeros((self.n_channels, n_block), np.float32)

    def _n_promised(self) -> int:
        """How many samples the header promises, 0 if it does not say."""
        container, stream = self._container, self._stream
        if self._format not in PROMISING_FORMATS:
            return self._n_counted
        if stream.duration and stream.time_base:
            return int(stream.duration * stream.time_base * self.rate_hz)
        # Without a length of its own, a track has its file's, if it is alone there.
        alone = len(container.streams) == 1
        return int((container.duration or 0) * self.rate_hz / 1_000_000) if alone else 0

    def _decode(self) -> Iterator[AudioFrame]:
        import av

        reading = self.reading
        packets = self._container.demux(self._stream)
        before_bytes = 0
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                # It stops where a part with another codec begins, which is counted as not read.
                reading.n_bad_packets += not reading.lost_s
                return
            except IndexError:
                # At the end PyAV asks for tracks that began on the way, of which it knows nothing.
                return
            if packet is None:
                return
            self._follow_clock(packet, before_bytes)
            before_bytes = packet.size
            try:
                frames = self._decoder.decode(packet) if self._decoder else packet.decode()
            except av.FFmpegError:
                # A tag between joined files is no damage.
                reading.n_bad_packets += not bytes(packet).startswith((b"ID3", b"TAG"))
                continue
            self._n_good_packets += 1
            self._count_pause(packet)
            yield from cast("list[AudioFrame]", frames)

    def _count_pause(self, packet: Packet[Any]) -> None:
        """Count a packet by which a sender says that it sends no sound."""
        codec = self.reading.codec
        if not packet.size or packet.time_base is None or codec not in _WITH_PAUSES:
            return
        seconds = float((packet.duration or 0) * packet.time_base)
        is_pause = packet.size <= _PAUSE_BYTES
        kind = bytes(packet)[0] >> 3
        if codec in _PAUSE_TYPES:
            is_pause = kind & 0xF >= _PAUSE_TYPES[codec]
        elif codec == "speex":
            most_bits = _SPEEX_PAUSE_BITS * seconds / _SPEEX_FRAME_S + 8
            is_pause = kind == 0 and 8 * packet.size <= most_bits
        if is_pause:
            self.reading.add(self.reading.pauses_s, "coded pauses of the sender", seconds)

    def _follow_clock(self, packet: Packet[Any], before_bytes: int) -> None:
        if packet.pts is None or packet.time_base is None:
            return
        start_s = float(packet.pts * packet.time_base)
        # FFmpeg leaves out damaged ogg pages without a word; only the clock shows it.
        gap = self._end_s and start_s > self._end_s + _GAP_S
        if self._format == "ogg" and gap and before_bytes > _CODED_PAUSE_BYTES:
            self.reading.n_bad_packets += 1
        end_s = start_s + float((packet.duration or 0) * packet.time_base)
        self._end_s = max(self._end_s, end_s)

    def close(self) -> None:
        """Release the decoder; the file stays with who opened it."""
        self._container.close()


def _track_name(number: int, stream: Any) -> str:
    labels = [stream.metadata.get(key) for key in ("language", "title", "handler_name")]
    label = next((text for text in labels if text not in _NO_LABELS), "")
    return f"track {number} ({label[:40]})" if label else f"track {number}"


def _channels(frame: AudioFrame, n_channels: int) -> FloatArray:
    """Return the samples of a frame as float32 [C, T] on the scale [-1, 1]."""
    values: np.ndarray[Any, Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        values = np.ascontiguousarray(values.reshape(frame.samples, -1).T)
    channels: FloatArray
    if values.dtype == np.uint8:
        channels = (values.astype(np.float32) - 128) / 128
    elif np.issubdtype(values.dtype, np.integer):
        channels = values.astype(np.float32) / np.float32(1 << (8 * values.itemsize - 1))
    else:
        with np.errstate(over="ignore"):
            channels = values.astype(np.float32)
    if len(channels) == n_channels:
        return channels
    # Its channels change on the way, as in joined files: each gets the mix.
    return np.repeat(channels.mean(axis=0, dtype=np.float32)[None], n_channels, axis=0)
