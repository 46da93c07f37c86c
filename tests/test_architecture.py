"""Does the tree still have the shape that docs/design.md draws? As a program: its counts."""

import ast
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import unheard

SOURCE = Path(unheard.__file__).parent
LAYERS = (
    {"errors", "types", "files", "graphs", "memory", "workers"},
    {"audio", "metrics"},
    {"data", "detectors"},
    {"scoring", "attacks"},
    {"training", "service", "corpora"},
    {"evaluation", "recipes"},
    {"compare"},
    {"cli"},
    {"__main__"},
)
LAYER = {package: layer for layer, packages in enumerate(LAYERS) for package in packages}
WITHOUT_TORCH = LAYERS[0] | LAYERS[1]
FILES = sorted(SOURCE.rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 40
LONGER_FUNCTIONS = {("training.loop", "train"): 120}


def module(path: Path) -> str:
    """Return the dotted name of a file without the package's own; "" for its __init__."""
    return (
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__").strip(".")
    )


def package(name: str) -> str:
    return name.partition(".")[0]


MODULES = {module(path): path for path in FILES}


def imports(path: Path) -> set[str]:
    """Return all that a file imports, anywhere in it, by its dotted name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def ours(path: Path) -> set[str]:
    """Return the files of ours that a file imports, as keys of MODULES."""
    files = set()
    for name in imports(path):
        if name.startswith("unheard."):
            inside = name.removeprefix("unheard.")
            files.add(inside if inside in MODULES else inside.rpartition(".")[0])
    return files - {"", module(path)}


ARROWS = {name: ours(path) for name, path in MODULES.items()}


def test_every_package_has_a_layer() -> None:
    assert {package(name) for name in MODULES} - {""} <= LAYER.keys()


def test_imports_point_down() -> None:
    for name, others in ARROWS.items():
        for other in others:
            assert other in MODULES, f"{name} imports {other}, which is no file"
            if package(other) != package(name):
                below = LAYER[package(other)] < LAYER.get(package(name), 0)
                assert below, f"{name} imports {other}, which is not in a lower layer"


def test_files_import_each_other_in_no_circle() -> None:
    list(TopologicalSorter(ARROWS).static_order())


def test_scoring_knows_no_batches() -> None:
    reached = {other for name in MODULES if package(name) == "scoring" for other in ARROWS[name]}
    assert not reached & {"data.batches", "data.samplers"}


def test_the_lowest_layers_know_no_torch() -> None:
    for name, path in MODULES.items():
        if package(name) in WITHOUT_TORCH:
            assert "torch" not in {package(other) for other in imports(path)}, name


def test_files_and_functions_stay_readable() -> None:
    for name, path in MODULES.items():
        text = path.read_text()
        assert len(text.splitlines()) <= LONGEST_FILE, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                limit = LONGER_FUNCTIONS.get((name, node.name), LONGEST_FUNCTION)
                assert n_lines_of(node) <= limit, f"{node.name} in {path}"


def n_lines_of(function: ast.FunctionDef) -> int:
    """Return how many lines a function has after its docstring."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    start = first.end_lineno if documented else first.lineno - 1
    assert function.end_lineno is not None
    assert start is not None
    return function.end_lineno - start


def test_folders_are_at_most_three_levels_deep() -> None:
    assert max(len(path.relative_to(SOURCE).parts) for path in FILES) <= 3


def test_no_forbidden_file_names() -> None:
    forbidden = {"utils", "util", "core", "common", "base", "helpers", "misc"}
    assert not {path.stem for path in FILES} & forbidden


def test_only_methods_call_backward() -> None:
    methods = {"training.supervised", "training.mldg", "training.plasticity"}
    generator = {"training.diffusion"}  # no detector: it has a small loop of its own
    users = {name for name, path in MODULES.items() if ".backward(" in path.read_text()}
    assert users <= methods | generator


def test_one_loop_calls_gradients() -> None:
    users = [name for name, path in MODULES.items() if "method.gradients(" in path.read_text()]
    assert users == ["training.loop"]


def test_nothing_is_unpickled() -> None:
    for path in FILES:
        text = path.read_text()
        assert "pickle" not in {package(name) for name in imports(path)}, path
        loads = re.findall(r"torch\.load\(.*", text)
        assert not loads or path.stem == "weight_files", path
        assert all("weights_only=True" in load for load in loads), path


def test_each_name_is_imported_from_one_place() -> None:
    doors = {name: listed(path) for name, path in MODULES.items() if path.stem == "__init__"}
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or not str(node.module).startswith("unheard."):
                continue
            names = {alias.name for alias in node.names}
            inside = str(node.module).removeprefix("unheard.")
            forwarded = names & listed(path) if node in tree.body and name not in doors else set()
            assert not forwarded, f"{name} lists {forwarded}, which are of {inside}"
            folder = inside.rpartition(".")[0]
            if folder in doors and not f"{name}.".startswith(f"{folder}."):
                second = names & doors[folder]
                assert not second, f"{name} imports {second} from {inside}; {folder} has them"


def listed(path: Path) -> set[str]:
    """Return the names of a file's `__all__`."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def test_public_names_are_declared() -> None:
    for info in pkgutil.walk_packages([str(SOURCE)], "unheard."):
        file, name = importlib.import_module(info.name), info.name
        own = [value for value in vars(file).values() if getattr(value, "__module__", "") == name]
        assert hasattr(file, "__all__") or not own, f"{name} has no __all__"
        for public in getattr(file, "__all__", []):
            assert hasattr(file, public), f"{name}.__all__ lists {public}, which is not there"


@pytest.mark.parametrize(
    "command", ["import unheard", "from unheard.cli.app import main; main(['--help'])"]
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


if __name__ == "__main__":
    between = {
        (package(name), package(other))
        for name, others in ARROWS.items()
        for other in others
        if package(other) != package(name) and name
    }
    n_lines = sum(len(path.read_text().splitlines()) for path in FILES)
    top = {package(name) for name in MODULES} - {""}
    counts = (len(top), "names at the top,", len(FILES), "files,", n_lines, "lines,")
    sys.stdout.write(" ".join(map(str, (*counts, len(between), "arrows\n"))))
