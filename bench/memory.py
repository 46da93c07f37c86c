"""What keeping freed memory is worth: steps and scoring with and without it, in new processes.

    OMP_NUM_THREADS=1 python bench/memory.py

Prints Markdown: the best of the repeats, processor time of user and system, and pages that the
system had to clear, of a training step (16 clips) and of scoring (4 windows).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys

MEASURED = ("mel_lcnn_expert_small", "resnet18_mel_w32_expert", "grnn_w128", "resnet18_mel_w16")


def measure(recipe: str, *, keep: bool, training: bool, repeats: int) -> dict[str, float]:
    """Return seconds and pages of the best step, in this process."""
    import torch

    from unheard import memory, recipes
    from unheard.detectors.detector import fresh, outputs

    if keep:
        assert memory.keep_freed(), "this allocator has no such setting"
    chosen = recipes.load(recipe)
    torch.manual_seed(0)
    detector = fresh(chosen.detector).train(training)
    optimizer = torch.optim.AdamW(detector.parameters(), 1e-4)
    n_clips = 16 if training else 4
    waveform = 0.1 * torch.randn(n_clips, round(16_000 * chosen.window_s))

    def step() -> None:
        if not training:
            with torch.inference_mode():
                outputs(detector, waveform)
            return
        optimizer.zero_grad()
        outputs(detector, waveform).score.square().mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    steps = []
    for _ in range(repeats + 2):
        before = resource.getrusage(resource.RUSAGE_SELF)
        step()
        after = resource.getrusage(resource.RUSAGE_SELF)
        user_s, system_s = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
        steps.append((user_s + system_s, system_s, after.ru_minflt - before.ru_minflt))
    total_s, system_s, pages = min(steps[2:])
    return {"total_s": total_s, "system_s": system_s, "pages": pages}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--one", nargs=3, help="recipe, keep or not, train or score; for itself")
    arguments = parser.parse_args()
    if arguments.one:
        recipe, keep, what = arguments.one
        done = measure(
            recipe, keep=keep == "keep", training=what == "train", repeats=arguments.repeats
        )
        print(json.dumps(done))
        return
    print("| recipe | what | as usual | of it system | kept | of it system | ratio |")
    print("|---|---|---|---|---|---|---|")
    for recipe in MEASURED:
        for what in ("train", "score"):
            runs = []
            for keep in ("usual", "keep"):
                command = [sys.executable, __file__, "--repeats", str(arguments.repeats)]
                text = subprocess.check_output([*command, "--one", recipe, keep, what])
                runs.append(json.loads(text))
            usual, kept = runs
            print(
                f"| {recipe} | {what} | {usual['total_s']:.3f} s | {usual['system_s']:.3f} s | "
                f"{kept['total_s']:.3f} s | {kept['system_s']:.3f} s | "
                f"{kept['total_s'] / usual['total_s']:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
