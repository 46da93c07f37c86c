"""Runs that are stopped on their way, as by a kill."""

import pytest

from unheard.data.batches import Batch, BatchSource

__all__ = ["Interrupted", "interrupt_before"]


class Interrupted(BaseException):
    """Stands for a kill: nobody catches it."""


def interrupt_before(stops: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise Interrupted when the batch of each of these steps is asked for, once each.

    Args:
        stops: Steps, ascending; each is taken out when it has come.
        monkeypatch: Takes the change back.
    """
    load = BatchSource.__getitem__

    def get(source: BatchSource, step: int) -> Batch:
        if stops and step == stops[0]:
            stops.pop(0)
            raise Interrupted
        return load(source, step)

    monkeypatch.setattr(BatchSource, "__getitem__", get)
