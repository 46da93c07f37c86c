"""What a service that is about to end tells those who still wait."""

from __future__ import annotations

from unheard.service.engine import Work
from unheard.service.limits import Refusal

__all__ = ["Stopping", "stopped"]


class Stopping:
    """The requests that are being answered, until there is no more time for them.

    Attributes:
        is_late: Whether there is none.
        works: What is scored, or waits for it.
    """

    def __init__(self) -> None:
        self.is_late = False
        self.works: set[Work] = set()

    def be_late(self) -> None:
        """Stop what is scored; uploads see for themselves."""
        self.is_late = True
        for work in self.works:
            work.stopped.set()


def stopped() -> Refusal:
    """Return what a request gets that can no longer be answered."""
    return Refusal(503, "stopped", "the service is stopping; send it again", retry_after_s=30)
