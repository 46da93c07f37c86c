"""How often does the score of a stream leave its margin, if windows are independent?

    python bench/margin.py [--recordings 1000] [--windows 40]

Windows are drawn from the normal distribution around the truth, with a spread that is, and is not,
the one that the rule assumes. The score is looked at after every window.
"""

from __future__ import annotations

import argparse

import numpy as np

from unheard.scoring.live import EarlyDecision


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--recordings", type=int, default=1000)
    arguments.add_argument("--windows", type=int, default=40)
    chosen = arguments.parse_args()
    drawn = np.random.default_rng(0).standard_normal((chosen.recordings, chosen.windows))
    print("| error | assumed windows | spread / assumed | left the margin at some time |")
    print("|---|---|---|---|")
    for error in (0.2, 0.05, 0.01):
        for weight in (1.0, 4.0, 8.0):
            for spread in (0.5, 1.0, 2.0):
                rule = EarlyDecision(error=error, assumed_windows=weight)
                left = [
                    any(
                        abs(scores[:n].mean()) > rule.margin(scores[:n])
                        for n in range(1, scores.size + 1)
                    )
                    for scores in spread * drawn
                ]
                print(f"| {error} | {weight:g} | {spread:g} | {np.mean(left):.1%} |", flush=True)


if __name__ == "__main__":
    main()
