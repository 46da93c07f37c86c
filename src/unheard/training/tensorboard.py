"""The log of a run for TensorBoard, written while the run goes on."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from unheard.errors import MissingExtra, TrainingError
from unheard.training.curves import read
from unheard.training.run_page import EVENTS
from unheard.types import Say

__all__ = ["Mirror"]


class Mirror:
    """Copies what a run logs to `out/tensorboard` whenever it has checked on dev.

    A context manager. All of the log is written each time that a run is resumed, and what was
    written before is purged, so no step is there twice.
    """

    def __init__(self, out: Path, say: Say) -> None:
        """Open the folder of a run.

        Args:
            out: The folder.
            say: Where what the run says goes on to.

        Raises:
            MissingExtra: If TensorBoard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError as error:
            raise MissingExtra("tensorboard", "tensorboard") from error
        self._out, self._say = out, say
        self._kind: Any = SummaryWriter
        self._writer: Any = None
        self._last = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._copy()
        if self._writer is not None:
            self._writer.close()

    def say(self, line: str) -> None:
        """Pass a line on; at a check of dev, copy what was logged before it.

        Not before: a run that resumes first cuts its log to what its checkpoint knows of.
        """
        if line.startswith("step "):
            self._copy()
        self._say(line)

    def _copy(self) -> None:
        try:
            lines = read(self._out).lines
        except TrainingError:  # nothing is logged yet
            return
        if self._writer is None:
            self._writer = self._kind(str(self._out / EVENTS), purge_step=0)
        for line in lines:
            if line["step"] > self._last:
                for name, value in line.items():
                    if name != "step":
                        self._writer.add_scalar(name, value, int(line["step"]))
        self._last = max((int(line["step"]) for line in lines), default=0)
        self._writer.flush()
