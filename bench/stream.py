"""How early may a running verdict decide, how often is that wrong, and how late is a score?

    python bench/stream.py MANIFEST [--parts dev dev_extra] [--detector BUNDLE]

Recordings are the clips of one voice and attack, joined in several random orders. A decision that
the rule makes early has *changed* if the whole recording is decided otherwise, and is *wrong* if
it names the other class. Rules are chosen on dev parts; evaluation parts only report.

Recordings of one voice are not independent, so the counts say how many voices there are.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from unheard import audio
from unheard.data.clip import Clip, Manifest
from unheard.detectors import bundle
from unheard.scoring.live import EarlyDecision, LiveVerdict, Update
from unheard.scoring.many import Settings
from unheard.scoring.scorer import OPERATING_POINTS, Scorer
from unheard.scoring.verdict import Verdict, decide
from unheard.types import FloatArray

SHORTEST_S = 20.0
CHUNK = 320  # 20 ms, as calls send them


@dataclass(frozen=True, eq=False)
class Scored:
    """A recording, what was known after each of its windows, and in the end."""

    bonafide: bool
    voice: str
    updates: list[Update]
    verdict: Verdict
    overlap: float

    def early(
        self, rule: EarlyDecision, thresholds: tuple[float, float]
    ) -> tuple[str, float] | None:
        """Decision of a rule and seconds that it took; None if it made none."""
        scores: list[float] = []
        for update in self.updates:
            if update.window.score is not None:
                scores.append(update.window.score)
            if update.score is None or update.speech_s < rule.first_speech_s:
                continue
            margin = rule.margin(np.array(scores), self.overlap)
            low = decide(update.score - margin, thresholds)
            if low == decide(update.score + margin, thresholds):
                return low, update.heard_s
        return None

    def at_end(self, thresholds: tuple[float, float]) -> str | None:
        """Decision on the whole."""
        return None if self.verdict.score is None else decide(self.verdict.score, thresholds)


def recordings(
    manifest: Manifest, longest_s: float, n_orders: int
) -> list[tuple[bool, str, FloatArray]]:
    """Clips of each voice and attack joined: bona fide or not, voice, samples [T]."""
    by_voice: dict[tuple[bool, str, str], list[Clip]] = defaultdict(list)
    for clip in manifest:
        by_voice[clip.bonafide, clip.speaker, clip.attack].append(clip)
    joined_clips = []
    for (bonafide, speaker, attack), clips in sorted(by_voice.items()):
        if sum(clip.duration_s for clip in clips) < SHORTEST_S:
            continue
        waves = [audio.read(manifest.audio(clip)).samples for clip in clips]
        for order in range(n_orders):
            mixed = np.random.default_rng(order).permutation(len(waves))
            joined = np.concatenate([waves[index] for index in mixed])
            n_samples = round(longest_s * audio.SAMPLE_RATE_HZ)
            joined_clips.append((bonafide, f"{speaker} {attack}", joined[:n_samples]))
    return joined_clips


def score_windows(scorer: Scorer, samples: FloatArray) -> tuple[list[Update], Verdict]:
    """Push samples as a call sends them."""
    running = LiveVerdict(scorer)
    updates: list[Update] = []
    for start in range(0, samples.size, CHUNK):
        updates += running.push(samples[start : start + CHUNK])
    return updates, running.close()


def line(
    recordings: list[Scored], rule: EarlyDecision, thresholds: tuple[float, float], bonafide: bool
) -> str:
    """Cells of one class: decided early, of them undecided, changed, wrong; wrong in the end; s."""
    mine = [recording for recording in recordings if recording.bonafide is bonafide]
    pairs = [(recording.early(rule, thresholds), recording) for recording in mine]
    early = [(decision, recording) for decision, recording in pairs if decision is not None]
    unsure = sum(decision[0] == "undecided" for decision, _ in early)
    changed = sum(decision[0] != recording.at_end(thresholds) for decision, recording in early)
    other = "spoof" if bonafide else "bonafide"
    wrong = sum(decision[0] == other for decision, _ in early)
    at_end = sum(recording.at_end(thresholds) == other for recording in mine)
    taken_s = [decision[1] for decision, _ in early]
    when = f"{np.median(taken_s):.0f} ({np.quantile(taken_s, 0.9):.0f})" if taken_s else "-"
    return f"{len(early)} of {len(mine)} | {unsure} | {changed} | {wrong} | {at_end} | {when}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("manifest", type=Path)
    arguments.add_argument("--parts", nargs="+", default=["dev", "dev_extra"])
    arguments.add_argument("--detector", type=Path, default=None)
    arguments.add_argument("--longest", type=float, default=90.0, help="seconds of a recording")
    arguments.add_argument("--orders", type=int, default=4, help="random orders of each voice")
    arguments.add_argument("--errors", type=float, nargs="+", default=[EarlyDecision.error])
    arguments.add_argument(
        "--best-windows", type=float, nargs="+", default=[EarlyDecision.best_windows]
    )
    arguments.add_argument(
        "--spreads", type=float, nargs="+", default=[EarlyDecision.assumed_spread]
    )
    arguments.add_argument("--points", nargs="+", default=list(OPERATING_POINTS))
    chosen = arguments.parse_args()
    detector = chosen.detector or bundle.default()
    scorer = Settings(detector).scorer()
    manifest = Manifest.read(chosen.manifest).part(*chosen.parts)
    drawn = recordings(manifest, chosen.longest, chosen.orders)
    overlap = scorer.bundle.card.hop_s / scorer.bundle.card.window_s
    cpu_s = time.process_time()
    scored = [
        Scored(bonafide, voice, *score_windows(scorer, samples), overlap)
        for bonafide, voice, samples in drawn
    ]
    total_s = sum(samples.size for _, _, samples in drawn) / audio.SAMPLE_RATE_HZ
    print_speed(scored, total_s, time.process_time() - cpu_s, scorer)
    for point in chosen.points:
        print_decisions(scored, point, Settings(detector, point).scorer().thresholds(), chosen)


def print_speed(recordings: list[Scored], total_s: float, cpu_s: float, scorer: Scorer) -> None:
    """Print how late scores came."""
    late_s = np.array(
        [update.latency_s for recording in recordings for update in recording.updates]
    )
    card = scorer.bundle.card
    n_voices = [
        len({recording.voice for recording in recordings if recording.bonafide is side})
        for side in (True, False)
    ]
    spread = [
        np.std([window.score for window in recording.verdict.windows if window.score is not None])
        for recording in recordings
    ]
    print(
        f"{len(recordings)} recordings of {n_voices[0]} bona fide and {n_voices[1]} spoofed "
        f"voices, {total_s / 60:.0f} minutes in chunks of 20 ms: {total_s / cpu_s:.0f} x real time "
        f"by processor time.\nA window of {card.window_s:g} s is scored "
        f"{1000 * np.median(late_s):.0f} ms (99 %: {1000 * np.quantile(late_s, 0.99):.0f} ms) "
        f"after its last sample, {np.median(late_s) / card.hop_s:.1%} of the hop of "
        f"{card.hop_s:g} s.\nSpread of the windows of a recording: median "
        f"{np.median(spread):.2f}, 90 % below {np.quantile(spread, 0.9):.2f}"
    )


def print_decisions(
    recordings: list[Scored],
    point: str,
    thresholds: tuple[float, float],
    chosen: argparse.Namespace,
) -> None:
    """Print what each rule would have decided."""
    cells = (
        "decided early | as undecided | changed | wrong | wrong in the end "
        "| after s, median (90 %) |"
    )
    print(
        f"\n{point}, parts {', '.join(chosen.parts)}\n\n"
        f"| error | best windows | assumed spread | bona fide: {cells} spoofed: {cells}\n|"
        + "---|"
        * 15
    )
    for error, best, assumed in product(chosen.errors, chosen.best_windows, chosen.spreads):
        rule = EarlyDecision(error=error, best_windows=best, assumed_spread=assumed)
        bonafide, spoof = (line(recordings, rule, thresholds, side) for side in (True, False))
        print(f"| {error} | {best:g} | {assumed:g} | {bonafide} | {spoof} |", flush=True)


if __name__ == "__main__":
    main()
