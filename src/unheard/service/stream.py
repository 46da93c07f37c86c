"""Samples over a WebSocket: scores and a growing verdict as they come, the verdict at the end.

The client sends a text frame that says what will come, binary frames of samples, and the text frame
{"end": true}. The service sends {"window": ..., "running": ...} after each window, then
{"verdict": ...} and closes; or {"error": ...} and closes. If the service is to stop, or the stream
passes a limit, the verdict is that until then, with a warning that says why.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from unheard.audio import SAMPLE_RATE_HZ
from unheard.audio.pcm import PcmReader
from unheard.errors import UnheardError, suggestion
from unheard.scoring.live import LiveVerdict, Update
from unheard.scoring.verdict import Verdict
from unheard.service.engine import Engine, ScoreOptions
from unheard.service.forms import MinimumSpeech, OperatingPoint, SpoofPrior, Threshold
from unheard.service.keys import Keys
from unheard.service.limits import Refusal
from unheard.service.runner import Runner
from unheard.service.stopping import stopped
from unheard.service.telemetry import Telemetry, error_fields

__all__ = ["MOST_FRAME_BYTES", "Opening", "Streams"]

MOST_FRAME_BYTES = 1 << 20
"""Size of a frame; the server that speaks the protocol refuses larger ones."""

_REFUSED, _OUR_FAULT, _RESTART = 1008, 1011, 1012
_CUT = frozenset({"too_long", "too_slow"})
"""Ends of a stream that leave a verdict on what came before."""
_EXAMPLE = '{"format": "s16le", "rate_hz": 16000, "channels": 1}'

T = TypeVar("T")


class Opening(BaseModel):
    """What the first frame says; the settings are those of `/v1/score`."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: str = "s16le"
    rate_hz: int = SAMPLE_RATE_HZ
    channels: int = 1
    channel: str = "mix"
    key: str = Field(default="", max_length=200)
    operating_point: OperatingPoint | None = None
    threshold: Threshold | None = None
    spoof_prior: SpoofPrior | None = None
    minimum_speech_s: MinimumSpeech | None = None


class _Closing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    end: Literal[True]


@dataclass(eq=False)
class _Line:
    """An open stream, and whether it is to end before its client ends it."""

    socket: WebSocket
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    is_revoked: bool = False
    so_far: Verdict | None = None


class Streams:
    """The streams of one service."""

    def __init__(
        self, engine: Engine, telemetry: Telemetry, keys: Keys | None, runner: Runner
    ) -> None:
        self._engine = engine
        self._telemetry = telemetry
        self._keys = keys
        self._limits = engine.limits
        self._threads = ThreadPoolExecutor(engine.limits.n_streams, thread_name_prefix="stream")
        self._runner = runner
        self._lines: set[_Line] = set()
        self._is_stopping = False
        self._open: Counter[str] = Counter()
        telemetry.watch("unheard_streams_open", "Streams that are open.", self._n_open)

    async def answer(self, socket: WebSocket) -> None:
        """Score one stream, and close it."""
        await socket.accept()
        request_id = socket.state.request_id
        code: str | None = None
        line = _Line(socket)
        self._lines.add(line)
        try:
            opening = await self._opening(line)
            verdict = await self._score_windows(line, opening)
            self._telemetry.scored(verdict.to_dict())
            await socket.send_json({"verdict": verdict.to_dict()})
            await socket.close(_RESTART if line.ended.is_set() else 1000)
        except WebSocketDisconnect:
            code = "gone"
        except Exception as error:
            problem = error_fields(error, request_id)
            code = problem["code"]
            expected = isinstance(error, UnheardError)
            if not expected:
                self._telemetry.fault(error, request_id)
            await self._fail(line, problem, _REFUSED if expected else _OUR_FAULT)
        finally:
            self._lines.discard(line)
        self._telemetry.note("stream", request_id=request_id, key=socket.state.owner, code=code)

    async def stop(self, most_s: float) -> None:
        """End the streams with their verdict so far, and take no more; wait a time for them."""
        self._is_stopping = True
        for line in self._lines:
            line.ended.set()
        until_s = time.monotonic() + most_s
        while self._lines and time.monotonic() < until_s:
            await asyncio.sleep(0.02)

    def end_revoked(self) -> None:
        """End the streams of names that have no key any more."""
        names = [] if self._keys is None else self._keys.names()
        for line in self._lines:
            if line.socket.state.owner and line.socket.state.owner not in names:
                line.is_revoked = True
                line.ended.set()

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    async def _opening(self, line: _Line) -> Opening:
        """Return the first frame of a client that may ask.

        Raises:
            Refusal: If it may not, or the frame does not fit.
        """
        frame = await self._receive(line, time.monotonic() + self._limits.idle_s)
        if frame is None or self._is_stopping:
            raise stopped()
        try:
            opening = Opening.model_validate_json(frame)
        except ValidationError as error:
            raise _unfit(error) from None
        state = line.socket.state
        if self._keys is not None and not state.owner:
            state.owner = self._keys.name(opening.key) or ""
            if not state.owner:
                raise Refusal(
                    401,
                    "wrong_key" if opening.key else "no_key",
                    "this service wants a key: send it as key in the first frame",
                )
        return opening

    async def _score_windows(self, line: _Line, opening: Opening) -> Verdict:
        owner = line.socket.state.owner
        options = ScoreOptions(**opening.model_dump(include=set(ScoreOptions.__dataclass_fields__)))
        reader = PcmReader(opening.format, opening.rate_hz, opening.channels, opening.channel)
        live = LiveVerdict(self._engine.scorer(options, owner), origin=lambda: reader.origin)
        self._engine.allowance.check(owner)
        with self._counted(owner):
            is_whole, cut = False, None
            try:
                is_whole = await self._hear(line, live, reader)
            except Refusal as refusal:
                if refusal.code not in _CUT:
                    raise
                cut = refusal
            last = partial(live.push, reader.close())
            await self._send(line.socket, await self._in_thread(last))
            verdict = await self._in_thread(live.close)
        if is_whole:
            return verdict
        cause = f"the stream was cut off ({cut.code})" if cut else "the service stopped"
        note = f"{cause} after {verdict.duration_s:.1f} s of it: what came later was not heard"
        verdict = replace(verdict, warnings=(*verdict.warnings, note))
        if cut is None:
            return verdict
        line.so_far = verdict if verdict.duration_s else None
        raise cut

    async def _hear(self, line: _Line, live: LiveVerdict, reader: PcmReader) -> bool:
        """Score samples as they come; tell whether their client ended them, not the service.

        Raises:
            Refusal: If no more may come.
        """
        limits, owner = self._limits, line.socket.state.owner
        n_samples = 0
        deadline_s = time.monotonic() + limits.idle_s
        while isinstance(frame := await self._receive(line, deadline_s), bytes):
            samples = reader.push(frame)
            n_samples += samples.size
            if n_samples > limits.longest_job_s * SAMPLE_RATE_HZ:
                text = f"longer than {limits.longest_job_s:g} s; start another stream"
                raise Refusal(413, "too_long", text)
            self._engine.count(owner, samples.size / SAMPLE_RATE_HZ)
            await self._send(line.socket, await self._in_thread(partial(live.push, samples)))
            if samples.size:
                deadline_s = time.monotonic() + limits.idle_s
        if frame is not None:
            _check_end(frame)
        return frame is not None

    @contextmanager
    def _counted(self, owner: str) -> Iterator[None]:
        """Count a stream while it is open; without keys clients cannot be distinguished."""
        if self._n_open() >= self._limits.n_streams:
            raise Refusal(503, "busy", f"{self._n_open()} streams are open; try again later")
        if owner and self._open[owner] >= self._limits.n_streams_per_key:
            raise Refusal(
                429,
                "too_many",
                f"{self._open[owner]} streams of this key are open, the most that one may have; "
                "end one of them",
            )
        self._open[owner] += 1
        try:
            yield
        finally:
            self._open[owner] -= 1
            self._open += Counter()  # forget owners without streams

    def _n_open(self) -> int:
        return self._open.total()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        def beside() -> T:
            with self._runner.beside():
                return call()

        return await asyncio.get_running_loop().run_in_executor(self._threads, beside)

    async def _receive(self, line: _Line, deadline_s: float) -> bytes | str | None:
        """Return the next frame; None if the service stops."""
        message = await _first_of(line, deadline_s - time.monotonic())
        if line.is_revoked:
            text = "the key of this stream is no longer valid; ask for another"
            raise Refusal(401, "wrong_key", text)
        if line.ended.is_set():
            return None
        if message is None:
            text = f'no samples came for {self._limits.idle_s:g} s; send {{"end": true}} at the end'
            raise Refusal(408, "too_slow", text)
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        data: bytes | None = message.get("bytes")
        frame = data if data is not None else str(message["text"])
        if len(frame) > MOST_FRAME_BYTES:
            raise Refusal(413, "too_large", "a frame of more than 1 MB; send smaller ones")
        return frame

    async def _send(self, socket: WebSocket, updates: tuple[Update, ...]) -> None:
        for update in updates:
            await socket.send_json(update.to_dict())

    async def _fail(self, line: _Line, problem: dict[str, str], why: int) -> None:
        last: dict[str, object] = {"error": problem}
        if line.so_far is not None:
            last["verdict"] = line.so_far.to_dict()
        try:
            await line.socket.send_json(last)
            await line.socket.close(why)
        except (WebSocketDisconnect, RuntimeError):  # it has gone in the meantime
            return


async def _first_of(line: _Line, most_s: float) -> Message | None:
    """Return the next message of a stream; None if it ends before, or none comes in time."""
    receiving = asyncio.ensure_future(line.socket.receive())
    ending = asyncio.ensure_future(line.ended.wait())
    both = {receiving, ending}
    try:
        await asyncio.wait(both, timeout=most_s, return_when=asyncio.FIRST_COMPLETED)
        return receiving.result() if receiving.done() else None
    finally:
        for task in both:
            task.cancel()


def _unfit(error: ValidationError) -> Refusal:
    """Return what is said of a first frame that does not fit."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "it"
    near = ""
    if first["type"] == "extra_forbidden":
        near = suggestion(where, Opening.model_fields)
    text = f"the first frame does not fit: {where}: {first['msg'].lower()}{near}"
    return Refusal(422, "bad_field", f"{text}; send text such as {_EXAMPLE}")


def _check_end(frame: str) -> None:
    try:
        _Closing.model_validate_json(frame)
    except ValidationError:
        raise Refusal(
            422, "bad_field", 'a text frame that is not {"end": true}; send samples as binary'
        ) from None
