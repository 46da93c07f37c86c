"""Runs the application on an address until it gets a signal to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import time
from pathlib import Path
from typing import NamedTuple

import uvicorn
from fastapi import FastAPI

from unheard.errors import ServiceError
from unheard.service.state import App
from unheard.service.stream import MOST_FRAME_BYTES
from unheard.service.telemetry import JsonLines
from unheard.types import Say

__all__ = ["Address", "run"]

_MOST_CONNECTIONS = 512
_FINISH_S = 60
_LATE_S = 30.0
"""When requests that still wait are refused: a decoder may hold out longer."""


class Address(NamedTuple):
    """Where to listen.

    Attributes:
        host: Name or number.
        port: 0 takes a free one.
        certificate: PEM file, to serve https.
        private_key: PEM file of its key.
    """

    host: str
    port: int
    certificate: Path | None = None
    private_key: Path | None = None


def run(app: FastAPI, address: Address, announce: Say) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is being answered; log JSON to stderr.

    SIGHUP reads the keys again, if there are any.

    Args:
        app: Made by `create_app`.
        address: Where to listen.
        announce: Gets the URL, once connections are accepted.

    Raises:
        ServiceError: If the address is not available.
    """
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[lines])
    listening = _listen(address)
    service: App = app.state.app
    if service.keys is not None:  # they were just read; until the server listens to it
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    scheme = "http" if address.certificate is None else "https"
    host = f"[{address.host}]" if ":" in address.host else address.host
    announce(f"{scheme}://{host}:{listening.getsockname()[1]}")
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_FINISH_S,
        ws="websockets-sansio",
        ws_max_size=MOST_FRAME_BYTES,
        ws_per_message_deflate=False,
        ssl_certfile=address.certificate,
        ssl_keyfile=address.private_key,
    )
    # The server raises the signal again once it has ended; by then all is done, and well.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with contextlib.closing(listening), contextlib.suppress(KeyboardInterrupt):
            _Server(config, service).run(sockets=[listening])
    finally:
        signal.signal(signal.SIGTERM, before)


class _Server(uvicorn.Server):
    """A server that ends streams itself, with their verdicts, before it ends connections."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._app.keys is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._app.reload)
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in self.servers:
            listening.close()
        begun_s = time.monotonic()
        await self._app.stop(_LATE_S)
        self.config.timeout_graceful_shutdown = round(_FINISH_S - (time.monotonic() - begun_s))
        await super().shutdown(sockets)


def _listen(address: Address) -> socket.socket:
    try:
        addresses = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        # A socket without its protocol would wait for acks.
        family, kind, protocol, _, where = addresses[0]
        with contextlib.ExitStack() as opened:
            listening = opened.enter_context(socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(where)
            listening.listen(_MOST_CONNECTIONS)
            opened.pop_all()
    except OSError as error:
        raise ServiceError(
            f"cannot listen on {address.host} port {address.port} ({error.strerror}); "
            "choose another --port, or --host"
        ) from error
    return listening
