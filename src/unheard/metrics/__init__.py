"""Detection metrics, calibration and intervals: score arrays in, floats out.

A metric takes two arrays, scores of bona fide clips [N] and of spoofed clips [M]; higher is more
bona fide. There are no labels to encode.
"""

from unheard.metrics.curves import Reliability, Tippett, reliability, tippett
from unheard.metrics.likelihood import (
    DECIDED_ERROR,
    Calibration,
    OperatingPoints,
    cllr,
    fit_calibration,
    fit_operating_points,
    min_cllr,
)
from unheard.metrics.rates import (
    TiesWarning,
    act_dcf,
    bayes_threshold,
    det_curve,
    eer,
    eer_threshold,
    min_dcf,
)
from unheard.metrics.resampling import Interval, Metric, bootstrap

__all__ = [
    "DECIDED_ERROR",
    "METRICS",
    "Calibration",
    "Interval",
    "Metric",
    "OperatingPoints",
    "Reliability",
    "TiesWarning",
    "Tippett",
    "act_dcf",
    "bayes_threshold",
    "bootstrap",
    "cllr",
    "det_curve",
    "eer",
    "eer_threshold",
    "fit_calibration",
    "fit_operating_points",
    "min_cllr",
    "min_dcf",
    "reliability",
    "tippett",
]

METRICS: dict[str, Metric] = {
    "eer": eer,
    "min_dcf": min_dcf,
    "act_dcf": act_dcf,
    "cllr": cllr,
    "min_cllr": min_cllr,
}
"""What a report holds; `act_dcf` and `cllr` want natural-log likelihood ratios."""
