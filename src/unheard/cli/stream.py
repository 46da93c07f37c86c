"""`unheard stream`: window scores of live sound as they come, and the verdict until then."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from unheard.cli.archive import COLOURS, WORDS, show
from unheard.cli.shared import (
    SHIPPED,
    AsJson,
    Channel,
    Detector,
    Hop,
    MinSpeech,
    OperatingPoint,
    SpoofPrior,
    Threshold,
    Track,
    settings_of,
)

if TYPE_CHECKING:
    from io import BufferedReader

    from unheard.audio import Origin
    from unheard.scoring.live import EarlyDecision, LiveVerdict, Update
    from unheard.scoring.scorer import Scorer
    from unheard.scoring.verdict import Verdict
    from unheard.types import FloatArray

__all__ = ["stream"]

SOURCE = "-"
READ_BYTES = 1 << 16

Format = Literal[
    "s16le", "s24le", "s32le", "f32le", "s16be", "s24be", "s32be", "f32be", "u8", "mulaw", "alaw"
]


def stream(  # noqa: PLR0913  a command has the options that it has
    detector: Detector = SHIPPED,
    raw: Annotated[
        Format | None,
        typer.Option(help="The input is headerless samples, written so; else it is a file format."),
    ] = None,
    rate: Annotated[
        int | None, typer.Option(help="Samples a second of headerless samples; 16000 if left out.")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="Channels of headerless samples; 1 if left out.")
    ] = None,
    as_json: AsJson = False,
    error: Annotated[
        float,
        typer.Option(help="Share of early decisions that may change by the end of a recording."),
    ] = 0.05,
    first_speech: Annotated[
        float, typer.Option(min=0, help="No early decision before so many seconds of speech.")
    ] = 4.0,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop listening once the decision was made.")
    ] = False,
    operating_point: OperatingPoint = "sure",
    threshold: Threshold = None,
    spoof_prior: SpoofPrior = 0.5,
    min_speech: MinSpeech = 0.5,
    hop: Hop = None,
    channel: Channel = "mix",
    track: Track = "default",
) -> None:
    """Score standard input as it comes: each window, and what is known until then.

    The end of the input or Ctrl-C ends the recording, and its verdict follows, as `unheard score`
    gives it of the same sound in a file. Each line is written at once.
    """
    settings = replace(
        settings_of(detector, operating_point, threshold, spoof_prior, min_speech, hop),
        channel=channel,
        track=track,
    )
    if channel == "each" or track == "all":
        raise typer.BadParameter("a stream is read once: choose one --channel and one --track")
    if raw is None and (rate is not None or channels is not None):
        raise typer.BadParameter("--rate and --channels are of headerless samples: give --raw too")
    if sys.stdin.isatty():
        raise typer.BadParameter("standard input is a terminal; pipe sound into it")
    from unheard.audio import SAMPLE_RATE_HZ
    from unheard.errors import AudioError
    from unheard.scoring.live import EarlyDecision

    ear = _Reader(
        settings.scorer(), EarlyDecision(error=error, first_speech_s=first_speech), as_json, stop
    )
    try:
        if raw is None:
            verdict = ear.container()
        else:
            verdict = ear.headerless(raw, rate or SAMPLE_RATE_HZ, channels or 1)
        row = verdict.to_dict()
    except AudioError as problem:
        row = {"source": SOURCE, "error": str(problem)}
    if as_json:
        typer.echo(json.dumps(row if "error" in row else {"verdict": row}, allow_nan=False))
    show(row, as_json=False, quiet=as_json)
    if row.get("score") is None:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Reader:
    """Reads standard input, and reports each window."""

    scorer: Scorer
    rule: EarlyDecision
    as_json: bool
    stop: bool

    def container(self) -> Verdict:
        from unheard import audio
        from unheard.scoring.parts import track_number

        channel, track = self.scorer.channel, track_number(self.scorer.track)
        with audio.open_stream(
            sys.stdin.buffer, name=SOURCE, channel=channel, track=track
        ) as opened:
            running = self._running(lambda: opened.origin)
            self._score_windows(running, opened)
            return running.close()

    def headerless(self, kind: str, rate_hz: int, n_channels: int) -> Verdict:
        from unheard.audio.pcm import PcmReader

        reader = PcmReader(kind, rate_hz, n_channels, self.scorer.channel)
        running = self._running(lambda: reader.origin)
        source = cast("BufferedReader", sys.stdin.buffer)
        blocks = iter(lambda: source.read1(READ_BYTES), b"")  # what is there, without waiting
        if self._score_windows(running, map(reader.push, blocks)):
            for update in running.push(reader.close()):
                self._tell(update)
        return running.close()

    def _running(self, origin: Callable[[], Origin]) -> LiveVerdict:
        from unheard.scoring.live import LiveVerdict

        return LiveVerdict(self.scorer, self.rule, name=SOURCE, origin=origin)

    def _score_windows(self, running: LiveVerdict, chunks: Iterable[FloatArray]) -> bool:
        """Push what comes until it ends; return False if the rule made it stop before."""
        decided: str | None = None
        with _CtrlC() as until:
            for chunk in until(chunks):
                for update in running.push(chunk):
                    self._tell(update, news=update.final != decided)
                    decided = update.final
                if decided and self.stop:
                    return False
        return True

    def _tell(self, update: Update, *, news: bool = False) -> None:
        """Write a line of a window, and one when the rule has decided."""
        if self.as_json:
            typer.echo(json.dumps(update.to_dict(), allow_nan=False))
            return
        from unheard.scoring.verdict import clock

        window = update.window
        score = "      " if window.score is None else f"{window.score:+6.2f}"
        if update.score is None or update.decision is None:
            so_far = f"no verdict yet: {(update.reason or '').partition(';')[0]}"
        else:
            margin = "" if update.margin is None else f" +- {update.margin:4.2f}"
            word = typer.style(WORDS[update.decision], fg=COLOURS[update.decision])
            so_far = f"until now {update.score:+6.2f}{margin}  {word}"
        typer.echo(f"{window.start_s:7.1f} -{window.end_s:7.1f} s  score {score}  {so_far}")
        for segment in update.segments:
            times = f"{clock(segment.start_s)} to {clock(segment.end_s)}"
            typer.echo(f"{times} is called synthetic (mean score {segment.score:+.2f})")
        if news and update.final is not None:
            word = typer.style(WORDS[update.final], fg=COLOURS[update.final])
            share = f"at most {self.rule.error:.0%}"
            change = f"{share} of such decisions are expected to change by the end"
            change = "by that segment" if update.segments else change
            typer.echo(f"decided after {update.final_at_s:.1f} s: {word}; {change}")


class _CtrlC:
    """Makes Ctrl-C end what is read, at once while waiting, after the window while scoring."""

    def __init__(self) -> None:
        self._is_waiting = False
        self._is_over = False

    def __enter__(self) -> _CtrlC:
        self._before = signal.signal(signal.SIGINT, self._end)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def __call__(self, chunks: Iterable[FloatArray]) -> Iterator[FloatArray]:
        """Yield chunks until there are no more, or Ctrl-C."""
        waiting = iter(chunks)
        while not self._is_over:
            try:
                self._is_waiting = True
                chunk = next(waiting, None)
                self._is_waiting = False
            except KeyboardInterrupt:
                return
            if chunk is None:
                return
            yield chunk

    def _end(self, _: int, __: FrameType | None) -> None:
        self._is_over = True
        if self._is_waiting:
            self._is_waiting = False
            raise KeyboardInterrupt
