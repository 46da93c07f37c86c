"""Do the commands in the documents exist, do the short ones run, and is every page reachable?"""

import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer.main

from cli_run import Run
from unheard import __version__, audio
from unheard.cli.app import NOW, app
from unheard.data.clip import Manifest
from unheard.detectors.bundle import default, load
from unheard.metrics import fit_calibration

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
SCORES = re.compile(r"score +([-+][\d.]+) .* (examples/\S+)$", re.MULTILINE)
"""Score and file in a line of `unheard score`."""

LINK = re.compile(r"\]\(([^)\s]+)\)")
"""Where a link leads to."""

RUN = ("score examples", "train toy")
"""Beginnings of those commands of the README that are short enough to run here."""


def commands(page: Path) -> list[str]:
    """Return the commands in a page's code blocks, without remarks and what follows a pipe."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = [re.sub(r"\s#.*|\s[|<>&].*|\s{3,}.*", "", line) for line in lines]
    return [line.strip() for line in found if line.startswith("unheard ") and "..." not in line]


def parse(line: str) -> None:
    """Parse one command as the command line would, without running it.

    Raises:
        Exception: If there is no such command, option or choice.
    """
    command: Any = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    while getattr(command, "commands", None) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    command.make_context(line, words)


PARSED = [
    pytest.param(line, id=f"{page.name}: {line}")
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
    for line in dict.fromkeys(commands(page))
]


@pytest.mark.parametrize("line", PARSED)
def test_a_command_of_the_documents_is_understood(line: str) -> None:
    parse(line)


@pytest.mark.timeout(600)  # seconds of work; minutes where others share the processor
@pytest.mark.parametrize("start", RUN)
def test_a_short_command_of_the_readme_runs(
    start: str, unheard: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = [
        line
        for line in commands(ROOT / "README.md")
        if line.removeprefix("unheard ").startswith(start)
    ]
    for name in ("examples", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    run = unheard(*shlex.split(line)[1:])
    assert run.code == 0, run.text
    printed = {name: float(score) for score, name in SCORES.findall(run.out)}
    if printed:  # on any processor: sums in 8 bits overflow on some unless that is prevented
        shown = SCORES.findall((ROOT / "README.md").read_text())
        assert printed == pytest.approx({name: float(score) for score, name in shown}, abs=0.03)


def test_the_packaged_detector_is_recalibrated_as_the_page_says(
    unheard: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (program,) = re.findall(
        r"^```python\n((?:(?!^```).)*?\"shipped-recalibrated\".*?)^```",
        (ROOT / "docs" / "quickstarts.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    monkeypatch.chdir(tmp_path)
    names = [f"dev/{kind}/{number}.wav" for kind in ("bonafide", "spoof") for number in range(8)]
    for number, name in enumerate(names):
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        audio.write(tmp_path / "own" / name, np.full(1600, number / 100, np.float32))
    assert unheard("corpus", "import", "folders", "own", "--out", "own.parquet", "--hash").code == 0
    manifest = Manifest.read(Path("own.parquet"))
    ids, bonafide = manifest.column("id").tolist(), manifest.column("bonafide").tolist()
    scores = [3.0 * human + number % 5 for number, human in enumerate(bonafide)]
    (tmp_path / "dev").mkdir()
    pq.write_table(
        pa.table({"id": ids, "score": scores, "bonafide": bonafide}), "dev/scores.parquet"
    )
    exec(compile(program, "recalibrate.py", "exec"), {})
    before, after = load(default()).card, load(Path("recalibrated")).card
    line = fit_calibration(
        [score for score, human in zip(scores, bonafide, strict=True) if human],
        [score for score, human in zip(scores, bonafide, strict=True) if not human],
    )
    assert after.calibration(0.7) == pytest.approx(line(before.calibration(0.7)))
    assert load(Path("recalibrated")).has_seen(manifest.column("sha256").tolist()).all()
    assert not after.results
    assert before.segments is not None
    assert after.segments is not None
    assert after.segments.level == pytest.approx(line(before.segments.level))


def test_the_tree_of_the_readme_is_the_one_on_disk() -> None:
    tree = (ROOT / "README.md").read_text().split("src/unheard/\n")[1].split("```")[0]
    drawn = re.findall(r"^  (\w+)/", tree, re.MULTILINE)
    on_disk = [path.parent.name for path in (ROOT / "src" / "unheard").glob("*/__init__.py")]
    assert sorted(drawn) == sorted(on_disk)
    assert len(drawn) == 13


def test_every_measurement_has_one_form() -> None:
    page = (ROOT / "docs" / "measurements.md").read_text()
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        assert re.findall(r"^- (\w+): .", section, re.MULTILINE) == ["command", "machine", "date"]
        head, _, *rows = re.findall(r"^\|.*\|$", section, re.MULTILINE)
        assert head == "| what | ours | peer | limit or goal | ratio |", section
        assert rows
        assert all(row.count("|") == 6 for row in rows), section


def test_every_page_is_in_the_index() -> None:
    linked = set(re.findall(r"\]\((\w+\.md)", (ROOT / "docs" / "index.md").read_text()))
    assert linked == {page.name for page in PAGES} - {"index.md"}


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda page: page.name
)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not leads_somewhere(page, target)] == []


def leads_somewhere(page: Path, target: str) -> bool:
    """Return whether a link's file exists and, if it is a page, has the heading."""
    name, _, anchor = target.partition("#")
    file = page.parent / name if name else page
    if not (anchor and file.suffix == ".md" and file.is_file()):
        return file.exists()
    heads = re.findall(r"^#+ (.*)", file.read_text(), re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_upgrade_notes_name_every_command_that_changed() -> None:
    notes = (ROOT / "docs" / "upgrade.md").read_text()
    assert all(f"`unheard {old}` | `unheard {new}`" in notes for old, new in NOW.items())
