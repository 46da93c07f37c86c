"""Runs a service around a slow fake detector: python serve_program.py JOBS [KEYS LATE_S]."""

import sys
import time
from pathlib import Path


def main() -> None:
    # Processes that decode import this file again, so it imports nothing by itself.
    from fake_service import Level, scorer
    from unheard.service import server
    from unheard.service.app import create_app
    from unheard.service.keys import Keys
    from unheard.service.server import Address, run
    from unheard.types import FloatArray

    class Slow(Level):
        def expert_scores(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
            time.sleep(0.2)
            return super().expert_scores(windows)

    keys = None
    if len(sys.argv) > 2:
        keys = Keys.read(Path(sys.argv[2]))
        server._LATE_S = float(sys.argv[3])
    app = create_app(scorer(Slow()), jobs=Path(sys.argv[1]), keys=keys)
    run(app, Address("127.0.0.1", 0), lambda url: print(url, flush=True))  # noqa: T201
    assert "torch" not in sys.modules, "a service of an exported detector needs no torch"


if __name__ == "__main__":
    main()
