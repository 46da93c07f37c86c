"""Which channel of a recording is scored: the mix of all, the louder where mixing cancels, or one.

C channels, T samples, K frames of 20 ms at the recording's own rate.
"""

from __future__ import annotations

import numpy as np

from unheard.errors import AudioError
from unheard.types import FloatArray

__all__ = ["EACH", "Mixer", "channel_number", "is_channel"]

EACH = "each"

_SIDES = {"left": 1, "right": 2}
_FRAME_S = 0.02
_LOSS = 10.0
"""Power ratio, 10 dB: where a mix has less than this of its loudest channel, it cancels."""

_AUDIBLE = 1e-6
"""Power, -60 dBFS, under which a frame is no sound."""

_FEWEST_FRAMES = 150
_ALIKE = 0.3
_VOICE_SPREAD_DB = 6.0
"""Standard deviation of a channel's level, pauses included; of steady noise 1 dB."""


def is_channel(channel: str) -> bool:
    """Return whether a setting means one channel, or the mix."""
    return channel in {"mix", *_SIDES} or (channel.isdecimal() and int(channel) > 0)


def channel_number(channel: str | int, n_channels: int, name: str) -> int | None:
    """Return the channel that a setting means, counted from 1; None for the mix.

    Args:
        channel: "mix", "left", "right", or a number from 1.
        n_channels: Channels of the recording.
        name: What to call it in messages.

    Raises:
        AudioError: If there is no such channel.
    """
    text = str(channel)
    if not is_channel(text):
        raise AudioError(
            f"{name}: channel {text!r} is asked for; give mix, left, right, or a number from 1"
        )
    if text == "mix":
        return None
    number = _SIDES[text] if text in _SIDES else int(text)
    if number > n_channels:
        raise AudioError(
            f"{name}: channel {text} is asked for, it has {n_channels}; give a lower number, or mix"
        )
    return number


class Mixer:
    """Makes one channel of several, the same for any chunking; holds less than 20 ms.

    The default mixes. From the frame on where all until then has lost more than 10 dB by mixing,
    as in a stereo recording with one side inverted, it gives the loudest channel instead, until
    mixing no longer costs so much.
    """

    def __init__(self, channel: str | int, n_channels: int, rate_hz: int, name: str) -> None:
        """Choose a channel; see `channel_number` for what it may be and what it raises."""
        self._number = channel_number(channel, n_channels, name)
        self._framed = self._number is None and n_channels > 1
        self._n_frame = max(1, round(_FRAME_S * rate_hz))
        self._rest: FloatArray = np.zeros((n_channels, 0), np.float32)
        self._powers = np.zeros(n_channels + 1)  # of the channels, and of the mix
        # Of levels in decibels over frames with sound: number, sums, sums of products.
        self._n_frames = 0
        self._level_sums = np.zeros(n_channels)
        self._level_products = np.zeros((n_channels, n_channels))

    def push(self, channels: FloatArray) -> FloatArray:
        """Take samples [C, T]; return those [T'] of the frames that they complete."""
        if not self._framed:
            alone: FloatArray = channels[0 if self._number is None else self._number - 1]
            return alone
        waiting = np.concatenate([self._rest, channels], axis=1)
        n_whole = waiting.shape[1] - waiting.shape[1] % self._n_frame
        self._rest = waiting[:, n_whole:].copy()
        return self._mixed(waiting[:, :n_whole], self._n_frame)

    def close(self) -> FloatArray:
        """Return the samples that wait for their frame."""
        rest, self._rest = self._rest, self._rest[:, :0]
        return self._mixed(rest, max(1, rest.shape[1]))

    def _mixed(self, channels: FloatArray, n_frame: int) -> FloatArray:
        mix: FloatArray = channels.mean(axis=0, dtype=np.float32)
        if not mix.size:
            return mix
        framed = np.concatenate([channels, mix[None]]).reshape(len(channels) + 1, -1, n_frame)
        powers = np.mean(np.square(framed, dtype=np.float64), axis=2).T  # [K, C + 1]
        powers[powers[:, :-1].max(axis=1) < _AUDIBLE] = 0
        self._compare(powers[:, :-1])
        until = np.cumsum(np.concatenate([self._powers[None], powers]), axis=0)[1:]
        self._powers = until[-1]
        cancels = until[:, -1] * _LOSS < until[:, :-1].max(axis=1)
        if cancels.any():
            loudest = until[:, :-1].argmax(axis=1)
            frames = framed[np.where(cancels, loudest, len(channels)), np.arange(len(until))]
            mix = frames.ravel()
        return mix

    def _compare(self, powers: FloatArray) -> None:
        sounding = powers[powers.max(axis=1, initial=0.0) > 0]
        levels_db = 10 * np.log10(sounding + _AUDIBLE)
        self._n_frames += len(levels_db)
        self._level_sums += levels_db.sum(axis=0)
        self._level_products += levels_db.T @ levels_db

    def notes(self) -> list[str]:
        """Return what of the channels gives reason to doubt a verdict on their mix."""
        if not self._framed:
            return []
        channels = self._powers[:-1]
        loudest = int(channels.argmax())
        notes = []
        if self._powers[-1] * _LOSS < channels[loudest]:
            notes.append(
                f"its {len(channels)} channels cancel each other when mixed: channel {loudest + 1}"
                ", the loudest, was scored alone; choose another with --channel"
            )
        if self._differ():
            notes.append(
                "its channels hold different voices, which were scored mixed: "
                "--channel each gives a verdict for each"
            )
        return notes

    def _differ(self) -> bool:
        """Return whether the levels of two channels that both vary like voices go their own way."""
        if self._n_frames < _FEWEST_FRAMES:
            return False
        means = self._level_sums / self._n_frames
        covariance = self._level_products / self._n_frames - np.outer(means, means)
        spreads_db = np.sqrt(np.clip(np.diag(covariance), 0, None))
        voices = np.flatnonzero(spreads_db > _VOICE_SPREAD_DB)
        scales = np.outer(spreads_db[voices], spreads_db[voices])
        scaled = covariance[np.ix_(voices, voices)] / scales
        return bool((scaled < _ALIKE).any())
