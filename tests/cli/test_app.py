"""Do the commands do what they say, fail in one line, and leave with the right code?"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from runpy import run_path

import pytest

from cli_run import Run
from synthetic_corpus import corpus
from unheard import __version__
from unheard.cli.app import NOW, PANELS
from unheard.corpora import CORPORA
from unheard.data.clip import Manifest
from unheard.data.protocols import PROTOCOLS
from unheard.recipes import GROUPS, RECIPES

ROOT = Path(__file__).parents[2]
Unheard = Callable[..., Run]


@pytest.mark.parametrize("command", ["score", "train", "evaluate", "info", "corpus build open"])
def test_help_of_a_command_loads_nothing_heavy(command: str) -> None:
    code = (
        "import sys\n"
        "from unheard.cli.app import main\n"
        f"try:\n    main({[*command.split(), '--help']})\n"
        "except SystemExit as left:\n    assert left.code == 0\n"
        "heavy = ['torch', 'numpy', 'scipy', 'pyarrow', 'matplotlib', 'av', 'sklearn']\n"
        "assert not set(heavy) & set(sys.modules), set(heavy) & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_page_of_commands_is_current() -> None:
    page = run_path(str(ROOT / "docs" / "generate.py"))["command_line"]()
    assert (ROOT / "docs" / "cli.md").read_text() == page, "run `make docs`"


def test_the_page_of_commands_names_every_command_and_protocol(unheard: Unheard) -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    for command in ("score", "train", "evaluate", "corpus check", "recipes", "inspect cost"):
        assert f"## unheard {command}" in page
    assert all(name in page for name in PROTOCOLS)


def test_version_is_the_packages(unheard: Unheard) -> None:
    assert unheard("--version").out == f"{__version__}\n"


def test_recipes_are_listed_with_what_they_are(unheard: Unheard) -> None:
    text = unheard("recipes").out
    places = [text.index(f"\n  {name} ") for name in RECIPES]
    last = max(
        place for place, row in zip(places, RECIPES.values(), strict=True) if not row.control
    )
    assert [text.index(f"{heading}\n\n") for heading in GROUPS.values()] == sorted(
        text.index(f"{heading}\n\n") for heading in GROUPS.values()
    )
    assert text.count("needs: ") == len(RECIPES)
    assert last == text.index("\n  toy_further ")


@pytest.mark.parametrize(("old", "new"), NOW.items())
def test_an_old_name_is_refused_with_the_new_one(old: str, new: str, unheard: Unheard) -> None:
    run = unheard(old, "list")
    assert run.code == 2
    assert f"is now `unheard {new}`" in run.text


def test_every_command_has_a_panel_in_the_order_of_use(unheard: Unheard) -> None:
    text = unheard("--help").out
    places = [text.index(f"─ {panel} ─") for panel in PANELS]
    assert places == sorted(places)


def test_a_detector_is_called_shipped_or_lies_in_the_folder_of_a_run(
    toy: Path, tmp_path: Path, unheard: Unheard
) -> None:
    shutil.copytree(toy, tmp_path / "run" / "bundle")
    assert unheard("info", tmp_path / "run").out == unheard("info", toy).out
    assert unheard("info", "shipped").out == unheard("info").out


def test_info_prints_the_card_for_people_and_programs(unheard: Unheard, toy: Path) -> None:
    assert unheard("info", toy).out.startswith("# toy 1\n")
    assert json.loads(unheard("info", toy, "--json").out)["name"] == "toy"


@pytest.mark.parametrize(
    ("arguments", "code", "remedy"),
    [
        (["info", "nowhere"], 1, "give a folder that `unheard train` wrote"),
        (["train", "lcn", "--data", "x", "--out", "y"], 2, "did you mean 'lcnn'?"),
        (["train", "lcnn", "--data", "nowhere", "--out", "y"], 1, "unheard corpus build open"),
        (
            ["train", "lcnn", "--data", "x", "--out", "y", "--set", "budget.n_step=3"],
            2,
            "did you mean 'n_steps'?",
        ),
        (["evaluate", "--out", "y"], 2, "give one of these: a DETECTOR with"),
        (["evaluate", "b", "--out", "y"], 2, "with --data"),
        (
            ["evaluate", "b", "--data", "x", "--protocol", "opn", "--out", "y"],
            2,
            "did you mean 'open'?",
        ),
        (["corpus", "info", "asvspoof2019la"], 2, "did you mean 'asvspoof2019_la'?"),
        (["corpus", "import", "folders", "nowhere", "--out", "m.parquet"], 1, "unpacked into"),
        (["corpus", "build", "open", "--size", "smal", "--cache", "c"], 1, "did you mean 'small'?"),
        (["scor"], 2, "No such command"),
        (["score"], 2, "Missing argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_are_told_with_their_remedy(
    unheard: Unheard,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    remedy: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    run = unheard(*arguments)
    assert run.code == code
    assert remedy in run.text
    assert run.out == ""
    assert "Traceback" not in run.err


def test_a_corpus_is_imported_checked_trained_on_and_refused_as_a_test(
    unheard: Unheard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus(tmp_path / "hum")
    for part, label in (("train", "bonafide"), ("train", "spoof")):
        (tmp_path / "own" / part / label / "one").mkdir(parents=True)
    audio = tmp_path / "hum" / "audio"
    for clip in Manifest.read(tmp_path / "hum" / "manifest.parquet"):
        label = "bonafide/one" if clip.bonafide else "spoof/one"
        if clip.part == "train":
            (audio.parent / clip.path).rename(tmp_path / "own/train" / label / f"{clip.id}.flac")
    imported = unheard("corpus", "import", "folders", "own", "--out", "own.parquet")
    assert imported.code == 0, imported.err
    _, counts, manifest = imported.out.splitlines()
    assert counts.split() == ["train", "6", "12"]
    assert manifest == "own.parquet"
    checked = unheard("corpus", "check", "own.parquet", "--no-probe", "--json")
    assert json.loads(checked.out)["counts"] == {"train": [6, 12]}
    assert checked.code == int(json.loads(checked.out)["failed"])

    corpus(tmp_path / "hum")
    changed = (
        "budget.n_steps=2",
        "budget.eval_every=2",
        "sampler.batch_clips=4",
        "hop_s=1",
        "window_s=1",
    )
    small = [word for setting in changed for word in ("--set", setting)]
    trained = unheard("train", "lcnn", "--data", "hum/manifest.parquet", "--out", "run", *small)
    assert trained.code == 0, trained.err
    assert trained.out == "run/bundle\n"
    assert trained.err != ""

    seen = unheard("evaluate", "run/bundle", "--data", "hum/manifest.parquet", "--protocol", "all",
                   "--out", "report")  # fmt: skip
    assert seen.code == 1
    assert "trained" in seen.err


def test_a_report_is_made_from_a_score_file_alone(unheard: Unheard, tmp_path: Path) -> None:
    lines = ["id,score,bonafide,attack,family,part"]
    for index in range(40):
        person = index % 2 == 0
        attack = ("-", "-") if person else ("a1", "formant")
        lines.append(f"c{index},{index % 7 + 3 * person},{person},{','.join(attack)},eval")
    (tmp_path / "scores.csv").write_text("\n".join(lines) + "\n")
    run = unheard("evaluate", "--scores", tmp_path / "scores.csv", "--out", tmp_path / "report",
                  "--draws", "20")  # fmt: skip
    assert run.code == 0, run.err
    assert run.out.splitlines()[0].split()[1:3] == ["all", "EER"]
    assert (tmp_path / "report" / "report.html").is_file()


def test_corpora_are_described(unheard: Unheard) -> None:
    listed = unheard("corpus", "info").out.splitlines()
    assert [line.split()[0] for line in listed] == sorted([*CORPORA, "demos", "open"])
    assert "root/bonafide/" in unheard("corpus", "info", "folders").out
    page = json.loads(unheard("corpus", "info", "asvspoof2019_la", "--json").out)
    assert page["published"]["eval"] == [7355, 63882]
    assert page["licence"] == "ODC-By-1.0"
