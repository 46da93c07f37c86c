"""Samples over a WebSocket: scores and a growing verdict as they come, the verdict at the end.

The client sends a text frame that says what will come, binary frames of samples, and the text frame
{"end": true}. The service sends {"window": ..., "running": ...} after each window, then
{"verdict": ...} and closes; or {"error": ...} and closes.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from unheard.audio import SAMPLE_RATE_HZ
from unheard.audio.pcm import PcmReader
from unheard.errors import UnheardError
from unheard.scoring.live import LiveVerdict, Update
from unheard.scoring.verdict import Verdict
from unheard.service.engine import Engine, ScoreOptions
from unheard.service.keys import Keys
from unheard.service.limits import Refusal
from unheard.service.telemetry import Telemetry, error_fields

__all__ = ["MOST_FRAME_BYTES", "Opening", "Streams"]

MOST_FRAME_BYTES = 1 << 20
"""Size of a frame; the server that speaks the protocol refuses larger ones."""

_REFUSED, _OUR_FAULT = 1008, 1011
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
    operating_point: str | None = None
    threshold: float | None = None
    spoof_prior: float | None = None
    minimum_speech_s: float | None = None


class _Closing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    end: Literal[True]


class Streams:
    """The streams of one service."""

    def __init__(self, engine: Engine, telemetry: Telemetry, keys: Keys | None) -> None:
        self._engine = engine
        self._telemetry = telemetry
        self._keys = keys
        self._limits = engine.limits
        self._threads = ThreadPoolExecutor(engine.limits.n_streams, thread_name_prefix="stream")
        self._open: Counter[str] = Counter()
        telemetry.watch("unheard_streams_open", "Streams that are open.", self._n_open)

    async def answer(self, socket: WebSocket) -> None:
        """Score one stream, and close it."""
        await socket.accept()
        request_id = socket.state.request_id
        code: str | None = None
        try:
            opening = await self._opening(socket)
            verdict = await self._score_windows(socket, opening)
            self._telemetry.scored(verdict.to_dict())
            await socket.send_json({"verdict": verdict.to_dict()})
            await socket.close()
        except WebSocketDisconnect:
            code = "gone"
        except Exception as error:
            problem = error_fields(error, request_id)
            code = problem["code"]
            expected = isinstance(error, UnheardError)
            if not expected:
                self._telemetry.fault(error, request_id)
            await self._fail(socket, problem, _REFUSED if expected else _OUR_FAULT)
        self._telemetry.note("stream", request_id=request_id, key=socket.state.owner, code=code)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    async def _opening(self, socket: WebSocket) -> Opening:
        """Return the first frame of a client that may ask.

        Raises:
            Refusal: If it may not, or the frame does not fit.
        """
        frame = await self._receive(socket, time.monotonic() + self._limits.idle_s)
        try:
            opening = Opening.model_validate_json(frame)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            text = f"the first frame does not fit: {where}: {first['msg'].lower()}"
            raise Refusal(422, "bad_field", f"{text}; send text such as {_EXAMPLE}") from None
        if self._keys is not None and not socket.state.owner:
            socket.state.owner = self._keys.name(opening.key) or ""
            if not socket.state.owner:
                raise Refusal(
                    401, "no_key", "this service wants a key: send it as key in the first frame"
                )
        return opening

    async def _score_windows(self, socket: WebSocket, opening: Opening) -> Verdict:
        limits = self._limits
        options = ScoreOptions(**opening.model_dump(include=set(ScoreOptions.__dataclass_fields__)))
        reader = PcmReader(opening.format, opening.rate_hz, opening.channels, opening.channel)
        live = LiveVerdict(self._engine.scorer(options), origin=lambda: reader.origin)
        with self._counted(socket.state.owner):
            n_samples = 0
            deadline_s = time.monotonic() + limits.idle_s
            while isinstance(frame := await self._receive(socket, deadline_s), bytes):
                samples = reader.push(frame)
                n_samples += samples.size
                if n_samples > limits.longest_job_s * SAMPLE_RATE_HZ:
                    text = f"longer than {limits.longest_job_s:g} s; start another stream"
                    raise Refusal(413, "too_long", text)
                await self._send(socket, await self._in_thread(partial(live.push, samples)))
                if samples.size:
                    deadline_s = time.monotonic() + limits.idle_s
            _check_end(frame)
            last = partial(live.push, reader.close())
            await self._send(socket, await self._in_thread(last))
            return await self._in_thread(live.close)

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
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def _receive(self, socket: WebSocket, deadline_s: float) -> bytes | str:
        try:
            message = await asyncio.wait_for(socket.receive(), deadline_s - time.monotonic())
        except TimeoutError:
            text = f'no samples came for {self._limits.idle_s:g} s; send {{"end": true}} at the end'
            raise Refusal(408, "too_slow", text) from None
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

    async def _fail(self, socket: WebSocket, problem: dict[str, str], why: int) -> None:
        try:
            await socket.send_json({"error": problem})
            await socket.close(why)
        except (WebSocketDisconnect, RuntimeError):  # it has gone in the meantime
            return


def _check_end(frame: str) -> None:
    try:
        _Closing.model_validate_json(frame)
    except ValidationError:
        raise Refusal(
            422, "bad_field", 'a text frame that is not {"end": true}; send samples as binary'
        ) from None
