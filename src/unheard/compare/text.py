"""A comparison as blocks of text and tables, and as a table for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from unheard.compare.results import KNOWN_PART, ComparisonResult, Estimate, Line
from unheard.evaluation.markup import Block, Bullets, Heading, Picture, Table, Words

__all__ = ["NAMES", "PICTURES", "About", "document", "spreadsheet", "together"]

NAMES = {
    "in_eer": "EER known",
    "out_eer": "EER unknown, together",
    "out_mean": "EER unknown, mean",
    "out_worst": "EER unknown, worst",
    "in_cllr": "Cllr known",
    "out_cllr": "Cllr unknown",
}
"""What tables call the numbers of the main protocol."""

PICTURES = {
    "seeds.png": "Mean over unknown families: each seed a dot, the mean over seeds a stroke "
    "with its 95 % interval over clips; in another colour the baseline.",
    "families.png": "EER of each family against all bona fide clips of its part, mean over seeds.",
    "ranks.png": "Mean ranks, 1 is best; methods under one bar do not differ (Nemenyi).",
}
"""Captions of pictures, by file name."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What a report says in addition to numbers.

    Attributes:
        name: Name of the plan.
        methods: How each method is trained, by name.
        facts: What was run, as sentences.
        missing: Runs of the plan that are not there, and why.
        command: Command line that does it again.
    """

    name: str
    methods: Mapping[str, str]
    facts: Sequence[str] = ()
    missing: Sequence[str] = ()
    command: str = ""


def document(result: ComparisonResult, about: About, pictures: Sequence[str]) -> list[Block]:
    """Return a comparison as a document.

    Args:
        result: Its numbers.
        about: What it says in addition.
        pictures: Names in `PICTURES` of those that could be drawn.
    """
    blocks: list[Block] = [Heading(f"Comparison {about.name}", 1), *_opening(result, about)]
    blocks += [Heading("Which method detects unseen families"), *_main(result)]
    blocks += [Picture(name, PICTURES[name]) for name in ("seeds.png",) if name in pictures]
    blocks += [Heading(f"Against {result.baseline}"), *_tests(result)]
    blocks += [Heading("Families"), *_families(result)]
    blocks += [Picture(name, PICTURES[name]) for name in ("families.png",) if name in pictures]
    if any(line.held_out for line in result.lines):
        blocks += [Heading("One family held out of training"), *_held_out(result)]
    if result.ranking is not None:
        blocks += [Heading("Ranks"), *_ranks(result)]
        blocks += [Picture(name, PICTURES[name]) for name in ("ranks.png",) if name in pictures]
    blocks += [Heading("Cost"), *_cost(result), Heading("What was run"), *_run(about)]
    return blocks


def spreadsheet(result: ComparisonResult) -> str:
    """Return all numbers as CSV: a row per method and number."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(("method", "number", *_CELLS, "seeds"))
    for line in result.lines:
        numbers: dict[str, Estimate] = dict(line.numbers)
        numbers |= {
            f"{part}/{family}": estimate for (part, family), estimate in line.families.items()
        }
        numbers |= {f"without/{name}": estimate for name, estimate in line.held_out.items()}
        for name, estimate in numbers.items():
            cells = [getattr(estimate, cell) for cell in _CELLS]
            if estimate.difference is None:
                cells[3:] = [""] * len(cells[3:])
            writer.writerow((line.method, name, *cells, " ".join(map(repr, estimate.seeds))))
        for name in ("training_core_s", "parameters", "trained", "core_s"):
            value = getattr(line, name)
            writer.writerow((line.method, name, "" if value is None else value))
    return content.getvalue()


_CELLS = ("value", "low", "high", "difference", "difference_low", "difference_high", "p", "p_holm")


def _opening(result: ComparisonResult, about: About) -> Iterator[Block]:
    yield Words(
        "EER in percent, lower is better; 50 is chance. A number is the mean over seeds, in "
        f"brackets its 95 % interval over clips ({result.n_draws:,} draws, the same clips for "
        "every method and seed; clips are drawn within their family). The interval does not say "
        "what another seed would give: that is the range of seeds."
    )
    if about.missing:
        n = len(about.missing)
        missing = "1 run of the plan is" if n == 1 else f"{n} runs of the plan are"
        yield Words(f"{missing} missing; the end of this page lists them.")
    if result.notes:
        yield Bullets(result.notes)


def _main(result: ComparisonResult) -> Iterator[Block]:
    shown = [name for name in NAMES if any(name in line.numbers for line in result.lines)]
    if not shown:
        yield Words("No method has been evaluated under the main protocol yet.")
        return
    yield Words(
        "Known and unknown are families that training clips come from, and those that none does: "
        "all clips of unknown families together, the mean over these families, and the worst of "
        "them. Best first."
    )
    lines = [line for line in result.lines if line.numbers]
    rates = [name for name in shown if name.endswith(("eer", "mean", "worst"))]
    yield _table(rates, lines, {})
    others = {"seeds": [str(len(line.seeds)) for line in lines]}
    others["EER unknown, mean, by seed"] = [_range(line) for line in lines]
    yield Words(
        "The worst family is the highest of several uncertain rates, so it leans upwards for all "
        "methods. Cllr above 1 says that scores, taken for log-likelihood ratios, mislead."
    )
    yield _table([name for name in shown if name not in rates], lines, others)


def _table(names: Sequence[str], lines: Sequence[Line], others: Mapping[str, list[str]]) -> Table:
    """Return a table of numbers of the main protocol behind other columns."""
    columns = [[_cell(name, line.numbers.get(name)) for line in lines] for name in names]
    head = ("method", *others, *(NAMES[name] for name in names))
    return Table(
        head, tuple(zip([line.method for line in lines], *others.values(), *columns, strict=True))
    )


def _tests(result: ComparisonResult) -> Iterator[Block]:
    tested = [line for line in result.lines if _tested(line.numbers)]
    if not tested:
        yield Words(f"Nothing can be tested: it needs {result.baseline} and another method.")
        return
    n_tests = sum(len(_tested(line.numbers)) for line in tested)
    names = [name for name in NAMES if any(name in _tested(line.numbers) for line in tested)]
    least = min(1.0, n_tests * 2 / (result.n_draws + 1))
    yield Words(
        "Difference of the means over seeds, with its 95 % interval; below 0 the method errs less "
        f"than {result.baseline}. p: paired bootstrap over clips, two-sided, corrected by Holm for "
        f"all {n_tests} tests of this table; the least that {result.n_draws:,} draws can show for "
        f"the first of them is {least:.2g}. The tests are about clips and take the seeds as they "
        "are."
    )
    head = ("method", *(word for name in names for word in (NAMES[name], "p")))
    yield Table(
        head,
        tuple(
            (line.method, *(word for name in names for word in _difference(line.numbers.get(name))))
            for line in tested
        ),
    )


def _families(result: ComparisonResult) -> Iterator[Block]:
    keys = sorted({key for line in result.lines for key in line.families}, key=_known_first)
    if not keys:
        yield Words("The clips name no families.")
        return
    head = ("method", *(f"{family} ({_word(part)})" for part, family in keys))
    rows = [
        (line.method, *(_percent(line.families.get(key)) for key in keys))
        for line in result.lines
        if line.families
    ]
    yield Table(head, tuple(rows))


def _held_out(result: ComparisonResult) -> Iterator[Block]:
    yield Words(
        "Each column: trained without this family, tested on it, against bona fide clips of other "
        "speakers. Differences are of the mean over families, p corrected by Holm for the tests "
        "of mean and worst in this table."
    )
    lines = [line for line in result.lines if line.held_out]
    families = sorted({family for line in lines for family in line.held_out} - {"mean", "worst"})
    rows = []
    for line in lines:
        cells = [_percent(line.held_out.get(family)) for family in families]
        both = [_cell("eer", line.held_out.get(family)) for family in ("mean", "worst")]
        rows.append((line.method, *cells, *both, *_difference(line.held_out.get("mean"))))
    head = ("method", *families, "mean", "worst", f"mean less {result.baseline}", "p")
    yield Table(head, tuple(rows))


def _ranks(result: ComparisonResult) -> Iterator[Block]:
    ranking = result.ranking
    assert ranking is not None
    yield Words(
        f"Ranked is the EER on each unknown family with each seed, {ranking.n_tasks} rankings of "
        f"{len(ranking.means)} methods. Friedman's test of all methods ranking alike: p "
        f"{ranking.p:.2g}; two mean ranks differ if they are more than "
        f"{ranking.critical_difference:.2f} apart (Nemenyi, 95 %). Both tests hold the rankings to "
        "be independent, which those of one family with several seeds are not: take them for a "
        "picture, and the tables above for the tests."
    )


def _cost(result: ComparisonResult) -> Iterator[Block]:
    base = result.base
    training_core_s, core_s = (base.training_core_s, base.core_s) if base else (None, None)
    yield Words(
        "Training: processor time of all attempts, with that of what the method starts from. "
        "Scoring: seconds of one core for a second of audio, decoding left out. Ratios are to "
        f"{result.baseline}."
    )
    rows = []
    for line in result.lines:
        training = "-" if line.training_core_s is None else f"{line.training_core_s / 60:.1f}"
        core = "-" if line.core_s is None else f"{line.core_s:.4f}"
        rows.append(
            (
                line.method,
                f"{line.parameters:,}" if line.parameters else "-",
                f"{line.trained:,}" if line.parameters else "-",
                training,
                _ratio(line.training_core_s, training_core_s),
                core,
                _ratio(line.core_s, core_s),
            )
        )
    head = (
        "method",
        "parameters",
        "trained",
        "training, core min",
        "ratio",
        "scoring, s/s",
        "ratio",
    )
    yield Table(head, tuple(rows))


def _run(about: About) -> Iterator[Block]:
    if about.facts:
        yield Words(" ".join(about.facts))
    yield Bullets(tuple(f"{name}: {training}" for name, training in about.methods.items()))
    if about.command:
        yield Words(f"Made by: {about.command}")
    if about.missing:
        yield Heading("What is missing", 3)
        yield Bullets(tuple(about.missing))


def _tested(numbers: Mapping[str, Estimate]) -> dict[str, Estimate]:
    return {name: estimate for name, estimate in numbers.items() if estimate.difference is not None}


def _cell(name: str, estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    if name.endswith("cllr"):
        return f"{estimate.value:.2f}"
    return together(
        f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
    )


def together(cell: str) -> str:
    """Keep the words of a cell on one line."""
    return cell.replace(" ", "\N{NO-BREAK SPACE}")


def _percent(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{100 * estimate.value:.1f}"


def _difference(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None or estimate.difference is None:
        return "-", "-"
    ends = f"[{100 * estimate.difference_low:+.1f}, {100 * estimate.difference_high:+.1f}]"
    return together(f"{100 * estimate.difference:+.1f} {ends}"), f"{estimate.p_holm:.3f}"


def _range(line: Line) -> str:
    estimate = line.numbers.get("out_mean") or line.numbers.get("out_eer")
    if estimate is None:
        return "-"
    return together(f"{100 * min(estimate.seeds):.1f} to {100 * max(estimate.seeds):.1f}")


def _ratio(value: float | None, base: float | None) -> str:
    return f"{value / base:.2f}" if value is not None and base else "-"


def _known_first(key: tuple[str, str]) -> tuple[bool, str, str]:
    return key[0] != KNOWN_PART, *key


def _word(part: str) -> str:
    return "known" if part == KNOWN_PART else "unknown" if part == "eval_out" else part
