"""Export a bundle to a graph that needs no torch, rounded or not, and say what rounding costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unheard import audio, metrics
from unheard.detectors import bundle as bundles
from unheard.detectors.card import Card, Shift
from unheard.errors import AudioError, BundleError, EvaluationError
from unheard.evaluation.evaluate import refuse_seen
from unheard.scoring.windowed import pooled
from unheard.types import Say

if TYPE_CHECKING:
    from unheard.data.clip import Manifest
    from unheard.detectors.bundle_files import Bundle, Model

__all__ = ["RoundedScores", "export", "shift"]


@dataclass(frozen=True, eq=False)
class RoundedScores:
    """Clips that a rounded graph is compared on with the one before.

    Attributes:
        name: What the card calls them: protocol and part.
        clips: Bona fide and spoofed clips that the detector was not trained or tuned on.
    """

    name: str
    clips: Manifest


def export(
    source: Path,
    out: Path,
    *,
    rounded_on: RoundedScores | None = None,
    say: Say = lambda _: None,
) -> Bundle:
    """Write an exported bundle, after its scores have been compared with torch's.

    Args:
        source: Folder of a trained bundle.
        out: Folder to write, in one step.
        rounded_on: Round the weights of large linear layers to 8 bits, and measure on these clips
            what that does to scores; None leaves them in float32.
        say: Called with lines of progress.

    Returns:
        The exported bundle, loaded.

    Raises:
        BundleError: If the bundle cannot be loaded or was exported before, or the graph's scores
            differ from torch's.
        EvaluationError: If the clips were trained on, are of one class, or cannot be read.
        MissingExtra: If torch, onnx or onnxscript is not installed.
    """
    if out.resolve() == source.resolve():
        raise BundleError(f"{out}: the trained bundle would be lost; give --out another folder")
    bundle = bundles.load(source)
    detector, card = bundle.detector, bundle.card
    if rounded_on is not None:
        refuse_seen(bundle, rounded_on.clips)
    from unheard.detectors import exported, onnx

    say("tracing the graph; this takes from seconds to minutes")
    content = onnx.graph(detector, card.window_s)
    parity = onnx.parity(detector, content, card.window_s)
    say(f"raw scores differ from torch's by {parity[0]:.1g} at most")
    measured = None
    if rounded_on is not None:
        before = exported.opened(content, "the graph", detector.experts)
        content = onnx.rounded(content, detector)
        after = exported.opened(content, "the rounded graph", detector.experts)
        measured = shift(before, after, card, rounded_on, say=say)
    return bundles.load(onnx.write(bundle, out, content, parity, measured))


def shift(
    before: Model,
    after: Model,
    card: Card,
    trials: RoundedScores,
    *,
    say: Say = lambda _: None,
) -> Shift:
    """Return what rounding did to the pooled raw scores of clips and to the equal error rate.

    Args:
        before: The graph in float32.
        after: The rounded one.
        card: Says how windows are cut and pooled.
        trials: What to score; a clip that cannot be read is reported and left out.
        say: Called with lines of progress.

    Raises:
        EvaluationError: If bona fide or spoofed clips are lacking.
    """
    scores: list[tuple[float, float]] = []
    bonafide: list[bool] = []
    for clip in trials.clips:
        try:
            samples = audio.read(trials.clips.audio(clip)).samples
            scores.append((_raw(before, card, samples), _raw(after, card, samples)))
            bonafide.append(clip.bonafide)
        except AudioError as error:
            say(f"left out: {error}")
    is_bonafide = np.array(bonafide, bool)
    if is_bonafide.all() or not is_bonafide.any():
        raise EvaluationError(
            f"{trials.name}: {int(is_bonafide.sum())} bona fide and {int((~is_bonafide).sum())} "
            "spoofed clips can be scored; give --data and --protocol with both kinds"
        )
    pairs = np.array(scores)
    moved = np.abs(pairs[:, 1] - pairs[:, 0])
    rates = [metrics.eer(pooled[is_bonafide], pooled[~is_bonafide]) for pooled in pairs.T]
    return Shift(
        protocol=trials.name,
        n_bonafide=int(is_bonafide.sum()),
        n_spoof=int((~is_bonafide).sum()),
        drift=float(moved.mean()),
        largest=float(moved.max()),
        spread=float(pairs[:, 0].std()),
        eer_before=rates[0],
        eer_after=rates[1],
    )


def _raw(model: Model, card: Card, samples: np.ndarray) -> float:
    return pooled(
        model.scores, samples, window_s=card.window_s, hop_s=card.hop_s, pooling=card.pooling
    )
