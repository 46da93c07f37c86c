"""Does the tree still have the shape that docs/design.md draws?"""

import ast
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import unheard

SOURCE = Path(unheard.__file__).parent
CLI = {"cli", *(path.stem for path in SOURCE.glob("cli_*.py"))}
ROWS = [
    {"errors", "files", "memory", "types"},
    {"audio", "channel", "decode", "pcm", "speech", "metrics", "clip", "shards", "places"},
    {
        *("augment", "conditions", "rawboost", "rooms", "transforms"),
        *("attacks", "corpora", "detectors", "batch", "rota", "samplers"),
        *("verdict", "sketch"),
    },
    {"objectives", "methods", "score", "running", "casefile", "timeline_svg", "wording"},
    {
        *("train", "checkpoint", "processes", "parts", "recipe", "provenance"),
        *("evaluate", "report", "protocols"),
        *("archive", "journal", "timeline", "routing", "curves"),
        *("ledger", "cluster", "watch"),
        *("cost", "named", "open_corpus", "plan"),
        *("reconstruct", "twin_cues"),
        "service",
    },
    {"recipes", "plans"},
    {"compare", "export", "held_out", "stages"},
    CLI,
    {"__main__"},
]
ROW = {room: row for row, rooms in enumerate(ROWS) for room in rooms}
# Rooms of one row that are one room in several files, as a package would be.
SUITES = [
    {"audio", "channel", "decode", "pcm", "speech"},
    {"score", "running"},
    {"casefile", "timeline_svg", "wording"},
    {"clip", "shards", "places"},
    {"train", "checkpoint", "processes", "parts", "recipe", "provenance"},
    {"evaluate", "report", "protocols"},
    {"archive", "journal", "ledger", "cluster", "watch"},
    {"archive", "evaluate"},
    {"augment", "conditions", "rawboost", "rooms", "transforms"},
    {"batch", "rota", "samplers"},
    {"reconstruct", "protocols"},
    {"reconstruct", "twin_cues", "open_corpus"},
    {"held_out", "stages"},
    CLI,
]
NO_TORCH_ROWS = 2
FORBIDDEN = {
    ("score", "batch"),
    ("score", "corpora"),
    ("score", "attacks"),
    ("train", "evaluate"),
}
FILES = sorted(SOURCE.rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 40
LONGER_FUNCTIONS = {("train", "train"): 120}


def room(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Rooms of ours that a file imports, anywhere in it, and outside packages by name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            if module == "unheard":
                found |= {f"unheard.{alias.name}" for alias in node.names}
            else:
                found.add(module)
    return found


def ours(path: Path) -> set[str]:
    rooms = {name.split(".")[1] for name in imports(path) if name.startswith("unheard.")}
    return rooms - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    here = room(path)
    if here == "__init__":
        assert not ours(path)
        return
    assert here in ROW, f"{here} has no row in docs/design.md and in this test"
    for other in ours(path) - {here}:
        assert (here, other) not in FORBIDDEN, f"{here} must never import {other}"
        together = any({here, other} <= suite for suite in SUITES)
        assert together or ROW[other] < ROW[here], f"{here} imports {other}, which is not above it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_lower_rows_know_no_torch(path: Path) -> None:
    if ROW.get(room(path), 0) < NO_TORCH_ROWS:
        assert not {name for name in imports(path) if name.split(".")[0] == "torch"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            start = first.end_lineno if documented else first.lineno - 1
            assert node.end_lineno is not None
            assert start is not None
            limit = LONGER_FUNCTIONS.get((room(path), node.name), LONGEST_FUNCTION)
            assert node.end_lineno - start <= limit, f"{node.name} in {path.name}"


def test_folders_are_two_levels_deep() -> None:
    deepest = {path.relative_to(SOURCE).parts[:-1] for path in FILES}
    assert {parts for parts in deepest if len(parts) > 1} == {("detectors", "layers")}


def test_no_forbidden_file_names() -> None:
    forbidden = {"utils", "util", "core", "common", "base", "helpers", "misc"}
    assert not {path.stem for path in FILES} & forbidden


def test_only_methods_call_backward() -> None:
    # A generator that is trained is no detector: it has a small loop of its own.
    apart = SOURCE / "attacks" / "diffusion_training.py"
    users = {room(path) for path in FILES if ".backward(" in path.read_text() and path != apart}
    assert users <= {"methods"}


def test_one_loop_calls_gradients() -> None:
    users = [path for path in FILES if "method.gradients(" in path.read_text()]
    assert [path.name for path in users] == ["train.py"]


def test_nothing_is_unpickled() -> None:
    for path in FILES:
        text = path.read_text()
        assert "pickle" not in imports(path), path
        loads = text.count("torch.load(")
        assert loads == len(re.findall(r"torch\.load\([^)]*weights_only=True\)", text)), path


@pytest.mark.parametrize(
    "name",
    [module.name for module in pkgutil.walk_packages([str(SOURCE)], "unheard.")],
)
def test_public_names_are_declared(name: str) -> None:
    module = importlib.import_module(name)
    own = [held for held in vars(module).values() if getattr(held, "__module__", "") == name]
    assert hasattr(module, "__all__") or not own, f"{name} has no __all__"
    for public in getattr(module, "__all__", []):
        assert hasattr(module, public), f"{name}.__all__ lists {public}, which does not exist"


@pytest.mark.parametrize(
    "command", ["import unheard", "from unheard.cli import main; main(['--help'])"]
)
def test_start_up_loads_nothing_heavy(command: str) -> None:
    heavy = ["torch", "numpy", "scipy", "pyarrow", "matplotlib", "av", "sklearn"]
    code = (
        f"import sys\ntry:\n    {command}\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert run.stderr.strip().splitlines()[-1] == "[]"
