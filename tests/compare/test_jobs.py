"""A plan as jobs: who needs whom, what is done, and what a held-out family takes along."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unheard import recipes
from unheard.compare import Options, compare, lay_out, overview, plans
from unheard.compare.cost import Cost, measure, read_cost, write_cost
from unheard.compare.jobs import STEPS, Job, _contradicts
from unheard.compare.plan import Comparison, Entry
from unheard.compare.runner import LOG, PROGRAM
from unheard.compare.time_used import TimeUsed, core_s_of, read_time_used, write_time_used
from unheard.data.clip import Clip, Manifest
from unheard.detectors import bundle, weights
from unheard.detectors.card import Card, Provenance
from unheard.detectors.ssl_aasist import SslAasist
from unheard.detectors.toy import Toy
from unheard.errors import EvaluationError, ManifestError, RecipeError
from unheard.evaluation.scores import COLUMNS, Facts, write_scores
from unheard.metrics import Calibration, OperatingPoints
from unheard.training.recipe import recipe_to_json
from unheard.training.solve import Solve

FAMILIES = ("formant", "diphone", "neural")
PLAN = Comparison(
    name="p",
    entries=(Entry("toy", "toy"), Entry("further", "toy_further", ("schedule.rate=0.1",))),
    baseline="toy",
    seeds=(4, 5),
    settings=("budget.n_steps=7",),
    held_out=("diphone",),
    held_out_entries=("toy",),
)


def clips(*, twins: bool = False) -> Iterator[Clip]:
    """Two clips of each class, family and part, of speakers of their own; twins of train."""
    for part in ("train", "dev", "eval_in", "eval_out"):
        for family in ("-", *FAMILIES):
            for n in range(2):
                name = f"{part}-{family}-{n}"
                clip = Clip(
                    id=name,
                    path=f"{name}.flac",
                    bonafide=family == "-",
                    part=part,
                    attack=family,
                    family=family,
                    speaker=f"{part}{n}",
                    sha256=f"hash of {name}",
                )
                yield clip
                if twins and part == "train":
                    yield replace(
                        clip,
                        id=f"twin of {name}",
                        bonafide=False,
                        attack="codec",
                        family="reconstruction",
                        source_clip=name,
                        sha256=f"hash of the twin of {name}",
                    )


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Path]:
    files = {
        "": tmp_path / "corpus" / "all.parquet",
        "twins": tmp_path / "corpus" / "twins.parquet",
    }
    for name, file in files.items():
        Manifest.of(clips(twins=bool(name)), file.parent).write(file)
    return files


def finish(job: Job, *, seed: int | None = None) -> None:
    """Leave behind what a job leaves, quickly: a detector that was not trained."""
    hashes = {"train": job.source.sha256(("train",)), "dev": job.source.sha256(("dev",))}
    recipe = job.recipe if seed is None else replace(job.recipe, seed=seed)
    card = Card(
        name=recipe.name,
        version="1",
        window_s=0.5,
        hop_s=0.5,
        calibration=Calibration(scale=1.0, offset=0.0),
        operating_points=OperatingPoints(0.0, -1.0, 1.0, surely_spoof=-1.0, surely_bonafide=1.0),
        provenance=Provenance(settings=recipe_to_json(recipe), manifests=hashes),
    )
    weights.save(job.folder / "bundle", Toy().build(), Toy(), card, seen=[])
    sha256 = bundle.read_card(job.folder / "bundle").files["weights.safetensors"]
    columns = {name: [value] for name, value in COLUMNS.items()}
    facts = Facts(protocol=job.protocol, weights_sha256=sha256)
    write_scores(job.folder / "eval" / "scores.parquet", columns, facts)
    write_cost(Cost(1, 1, 1, 0.1), job.folder / "cost.json")


def test_jobs_come_seed_by_seed_those_that_others_need_first(
    data: dict[str, Path], tmp_path: Path
) -> None:
    jobs = lay_out(PLAN, data, tmp_path / "out")
    assert [job.label for job in jobs] == [
        "open seed 4 toy",
        "open seed 4 further",
        "open seed 5 toy",
        "open seed 5 further",
        "without_diphone seed 4 toy",
        "without_diphone seed 5 toy",
    ]
    toy, further = jobs[:2]
    assert further.needs == (toy,)
    schedule: Any = recipes.load("toy").schedule
    assert further.recipe == replace(
        recipes.load("toy_further"),
        seed=4,
        budget=replace(recipes.load("toy").budget, n_steps=7),
        schedule=replace(schedule, rate=0.1),
    )
    assert further.folder == tmp_path / "out" / "open" / "seed4" / "further"
    assert further.command("train") == [
        *("train", "toy_further", "--data", str(data[""]), "--out", str(further.folder)),
        *("--set", "budget.n_steps=7", "--set", "schedule.rate=0.1", "--set", "seed=4"),
    ]
    assert jobs[-1].command("evaluate")[3] == str(
        tmp_path / "out" / "manifests" / "without_diphone.parquet"
    )


def test_what_a_recipe_starts_from_is_a_job_though_no_entry(
    data: dict[str, Path], tmp_path: Path
) -> None:
    alone = lay_out(PLAN, data, tmp_path, only=["further"])
    assert [(job.label, job.protocol) for job in alone[:2]] == [
        ("open seed 4 toy", ""),
        ("open seed 4 further", "open"),
    ]
    first = alone[0]
    assert first.steps_left() == STEPS[:1]
    # An entry that another one starts from is one job, whichever comes first.
    turned = replace(PLAN, entries=PLAN.entries[::-1])
    both = lay_out(turned, data, tmp_path)[:2]
    assert [(job.name, job.protocol) for job in both] == [("toy", "open"), ("further", "open")]
    with pytest.raises(RecipeError, match="did you mean 'further'"):
        lay_out(PLAN, data, tmp_path, only=["furthr"])


def test_a_job_is_done_by_what_it_left(data: dict[str, Path], tmp_path: Path) -> None:
    job = lay_out(PLAN, data, tmp_path)[0]
    assert job.steps_left() == STEPS
    finish(job)
    assert job.steps_left() == ()
    (job.folder / "cost.json").write_text("{}")
    assert job.steps_left() == ("cost",)
    facts = Facts(protocol=job.protocol, weights_sha256="of another bundle")
    columns = {name: [value] for name, value in COLUMNS.items()}
    write_scores(job.folder / "eval" / "scores.parquet", columns, facts)
    assert job.steps_left() == ("evaluate", "cost")
    finish(job, seed=9)
    assert job.steps_left() == STEPS


def test_a_run_on_other_clips_is_not_the_one_that_is_wanted(
    data: dict[str, Path], tmp_path: Path
) -> None:
    plan = replace(PLAN, held_out=())
    job = lay_out(plan, data, tmp_path)[0]
    finish(job)
    other = lay_out(plan, {"": data["twins"]}, tmp_path)[0]
    assert other.steps_left() == STEPS
    # Without a manifest, as for a report, what is there is taken.
    assert lay_out(plan, {}, tmp_path)[0].steps_left() == ()


def test_names_that_only_one_version_knows_contradict_nothing() -> None:
    assert not _contradicts({"a": 1, "old": 2}, {"a": 1, "new": 3})
    assert _contradicts({"a": {"b": [1]}}, {"a": {"b": [2]}})


def test_without_a_family_there_are_no_twins_of_it(data: dict[str, Path], tmp_path: Path) -> None:
    plan = replace(PLAN, entries=(*PLAN.entries, Entry("twin", "toy", data="twins")))
    plan = replace(plan, held_out_entries=("toy", "twin"))
    jobs = {job.label: job for job in lay_out(plan, data, tmp_path / "out")}
    source = jobs["without_diphone seed 4 twin"].source
    assert source.file == tmp_path / "out" / "manifests" / "without_diphone_twins.parquet"
    left = Manifest.read(source.file)
    trained = left.part("train")
    assert set(trained.column("family")) == {"-", "formant", "neural", "reconstruction"}
    assert not any("diphone" in name for name in trained.column("id"))
    assert set(trained.column("source_clip")) - {""} <= set(trained.column("id"))
    assert set(left.part("eval_out").column("family")) == {"-", "diphone"}
    assert Path(left.root / left[0].path).resolve().parent == data[""].parent
    # The same command again takes the file as it is; another corpus is refused.
    lay_out(plan, data, tmp_path / "out")
    with pytest.raises(RecipeError, match="made from another corpus; choose another --out"):
        lay_out(plan, {"": data["twins"], "twins": data[""]}, tmp_path / "out")


def test_what_would_fail_after_an_hour_fails_at_once(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(*entries: Entry, **changes: Any) -> Comparison:
        return replace(PLAN, entries=(Entry("toy", "toy"), *entries), **changes)

    with pytest.raises(RecipeError, match="no recipe is called 'lcn'; did you mean 'lcnn'"):
        lay_out(plan(Entry("a", "lcn")), data, tmp_path)
    with pytest.raises(RecipeError, match="did you mean 'rate'"):
        lay_out(plan(Entry("a", "toy", ("schedule.rat=1",))), data, tmp_path)
    with pytest.raises(RecipeError, match="no protocol 'opn'"):
        lay_out(plan(protocol="opn"), data, tmp_path)
    with pytest.raises(ManifestError, match="train_extra"):
        lay_out(plan(Entry("a", "toy", ("train_parts=train_extra",))), data, tmp_path)
    with pytest.raises(RecipeError, match="add --data twins=FILE, or leave the entry out"):
        compare(plan(Entry("a", "toy", data="twins")), {"": data[""]}, tmp_path)
    apart = replace(recipes.load("toy_further"), train_parts=("dev",), dev_parts=("train",))
    load = recipes.load
    monkeypatch.setattr(
        recipes, "load", lambda name: apart if name == "toy_further" else load(name)
    )
    with pytest.raises(RecipeError, match="give both the same train_parts and dev_parts"):
        lay_out(PLAN, data, tmp_path)


@pytest.mark.parametrize("name", plans.names())
def test_every_plan_can_be_laid_out(name: str, data: dict[str, Path], tmp_path: Path) -> None:
    plan = replace(plans.load(name), held_out=())
    jobs = lay_out(plan, data, tmp_path)
    assert {job.name for job in jobs} >= {entry.name for entry in plan.entries}
    assert {entry.data for entry in plan.entries} <= set(data)


def test_every_network_of_the_papers_sees_as_many_clips(
    data: dict[str, Path], tmp_path: Path
) -> None:
    for job in lay_out(plans.load("papers"), data, tmp_path):
        if isinstance(job.recipe.method, Solve):  # fitted in one pass
            continue
        gate = bool(job.recipe.init_from)
        assert job.recipe.budget.n_steps == (130 if gate else 646), job.name
        sampler: Any = job.recipe.sampler
        n_clips = getattr(sampler, "batch_clips", 0) or sampler.clips_per_domain * (
            sampler.domains_per_step
        )
        assert (n_clips, job.recipe.window_s) == (16, 3.0), job.name
        assert job.recipe.schedule == recipes.load("lora_pages").schedule, job.name


def test_every_method_of_the_first_plan_gets_the_same_number_of_steps_on_one_network(
    data: dict[str, Path], tmp_path: Path
) -> None:
    jobs = lay_out(replace(plans.load("papers_open"), held_out=()), data, tmp_path)
    for job in jobs:
        spec = job.recipe.detector
        pretrained = isinstance(spec, SslAasist) or job.recipe.init_from
        assert job.recipe.budget.n_steps == (120 if pretrained else 300), job.name
        assert getattr(job.recipe.sampler, "batch_clips", 16) == 16, job.name
    assert {job.recipe.window_s for job in jobs} <= {3.0, 4.0}


def test_settings_of_held_out_families_are_for_those_runs_alone(
    data: dict[str, Path], tmp_path: Path
) -> None:
    plan = replace(PLAN, held_out=PLAN.held_out[:1], held_out_settings=("schedule.rate=0.5",))
    rates: set[tuple[str, float]] = set()
    for job in lay_out(plan, data, tmp_path):
        schedule: Any = job.recipe.schedule
        rates.add((job.stage.held_out, schedule.rate))
    assert {family for family, rate in rates if rate == 0.5} == {plan.held_out[0]}
    assert {family for family, rate in rates if rate != 0.5} == {""}


def test_plans_in_one_folder_share_the_runs_that_are_the_same(
    data: dict[str, Path], tmp_path: Path
) -> None:
    chosen = [replace(plans.load(name), held_out=()) for name in plans.names() if name != "smoke"]
    jobs = [job for plan in chosen for job in lay_out(plan, data, tmp_path)]
    for folder in {job.folder for job in jobs}:
        same_folder = [job.recipe for job in jobs if job.folder == folder]
        assert all(recipe == same_folder[0] for recipe in same_folder), folder


def test_the_overview_says_what_time_and_disk_are_still_needed(
    data: dict[str, Path], tmp_path: Path
) -> None:
    jobs = lay_out(replace(PLAN, held_out=()), data, tmp_path)
    toy, further, again, _ = jobs
    finish(toy)
    write_time_used(toy.folder, "train", TimeUsed(100.0, 80.0))
    write_time_used(toy.folder, "evaluate", TimeUsed(20.0, 10.0))
    again.folder.mkdir(parents=True)
    (again.folder / LOG).write_text("failed: it rained\n")
    summary = overview(jobs)
    assert [(state.state, state.why, state.left_s) for state in summary.states] == [
        ("done", "", None),
        ("to do", "", None),
        ("failed", "it rained", 120.0),
        ("waits", "toy", None),
    ]
    assert summary.n_unknown == 2
    assert summary.left_s == 120.0
    size = sum(file.stat().st_size for file in toy.folder.rglob("*") if file.is_file())
    assert summary.disk_bytes == size + 18
    assert summary.disk_left_bytes == size - 18
    assert toy.training_core_s() == 80.0
    assert further.training_core_s() is None
    further.folder.mkdir()
    write_time_used(further.folder, "train", TimeUsed(1.0, 5.0))
    assert further.training_core_s() == 85.0


def test_time_used_is_empty_where_its_file_is_missing_or_damaged(tmp_path: Path) -> None:
    assert read_time_used(tmp_path) == {}
    for text in ("", "[]", '{"train": 3}', '{"train": {"hours": 1}}'):
        (tmp_path / "spent.json").write_text(text)
        assert read_time_used(tmp_path) == {}
    assert core_s_of(2**30) == 0.0


def test_the_cost_of_a_detector_is_measured(tmp_path: Path) -> None:
    job = lay_out(PLAN, {}, tmp_path)[0]
    finish(job)
    cost = measure(job.folder / "bundle")
    assert (cost.parameters, cost.trained) == (19, 19)
    files = (job.folder / "bundle").iterdir()
    assert cost.bundle_bytes == sum(file.stat().st_size for file in files)
    assert 0 < cost.core_s < 0.5
    assert read_cost(write_cost(cost, tmp_path / "cost.json")) == cost
    (tmp_path / "cost.json").write_text('{"weight": 3}')
    with pytest.raises(EvaluationError, match="delete it and measure again"):
        read_cost(tmp_path / "cost.json")


def test_options_name_this_program() -> None:
    assert Options().program == PROGRAM
