"""Plans are values that are refused before an hour is spent, and found by name or path."""

from pathlib import Path

import pytest

from unheard.compare import plans
from unheard.compare.plan import Comparison, Entry
from unheard.errors import RecipeError

ONE, TWO = Entry("one", "toy"), Entry("two", "toy", ("schedule.rate=0.1",))


def test_wrong_plans_are_refused() -> None:
    with pytest.raises(RecipeError, match="did you mean 'one'"):
        Comparison(name="p", entries=(ONE, TWO), baseline="onee")
    with pytest.raises(RecipeError, match="'one' is there twice; name each once"):
        Comparison(name="p", entries=(ONE, ONE), baseline="one")
    with pytest.raises(RecipeError, match="give one or more, each 0 or above"):
        Comparison(name="p", entries=(ONE,), baseline="one", seeds=())
    with pytest.raises(RecipeError, match="seed 1 is there twice"):
        Comparison(name="p", entries=(ONE,), baseline="one", seeds=(1, 1))
    with pytest.raises(RecipeError, match="lacks the baseline 'one'"):
        Comparison(name="p", entries=(ONE, TWO), baseline="one", held_out_entries=("two",))
    for name in ("a/b", "..", "", "a b"):
        with pytest.raises(RecipeError, match="call it by letters, digits"):
            Entry(name, "toy")


def test_a_plan_is_found_by_name_or_path(tmp_path: Path) -> None:
    assert plans.load("smoke").name == "smoke"
    with pytest.raises(RecipeError, match="did you mean 'smoke'"):
        plans.load("smok")
    own = tmp_path / "own.py"
    with pytest.raises(RecipeError, match="give a Python file with a value `plan`"):
        plans.load(str(own))
    own.write_text("plan = 3\n")
    with pytest.raises(RecipeError, match=r"wanted a value `plan = Plan\(...\)`"):
        plans.load(str(own))
    own.write_text(
        "from unheard.compare.plan import Entry, Plan\n"
        "plan = Plan(name='own', entries=(Entry('a', 'toy'),), baseline='a')\n"
    )
    assert plans.load(str(own)).name == "own"


@pytest.mark.parametrize("name", plans.names())
def test_plan_is_named_after_its_file_and_says_how_to_run_it(name: str) -> None:
    assert plans.load(name).name == name
    docstring = Path(plans.__file__).with_name(f"{name}.py").read_text().split('"""')[1]
    assert f"unheard compare {name} --data" in docstring
