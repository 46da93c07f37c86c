"""The operating point of segments, as a card holds it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["SegmentPoint"]


class SegmentPoint(BaseModel):
    """Operating point of segments: which stretches of a recording are called synthetic.

    Attributes:
        level: Of `unheard.metrics.RunFinder`.
        evidence: The same; all else is what the two did on the dev clips that chose them.
        false_per_hour: False segments in an hour of people's speech.
        low: Lower end of its 95 % interval, recordings drawn whole.
        high: Upper end.
        hours: Hours of people's speech, each recording counted once.
        found: Share of inserted stretches that a segment overlaps.
        n_inserted: Inserted stretches.
        date: Day of the fit, ISO 8601.
        manifest: Hash of the clips.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    level: float
    evidence: float = Field(gt=0)
    false_per_hour: float = Field(default=0.0, ge=0)
    low: float = Field(default=0.0, ge=0)
    high: float = Field(default=0.0, ge=0)
    hours: float = Field(default=0.0, ge=0)
    found: float = Field(default=0.0, ge=0, le=1)
    n_inserted: int = Field(default=0, ge=0)
    date: str = ""
    manifest: str = ""
