"""Tables of docs/results.md from committed score files: the plan papers on real generators.

Run:  python bench/papers.py results/papers

The folder holds ENTRY.parquet, the entry's score file on eval, and ENTRY.dev.parquet, its scores on
dev. Entries without a file are left out and named. Prints Markdown.
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
}


def main() -> None:
    """Print the tables, and which entries of the plan have no score file."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    files = {entry.name: folder / f"{entry.name}.parquet" for entry in papers.entries}
    runs = [
        Run(method=name, seed=1, scores=file, dev_scores=folder / f"{name}.dev.parquet")
        for name, file in files.items()
        if file.is_file()
    ]
    result = compare_by_page(runs, papers.pairs(), n_draws=5000)
    if result is None:
        sys.exit(f"{folder}: the clips of these score files name no page")
    print(markdown(list(page_blocks(result, NAMES))))
    missing = [NAMES[name] for name, file in files.items() if not file.is_file()]
    if missing:
        print(f"Not run: {'; '.join(missing)}.")


if __name__ == "__main__":
    main()
