import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import distributed as dist

import process_worker
from process_worker import RECIPES, Pair, gradients_model, scored, trained
from small_detectors import PAIRS, SMALL
from synthetic_corpus import corpus
from unheard.data.batches import Balanced, Batch, BatchSource
from unheard.data.clip import Manifest
from unheard.detectors.bundle import read_card
from unheard.errors import TrainingError
from unheard.training import distributed
from unheard.training.distributed import joined
from unheard.training.loop import train
from unheard.training.mldg import Mldg
from unheard.training.objectives import WeightedCrossEntropy
from unheard.training.supervised import Supervised

# Processes import torch, which takes a minute on a machine that does other things.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    corpus(folder, duration_s=0.6)
    return folder / "manifest.parquet"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    two = Pair(tmp_path_factory.mktemp("pair") / "store")
    yield two
    two.close()


@pytest.fixture(scope="module")
def wholes(pair: Pair, data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs on two processes that nothing interrupted, by recipe."""
    runs = {name: tmp_path_factory.mktemp("wholes") / name for name in ("encoder", "adapters")}
    for name, run in runs.items():
        pair.ask("trained", name, data, run)
    return runs


def log(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def last(run: Path, kind: str = "model") -> dict[str, torch.Tensor]:
    """Return the tensors of the only checkpoint that is left, the last."""
    (step,) = (run / "checkpoints").iterdir()
    assert step.name == "step-000003"
    return load_file(step / f"{kind}.safetensors")


def assert_close(run: Path, other: Path, *, statistics: bool) -> None:
    """Compare weights at the last step; sums in another order part in the last digits."""
    weights, others = last(run), last(other)
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        if statistics or ("running_" not in name and "num_batches" not in name):
            torch.testing.assert_close(value, others[name], rtol=1e-4, atol=1e-6, msg=name)


def assert_identical(run: Path, other: Path) -> None:
    for kind in ("model", "moments", "best"):
        tensors, others = last(run, kind), last(other, kind)
        assert all(torch.equal(value, others[name]) for name, value in tensors.items()), kind
    assert log(run) == log(other)


@pytest.mark.parametrize(("method", "detector"), PAIRS)
def test_gradients_of_two_processes_are_those_of_one(
    method: str, detector: str, pair: Pair, data: Path
) -> None:
    # Dropout and normalisation over the batch included: no batch is divided.
    assert max(pair.ask("gradients", method, detector, data)) < 1e-5


def test_a_step_over_batches_is_a_step_over_all_their_clips(data: Path) -> None:
    """True where a loss is a mean over clips, and no layer normalises over a batch."""
    model = gradients_model("supervised", "toy", data, [0, 1])
    first, second = (process_worker.batches(data)[number] for number in (0, 1))
    names = ("waveform", "n_samples", "bonafide", "domain", "twin")
    tensors = {name: torch.cat([getattr(first, name), getattr(second, name)]) for name in names}
    both = Batch(**tensors, ids=first.ids + second.ids)
    joint = SMALL["toy"].build().train()
    Supervised().gradients(joint, both, WeightedCrossEntropy())
    for part, whole in zip(model.parameters(), joint.parameters(), strict=True):
        assert part.grad is not None
        torch.testing.assert_close(part.grad / 2, whole.grad)


def test_means_are_over_processes_and_batches(pair: Pair) -> None:
    gradients = [[0.25], [5.25], [10.25], [15.25], None]
    statistics = [[0.5, 0.5], [3.5, 3.5]]
    answers = pair.ask("given")
    assert answers == [[gradients, statistics, {"a": 1.5, "_b": 0.5}, [0.0, 0.1]]] * 2


@pytest.mark.parametrize("size", [1, 2, 4])
def test_processes_share_out_batches_without_loss_or_repetition(size: int, data: Path) -> None:
    manifest = Manifest.read(data).part("train")
    source = BatchSource(manifest, Balanced(batch_clips=2), window_s=0.1, seed=1)
    whole = [batch.ids for batch in source.batches(8, 24)]
    places = [distributed.Rank(rank, size, torch.device("cpu")) for rank in range(size)]
    mine = [place.share(8, 24) for place in places]
    shares = [[b.ids for b in source.batches(m.start, m.stop, every=size)] for m in mine]
    assert [ids for turn in zip(*shares, strict=True) for ids in turn] == whole
    for step in range(2, 6):  # of 4 batches each: what a share holds is what the step asks for
        asked = sorted(number for place in places for number in place.share(4 * step, 4 * step + 4))
        assert asked == list(range(4 * step, 4 * step + 4))


def test_dev_clips_are_shared_out_and_all_get_all_scores(pair: Pair, data: Path) -> None:
    alone, read_alone = scored(data)
    (first, read_one), (second, read_two) = pair.ask("scored", data)
    assert first == second == alone
    assert sorted(read_one + read_two) == sorted(read_alone)
    assert len(read_one) == len(read_two)


def test_a_run_on_two_processes_is_the_run_on_one(pair: Pair, data: Path, tmp_path: Path) -> None:
    lines = trained("toy", data, tmp_path / "one")
    first, second = pair.ask("trained", "toy", data, tmp_path / "two")
    assert [line.partition(";")[0] for line in first] == [line.partition(";")[0] for line in lines]
    assert second == []
    assert_close(tmp_path / "one", tmp_path / "two", statistics=True)
    for alone, shared in zip(log(tmp_path / "one"), log(tmp_path / "two"), strict=True):
        assert alone == pytest.approx(shared, rel=1e-4)
    name = "bundle/weights.safetensors"
    counts = [read_card(tmp_path / run / "bundle").provenance.notes for run in ("one", "two")]
    assert [notes["processes"] for notes in counts] == [1, 2]
    weights, others = load_file(tmp_path / "one" / name), load_file(tmp_path / "two" / name)
    torch.testing.assert_close(weights, others, rtol=1e-4, atol=1e-6)


def test_processes_grow_and_remove_the_same_units(pair: Pair, data: Path, tmp_path: Path) -> None:
    trained("changing", data, tmp_path / "one")
    first, _ = pair.ask("trained", "changing", data, tmp_path / "two", 1)
    assert first[-1] == "interrupted"  # after the growth, before the removal
    pair.ask("trained", "changing", data, tmp_path / "two")
    assert [line["_width recurrent.0"] for line in log(tmp_path / "two")] == [4, 8, 6]
    assert_close(tmp_path / "one", tmp_path / "two", statistics=False)


def test_a_closed_form_on_two_processes_is_that_of_one_to_the_bit(
    pair: Pair, data: Path, tmp_path: Path
) -> None:
    trained("probe", data, tmp_path / "one")
    assert pair.ask("trained", "probe", data, tmp_path / "two", 1)[0][-1] == "interrupted"
    pair.ask("trained", "probe", data, tmp_path / "two")
    assert last(tmp_path / "one")["linear.weight"].abs().max() > 0
    assert_identical(tmp_path / "one", tmp_path / "two")


def test_a_run_resumes_with_another_number_of_processes(
    pair: Pair, data: Path, wholes: dict[str, Path], tmp_path: Path
) -> None:
    assert pair.ask("trained", "encoder", data, tmp_path / "run", 1)[0][-1] == "interrupted"
    lines = trained("encoder", data, tmp_path / "run", 2)
    assert (lines[0], lines[-1]) == ("resuming after step 1 of 3", "interrupted")
    first, _ = pair.ask("trained", "encoder", data, tmp_path / "run")
    assert first[0] == "resuming after step 2 of 3"
    assert_close(tmp_path / "run", wholes["encoder"], statistics=False)


def test_a_run_on_as_many_processes_resumes_to_the_bit(
    pair: Pair, data: Path, wholes: dict[str, Path], tmp_path: Path
) -> None:
    for before_step in (1, 2, 1000):
        pair.ask("trained", "adapters", data, tmp_path / "run", before_step)
    assert_identical(tmp_path / "run", wholes["adapters"])


@pytest.mark.parametrize("name", ["encoder", "adapters"])
def test_a_sharded_run_is_the_whole_one(
    name: str, pair: Pair, data: Path, wholes: dict[str, Path], tmp_path: Path
) -> None:
    assert pair.ask("trained", name, data, tmp_path / "run", 1000, True)[1] == []
    assert_close(tmp_path / "run", wholes[name], statistics=True)
    for line, other in zip(log(tmp_path / "run"), log(wholes[name]), strict=True):
        assert line == pytest.approx(other, rel=1e-4)
    moments, others = last(tmp_path / "run", "moments"), last(wholes[name], "moments")
    torch.testing.assert_close(moments, others, rtol=1e-3, atol=1e-6)


def test_a_sharded_run_resumes_sharded_and_whole(
    pair: Pair, data: Path, wholes: dict[str, Path], tmp_path: Path
) -> None:
    pair.ask("trained", "encoder", data, tmp_path / "run", 1, True)
    pair.ask("trained", "encoder", data, tmp_path / "run", 2, True)
    assert trained("encoder", data, tmp_path / "run")[0] == "resuming after step 2 of 3"
    assert_close(tmp_path / "run", wholes["encoder"], statistics=False)


def test_a_shard_is_half_of_an_encoder(pair: Pair) -> None:
    (first, n_all), (second, _) = pair.ask("encoder_share")
    assert first + second == n_all
    assert abs(first - second) < n_all / 4  # a tensor of one row is not divided


def test_what_cannot_be_sharded_is_refused(data: Path, tmp_path: Path) -> None:
    toy = RECIPES["toy"]
    with pytest.raises(TrainingError, match=r"ToyDetector has no speech encoder.*leave --sharded"):
        train(toy, Manifest.read(data), tmp_path / "run", sharded=True)
    with pytest.raises(TrainingError, match=r"method Mldg steps.*leave --sharded out"):
        train(replace(toy, method=Mldg()), Manifest.read(data), tmp_path / "run", sharded=True)
    assert not (tmp_path / "run").exists()


def test_batches_that_cannot_be_shared_out_evenly_are_refused(
    pair: Pair, data: Path, tmp_path: Path
) -> None:
    for lines in pair.ask("trained", "undivided", data, tmp_path / "run"):
        assert "set it to a multiple of 2, as with --set budget.batches_per_step=2" in lines[0]
    assert not (tmp_path / "run").exists()


def test_processes_that_would_do_different_things_stop_before_they_begin(pair: Pair) -> None:
    assert pair.ask("agreed", True) == ["", ""]
    for message in pair.ask("agreed", False):
        assert message.startswith("processes 1 have another recipe")
        assert "folders that all machines share" in message


def test_a_process_alone_is_the_only_one() -> None:
    with joined() as process:
        assert (process.rank, process.size, process.is_first) == (0, 1, True)
        assert not dist.is_initialized()
    assert distributed.n_processes() == 1


def test_what_is_drawn_depends_on_its_number_alone() -> None:
    drawn = []
    for number in [(1, 7), (1, 8), (2, 7), (1, 7)]:
        distributed.seed_draws(3, *number)
        drawn.append(torch.rand(1).item())
    assert drawn[0] == drawn[3]
    assert len(set(drawn)) == 3


@pytest.mark.parametrize(
    "message",
    [
        "[gloo/transport/tcp/pair.cc:553] Connection closed by peer",
        "[gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 600000ms for recv",
    ],
)
def test_a_lost_process_is_reported_with_what_to_do(message: str) -> None:
    with pytest.raises(TrainingError, match="give the same command again to resume"), joined():
        raise RuntimeError(message)
    with pytest.raises(RuntimeError, match="shapes do not fit"), joined():
        raise RuntimeError("shapes do not fit")


def test_a_process_that_is_sent_sigterm_reports_it_undisturbed() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        remedy = r"asked to stop.*give the same command again"
        with pytest.raises(TrainingError, match=remedy), distributed._stoppable():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert distributed._device(1) == torch.device("cuda", 1)
    assert chosen == [1]
    with pytest.raises(TrainingError, match="2 GPUs; start torchrun with --nproc-per-node 2"):
        distributed._device(2)


SETTINGS = {
    "hop_s": 0.4,
    "window_s": 0.4,
    "sampler.batch_clips": 4,
    "budget.n_steps": 8,
    "budget.eval_every": 2,
    "budget.batches_per_step": 2,
}


def python(*words: Any) -> subprocess.CompletedProcess[str]:
    tests = Path(process_worker.__file__).parent
    folders = [str(Path(distributed.__file__).parents[2]), str(tests)]
    return subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1"},
    )


def test_a_run_whose_process_dies_ends_with_an_error_and_the_same_command_resumes_it(
    data: Path, tmp_path: Path
) -> None:
    settings = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    command = ["train", "toy", *settings, "--data", data, "--out", tmp_path / "run"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    dies = [process_worker.__file__, tmp_path / "died", 11]  # batch 11 is of step 6
    ended = python(*torchrun, *dies, *command)
    assert ended.returncode != 0
    assert "give the same command again to resume from it" in ended.stderr
    assert [step.name for step in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-000004"]

    finished = python(process_worker.__file__, "both", *command)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr.count("resuming after step 4 of 8") == 1
    assert finished.stdout.splitlines() == [str(tmp_path / "run" / "bundle")]
    assert (tmp_path / "run" / "bundle" / "bundle.json").is_file()
    steps = [line["step"] for line in log(tmp_path / "run") if "dev_eer" in line]
    assert steps == [2, 4, 6, 8]
