"""Cases to write reports of: verdicts of a fake detector, and its card."""

from typing import Any

import numpy as np

from unheard.detectors.card import Card, Material, Provenance, Result
from unheard.scoring.case_report import case
from unheard.scoring.verdict import Verdict
from voice import CALIBRATION, OPERATING_POINTS, scorer

RESULT = Result(
    protocol="open/eval_out", n_bonafide=280, n_spoof=499, eer=0.371, eer_low=0.33, eer_high=0.41
)
CARD = Card(
    name="level",
    version="1",
    window_s=1.0,
    hop_s=0.5,
    calibration=CALIBRATION,
    operating_points=OPERATING_POINTS,
    results=[RESULT, RESULT.model_copy(update={"group": "diphone", "eer": 0.2})],
    limits=["Do not decide on a person by it."],
    provenance=Provenance(
        families={"diphone": 7},
        material=[Material(part="train", corpus="some corpus", n_bonafide=1200, n_spoof=34)],
    ),
)


def scored(samples: np.ndarray, **settings: Any) -> Verdict:
    return scorer(**settings).samples(samples, name="call.wav")


def whole(verdict: Verdict, **more: Any) -> dict[str, Any]:
    result = {
        "verdict": verdict.to_dict(),
        "audio": {"name": verdict.source, "bytes": 64_044, "sha256": "9f" * 32},
        "scored_at": "2026-11-22T11:00:00+01:00",
        "request_id": "5d41402abc4b2a76",
        "settings": {"minimum_speech_s": 0.5, "hop_s": None},
        **more,
    }
    return case(result, CARD)


NASTY = """<script>alert(1)</script><img src=x onerror="alert(2)">'"&</script>.wav"""
