"""What every request passes before it is read, and what is noted of it after.

Order: who is asked (host, origin), who asks (key), is there capacity, how much and how slowly it
comes. A request that is refused here has cost no more than its headers.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unheard.service.keys import Keys
from unheard.service.limits import Limits, Refusal
from unheard.service.shares import Allowance
from unheard.service.stopping import Stopping, stopped
from unheard.service.telemetry import Telemetry, error_fields

__all__ = ["Guard", "refused"]

_OPEN = frozenset({"/", "/healthz", "/openapi.json", "/favicon.ico"})
_UPLOADS = frozenset({"/v1/score", "/v1/scores", "/v1/jobs"})
_STREAM = "/v1/stream"
_FORM_BYTES = 64 << 10
"""What a form may hold next to its file."""

_LOOK_S = 1.0

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}


class Guard:
    """An ASGI application around another."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        telemetry: Telemetry,
        keys: Keys | None = None,
        hosts: frozenset[str] | None = None,
        stopping: Stopping,
        allowance: Allowance,
    ) -> None:
        """Take what to hold requests to.

        Args:
            app: What answers.
            limits: What may come in.
            telemetry: Where it is counted.
            keys: Who may ask; None lets everybody.
            hosts: Names that the service answers to; None takes any. Without keys this keeps a web
                page from reaching a service on loopback through a name of its own.
            stopping: Whether the service is about to end.
            allowance: How much audio a key may send.
        """
        self._allowance = allowance
        self._stopping = stopping
        self._app = app
        self._limits = limits
        self._telemetry = telemetry
        self._keys = keys
        self._hosts = hosts
        self._inside: Counter[str] = Counter()
        telemetry.watch("unheard_uploads_in_house", "Uploads received or scored.", self._n_inside)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        state = scope.setdefault("state", {})
        state |= {"request_id": request_id, "owner": ""}
        if scope["type"] == "websocket":
            await self._open_stream(scope, headers, receive, send)
            return
        answer = _Answer(send, request_id, private=scope["path"].startswith("/v1"))
        try:
            await self._admit(scope, headers, receive, answer)
            if answer.refusal is not None:
                raise answer.refusal
        except Refusal as refusal:
            await answer.refuse(refusal, scope, receive)
        except ClientDisconnect:  # in the middle of its upload
            gone = Refusal(400, "gone", "the client went away before its request was whole")
            await answer.refuse(gone, scope, receive)
        except Exception as error:
            self._telemetry.fault(error, request_id)
            await answer.fail(error, scope, receive)
        self._note(scope, answer)

    async def _admit(
        self, scope: Scope, headers: Headers, receive: Receive, answer: _Answer
    ) -> None:
        self._check_site(scope, headers)
        owner = scope["state"]["owner"] = self._owner(scope["path"], headers)
        if scope["method"] != "POST" or scope["path"] not in _UPLOADS:
            await self._app(scope, self._body(receive, _FORM_BYTES, answer), answer)
            return
        self._check_capacity(owner)
        most_bytes = self._limits.most_bytes + _FORM_BYTES
        _check_length(headers, most_bytes, self._limits)
        self._inside[owner] += 1
        try:
            await self._app(scope, self._body(receive, most_bytes, answer), answer)
        finally:
            self._inside[owner] -= 1
            self._inside += Counter()  # forget owners without requests

    async def _open_stream(
        self, scope: Scope, headers: Headers, receive: Receive, send: Send
    ) -> None:
        """Let a stream in; a browser cannot send its key before the first frame.

        One that is refused here gets the answer that a request would get.
        """
        answer = _Answer(send, scope["state"]["request_id"], private=True)
        try:
            self._check_site(scope, headers)
            if "authorization" in headers:
                scope["state"]["owner"] = self._owner(scope["path"], headers)
            if scope["path"] != _STREAM:
                raise Refusal(404, "not_found", f"no stream is here; open {_STREAM}")
            if scope["query_string"]:
                raise Refusal(
                    422,
                    "bad_field",
                    f"{_STREAM} has no query parameters; say what will come in the first frame",
                )
        except Refusal as refusal:
            await receive()
            await answer.refuse(refusal, scope, receive)
            self._telemetry.note(
                "stream",
                request_id=answer.request_id,
                key=scope["state"]["owner"],
                code=refusal.code,
            )
            return
        await self._app(scope, receive, send)

    def _body(self, receive: Receive, most_bytes: int, answer: _Answer) -> _Body:
        return _Body(receive, most_bytes, self._limits, answer, self._stopping)

    def _check_site(self, scope: Scope, headers: Headers) -> None:
        """Refuse requests that another site's page makes in a visitor's browser."""
        host = headers.get("host", "")
        if self._hosts is not None and _name(host) not in self._hosts:
            raise Refusal(
                403,
                "wrong_host",
                f"asked as {host!r}; without keys this service answers to "
                f"{', '.join(sorted(self._hosts))} only: use that address, or start it with --keys",
            )
        origin = headers.get("origin")
        if origin is not None and _origin_host(origin) != host.lower():
            raise Refusal(
                403,
                "wrong_origin",
                f"asked by a page of {origin!r}; pages of other sites are not answered: "
                "open this service's own page, or ask from a program",
            )

    def _owner(self, path: str, headers: Headers) -> str:
        if self._keys is None or path in _OPEN or path.startswith("/static/"):
            return ""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        owner = self._keys.name(key.strip()) if scheme.lower() == "bearer" else None
        if owner is None:
            raise Refusal(
                401,
                "no_key" if not key else "wrong_key",
                "this service wants a key: send the header 'Authorization: Bearer KEY'; "
                "who runs it makes one with: unheard serve --make-key",
            )
        return owner

    def _check_capacity(self, owner: str) -> None:
        if self._n_inside() >= self._limits.n_active + self._limits.n_waiting:
            raise Refusal(
                503,
                "busy",
                f"{self._n_inside()} recordings are scored or wait; try again in a few seconds",
                retry_after_s=5,
            )
        if self._inside[owner] >= self._limits.n_per_key and self._keys is not None:
            raise Refusal(
                429,
                "too_many",
                f"{self._inside[owner]} requests of this key are being answered, the most that "
                "one may have; wait for one of them",
                retry_after_s=5,
            )

        self._allowance.check(owner)

    def _n_inside(self) -> int:
        return self._inside.total()

    def _note(self, scope: Scope, answer: _Answer) -> None:
        route = getattr(scope.get("route"), "path", "other")
        elapsed_s = time.monotonic() - answer.started_s
        method = scope["method"] if scope["method"] in {"GET", "POST", "DELETE"} else "other"
        self._telemetry.requests.labels(method, route, str(answer.status)).inc()
        self._telemetry.seconds.labels(route).observe(elapsed_s)
        state = scope["state"]
        self._telemetry.note(
            "request",
            request_id=answer.request_id,
            method=method,
            route=route,
            status=answer.status,
            elapsed_s=round(elapsed_s, 3),
            key=state["owner"],
            code=answer.code or state.get("code"),
        )


class _Answer:
    """Sends an answer with our headers; a refusal that came up on the way takes its place."""

    def __init__(self, send: Send, request_id: str, *, private: bool) -> None:
        self.request_id = request_id
        self.started_s = time.monotonic()
        self.status = 0
        self.code: str | None = None
        self.refusal: Refusal | None = None
        self._send = send
        self._headers = {**_HEADERS, "X-Request-ID": request_id}
        self._headers["Cache-Control"] = "no-store" if private else "no-cache"
        self._replaced = False

    async def __call__(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"].endswith("http.response.start"):
            self._replaced = self.refusal is not None and self.code is None
            if self._replaced:
                return
            self.status = message["status"]
            MutableHeaders(scope=message).update(self._headers)
        await self._send(message)

    async def refuse(self, refusal: Refusal, scope: Scope, receive: Receive) -> None:
        if self.status:
            return
        self._replaced = False
        self.code = refusal.code
        await refused(refusal, self.request_id)(scope, receive, self)

    async def fail(self, error: Exception, scope: Scope, receive: Receive) -> None:
        if self.status:
            raise error
        self.code = "internal"
        content = {"error": error_fields(error, self.request_id)}
        await JSONResponse(content, 500)(scope, receive, self)


class _Body:
    """Receives a request and refuses one that is too large or too slow."""

    def __init__(
        self,
        receive: Receive,
        most_bytes: int,
        limits: Limits,
        answer: _Answer,
        stopping: Stopping,
    ) -> None:
        self._receive = receive
        self._most_bytes = most_bytes
        self._limits = limits
        self._answer = answer
        self._stopping = stopping
        self._n_bytes = 0
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()
        message = await self._next()
        self._n_bytes += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._n_bytes > self._most_bytes:
            self._answer.refusal = _too_large(self._limits)
            raise self._answer.refusal
        return message

    async def _next(self) -> Message:
        """Return the next part, unless it comes too late; now and then see whether it has."""
        while not self._stopping.is_late:
            left_s = self._answer.started_s + self._limits.upload_s - time.monotonic()
            try:
                return await asyncio.wait_for(self._receive(), max(min(left_s, _LOOK_S), 0.001))
            except TimeoutError:
                if left_s > _LOOK_S:
                    continue
                self._answer.refusal = Refusal(
                    408,
                    "too_slow",
                    f"the request had not arrived after {self._limits.upload_s:g} s; "
                    "use a faster line or a smaller file",
                )
                raise self._answer.refusal from None
        self._answer.refusal = stopped()
        raise self._answer.refusal


def refused(refusal: Refusal, request_id: str) -> JSONResponse:
    """Return the answer to a request that is refused."""
    headers: Mapping[str, str] = {}
    if refusal.retry_after_s is not None:
        headers = {"Retry-After": str(refusal.retry_after_s)}
    if refusal.status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    return JSONResponse({"error": error_fields(refusal, request_id)}, refusal.status, headers)


def _check_length(headers: Headers, most_bytes: int, limits: Limits) -> None:
    stated = headers.get("content-length", "0")
    if not stated.isdecimal() or int(stated[:20]) > most_bytes:
        raise _too_large(limits)


def _too_large(limits: Limits) -> Refusal:
    return Refusal(
        413,
        "too_large",
        f"larger than {limits.most_bytes / 1e6:g} MB, the most that is taken here; cut it, or "
        "compress it as flac or opus",
    )


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _name(host: str) -> str:
    """Return the name in a Host header, without its port."""
    if not host.isprintable():
        return ""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _origin_host(origin: str) -> str | None:
    """Return the host and port in an Origin header; None if it has none that can be read."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None
