"""A process that dies costs the task it works on."""

import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from unheard import workers
from unheard.workers import Died, in_processes, n_cores, with_progress
from worker_task import work


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_task_that_kills_its_process_costs_itself_alone(jobs: int) -> None:
    tasks = ["a", "dies", "b", "c", "dies", "d"]
    results = list(in_processes(work, iter(tasks), jobs))
    assert sorted(task for task, _ in results) == sorted(tasks)
    assert sorted(r for _, r in results if not isinstance(r, Died)) == ["A", "B", "C", "D"]
    assert {r.why for _, r in results if isinstance(r, Died)} == {
        "the process that worked on it died (exit code 7); is memory short?"
    }


def test_a_task_that_hangs_is_ended() -> None:
    results = dict(in_processes(work, ["hangs", "a"], 1, longest_s=1))
    died, after = results["hangs"], results["a"]
    assert died == Died("it took more than 1 s and was stopped", -signal.SIGALRM)
    assert after == "A"


def test_no_tasks_need_no_process() -> None:
    assert list(in_processes(work, [], 2)) == []


def test_long_work_tells_how_far_it_is_and_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.0, 2.0, 6.0, 8.0, 200.0, 201.0])
    clock = SimpleNamespace(monotonic=lambda: next(seconds))
    monkeypatch.setattr("unheard.workers.time", clock)
    said: list[str] = []
    assert list(with_progress("abcde", 1_005, said.append, "clips scored")) == list("abcde")
    assert said == [
        "clips scored: 2 of 1,005, about 50 min left",
        "clips scored: 4 of 1,005, about 834 min left",
    ]


def test_work_of_unknown_length_and_of_parcels_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(monotonic=iter(range(0, 100, 6)).__next__)
    monkeypatch.setattr("unheard.workers.time", clock)
    said: list[str] = []
    list(with_progress(["ab", "c"], None, said.append, "clips cut", len))
    assert said == ["clips cut: 2", "clips cut: 3"]


def test_a_container_limits_the_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "cpu.max"
    monkeypatch.setattr(workers, "_CPU_LIMIT", limit)
    n_all = n_cores()
    assert n_all >= 1
    for text, n in (("max 100000", n_all), ("100000 100000", 1), ("50000 100000", 1)):
        limit.write_text(text)
        assert n_cores() == n
