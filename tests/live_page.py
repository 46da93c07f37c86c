"""A service around a fake detector, on loopback, for browsers."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from fake_service import scorer
from unheard.service.app import create_app
from unheard.service.keys import Keys
from unheard.service.limits import Limits


@contextlib.contextmanager
def serving(folder: Path, *, model: Any = None, keys: Keys | None = None) -> Iterator[str]:
    """Serve in a thread until the end; the address."""
    limits = Limits(decode_stall_s=60.0)
    hosts = frozenset({"127.0.0.1"})
    app = create_app(scorer(model), limits, jobs=folder / "jobs", keys=keys, hosts=hosts)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, ws="websockets-sansio", lifespan="on")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
