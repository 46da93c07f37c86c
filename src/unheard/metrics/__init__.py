"""Detection metrics, calibration, intervals and tests: score arrays in, floats out.

A metric takes two arrays, scores of bona fide clips [N] and of spoofed clips [M]; higher is more
bona fide. There are no labels to encode. Metrics of a detector with a speaker verifier take more
(`tandem`, `tandem_eer`); with the verifier's rates set by `functools.partial`, a t-DCF is a metric
like the others.
"""

from unheard.metrics.by_group import (
    GroupMean,
    Macro,
    macro,
    mean_over_groups,
    mean_within_groups,
    share_by_group,
)
from unheard.metrics.change_points import Run, RunFinder, find_runs
from unheard.metrics.curves import Reliability, Tippett, reliability, tippett
from unheard.metrics.fusion import Fusion, fit_fusion
from unheard.metrics.isotonic import IsotonicCalibration, fit_isotonic
from unheard.metrics.likelihood import (
    DECIDED_ERROR,
    NEVER,
    Calibration,
    OperatingPoints,
    cllr,
    fit_calibration,
    fit_operating_points,
    min_cllr,
)
from unheard.metrics.official import det_official, eer_official, eer_threshold_official
from unheard.metrics.paired import (
    Difference,
    correct_at,
    corrected,
    mcnemar,
    paired_bootstrap,
)
from unheard.metrics.ranks import Ranks, mean_ranks
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
from unheard.metrics.tandem import (
    A_DCF_COSTS,
    ASVSPOOF5_ASV,
    ASVSPOOF_COSTS,
    AsvRates,
    TandemCosts,
    a_dcf,
    asv_rates,
    min_tdcf,
    min_tdcf_legacy,
)
from unheard.metrics.tandem_eer import t_eer

__all__ = [
    "ASVSPOOF5_ASV",
    "ASVSPOOF_COSTS",
    "A_DCF_COSTS",
    "DECIDED_ERROR",
    "METRICS",
    "NEVER",
    "OFFICIAL",
    "AsvRates",
    "Calibration",
    "Difference",
    "Fusion",
    "GroupMean",
    "Interval",
    "IsotonicCalibration",
    "Macro",
    "Metric",
    "OperatingPoints",
    "Ranks",
    "Reliability",
    "Run",
    "RunFinder",
    "TandemCosts",
    "TiesWarning",
    "Tippett",
    "a_dcf",
    "act_dcf",
    "asv_rates",
    "bayes_threshold",
    "bootstrap",
    "cllr",
    "correct_at",
    "corrected",
    "det_curve",
    "det_official",
    "eer",
    "eer_official",
    "eer_threshold",
    "eer_threshold_official",
    "find_runs",
    "fit_calibration",
    "fit_fusion",
    "fit_isotonic",
    "fit_operating_points",
    "macro",
    "mcnemar",
    "mean_over_groups",
    "mean_ranks",
    "mean_within_groups",
    "min_cllr",
    "min_dcf",
    "min_tdcf",
    "min_tdcf_legacy",
    "paired_bootstrap",
    "reliability",
    "share_by_group",
    "t_eer",
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

OFFICIAL: dict[str, Metric] = {**METRICS, "eer": eer_official}
"""The same names as the ASVspoof evaluation packages define them; only the EER differs, on ties."""
