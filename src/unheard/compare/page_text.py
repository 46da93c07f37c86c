"""A comparison by pages and systems as blocks of text and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median

from unheard.compare.by_page import NUMBERS, ByPage, PageNumber, PageTest
from unheard.compare.text import together
from unheard.data.kinds import GROUPS
from unheard.evaluation.markup import Block, Table, Words

__all__ = ["page_blocks"]


def page_blocks(result: ByPage, names: Mapping[str, str] | None = None) -> Iterator[Block]:
    """Yield the tables of a comparison by pages and systems.

    Args:
        result: Its numbers.
        names: What tables call the methods; their own names where it has none.
    """
    called = {method: (names or {}).get(method, method) for method in result.numbers}
    yield Words(
        f"EER in percent: {result.n_people} clips of people against {result.n_unseen} of systems "
        f"that no method was trained on, the mean over {result.n_systems} of these systems with "
        f"clips enough, and the mean over {result.n_pages} pages of the clips of one page. In "
        f"brackets 95 % intervals, pages and systems drawn whole, {result.n_draws:,} draws, the "
        "same for all methods. Dev: the mean over its systems."
    )
    yield Table(
        ("method", *NUMBERS.values(), "dev"),
        tuple(
            (called[method], *map(_with_interval, numbers.values()), _rate(result.dev.get(method)))
            for method, numbers in result.numbers.items()
        ),
    )
    if result.tests:
        yield from _differences(result, called)
    groups = [name for name in GROUPS if any(name in own for own in result.groups.values())]
    if groups:
        yield Words("EER of all people against all clips of a group of generators, percent.")
        yield Table(
            ("method", *groups),
            tuple(
                (called[method], *(_rate(own.get(name)) for name in groups))
                for method, own in result.groups.items()
            ),
        )
    yield Words(_power(result))
    if result.agreement is not None:
        correlation, n_methods = result.agreement
        yield Words(
            f"Dev and this part rank the {n_methods} methods alike with a correlation of "
            f"{correlation:.2f} (Spearman, means over systems)."
        )


def _differences(result: ByPage, called: Mapping[str, str]) -> Iterator[Block]:
    yield Words(
        "Differences in points, paired; below 0 the method errs less. p corrected by Holm for all "
        f"{len(result.tests)} tests."
    )
    pairs = dict.fromkeys((test.method, test.against) for test in result.tests)
    of_pair = {
        pair: [test for test in result.tests if (test.method, test.against) == pair]
        for pair in pairs
    }
    yield Table(
        ("method", "against", *(word for name in NUMBERS.values() for word in (name, "p"))),
        tuple(
            (called[method], called[against], *(word for test in tests for word in _cells(test)))
            for (method, against), tests in of_pair.items()
        ),
    )


def _cells(test: PageTest) -> tuple[str, str]:
    ends = f"[{100 * test.low:+.1f}, {100 * test.high:+.1f}]"
    return together(f"{100 * test.difference:+.1f} {ends}"), f"{test.p_holm:.3f}"


def _power(result: ByPage) -> str:
    if not result.tests:
        return "Nothing could be tested: a method or what it is tested against is missing."
    least = {
        words: median(test.detectable for test in result.tests if test.number == number)
        for number, words in NUMBERS.items()
    }
    listed = ", ".join(f"{words} {100 * value:.1f}" for words, value in least.items())
    return (
        "The smallest difference that one such test finds four times out of five, in points, "
        f"median over the tests: {listed}; after correction it must be larger."
    )


def _with_interval(number: PageNumber) -> str:
    ends = f"[{100 * number.low:.1f}, {100 * number.high:.1f}]"
    return together(f"{100 * number.value:.1f} {ends}")


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
