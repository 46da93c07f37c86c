"""Tables of docs/results.md from committed score files: the plan papers on real generators.

Run:  python bench/papers.py results/papers

The folder holds ENTRY.parquet, the entry's score file on eval, and ENTRY.dev.parquet, its scores on
dev. Entries without a file are left out and named; rows of `SEARCHED` stand beside the plan's if
their files are there. Prints Markdown.
"""

from __future__ import annotations

import sys
from pathlib import Path

from unheard.compare.by_page import compare_by_page
from unheard.compare.page_text import page_blocks
from unheard.compare.plans import papers
from unheard.compare.results import Run
from unheard.evaluation.markup import markdown

NAMES = {
    "linear_states": "linear probe, Whisper-base",
    "linear_states_tiny": "linear probe, same encoder",
    "lora_pages": "LoRA (matched baseline)",
    "moe_lora": "mixture of LoRA experts [1]",
    "mldg_lora": "meta-learned LoRA [2]",
    "mldg_control": "LoRA on the batches of 2",
    "attention_mixture": "attention gate [3]",
    "resnet18_pages": "ResNet18 (matched baseline)",
    "dropin_resnet18": "dropin, ResNet18 [4]",
    "plasticity_resnet18": "plasticity, ResNet18 [4]",
    "layer_sum": "adaptive sum of states [5]",
    "twins": "WORLD twins [5]",
    "racl": "WORLD twins, sum and contrasts [5]",
    "all_tuned": "everything tuned",
    "lcnn": "LCNN, from nothing",
    "experts_mean": "mean of the experts of 3, after search",
}

SEARCHED = {"experts_mean": ("linear_states_tiny", "lora_pages", "attention_mixture")}
"""Rows that dev chose once the plan was measured, with what each is tested against."""


def main() -> None:
    """Print the tables, and which entries of the plan have no score file."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    planned = [entry.name for entry in papers.entries]
    files = {name: folder / f"{name}.parquet" for name in (*planned, *SEARCHED)}
    runs = [
        Run(method=name, seed=1, scores=file, dev_scores=folder / f"{name}.dev.parquet")
        for name, file in files.items()
        if file.is_file()
    ]
    searched = [(name, other) for name, others in SEARCHED.items() for other in others]
    result = compare_by_page(runs, [*papers.pairs(), *searched], n_draws=5000)
    if result is None:
        sys.exit(f"{folder}: the clips of these score files name no page")
    print(markdown(list(page_blocks(result, NAMES))))
    missing = [NAMES[name] for name in planned if not files[name].is_file()]
    if missing:
        print(f"Not run: {'; '.join(missing)}.")


if __name__ == "__main__":
    main()
