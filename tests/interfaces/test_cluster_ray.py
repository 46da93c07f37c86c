"""Is an archive scored by two machines whole, when one of them dies in the middle?

The machines are two nodes of a Ray cluster on this one: slow to start, so `make cluster-test`.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from audio_files import wav
from cli_run import Run
from ray_settings import LOG, SlowSettings
from unheard.cluster import Engine, score_archive
from unheard.errors import BundleError
from unheard.ledger import Ledger
from voice import voice

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.filterwarnings("default")]

N_CLIPS = 40
STORE_BYTES = 100 * 2**20


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """A head and a second node, all on the loopback address; their processes find the tests."""
    log = tmp_path_factory.mktemp("log") / "heard"
    log.touch()
    os.environ |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
        LOG: str(log),
    }
    from ray.cluster_utils import Cluster

    sizes = {"num_cpus": 2, "object_store_memory": STORE_BYTES}
    for attempt in range(3):
        try:
            made = Cluster(
                initialize_head=True, head_node_args={**sizes, "include_dashboard": False}
            )
            break
        except Exception:  # on a busy machine its parts wait for each other too briefly
            if attempt == 2:
                raise
    second = made.add_node(**sizes)
    yield made, second
    made.shutdown()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("in")
    for index in range(N_CLIPS):
        (folder / f"{index:02}.wav").write_bytes(wav(voice(1.2, seed=index)[None]))
    (folder / "bad.wav").write_bytes(b"no audio")
    return sorted(map(str, folder.iterdir()))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out") / "rows"


def heard() -> list[tuple[str, str]]:
    """Which node began which recording, in order."""
    lines = Path(os.environ[LOG]).read_text().splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def test_a_node_that_dies_in_the_middle_costs_no_row_and_makes_none_twice(
    cluster: tuple[Any, Any], toy: Path, recordings: list[str], out: Path
) -> None:
    made, second = cluster
    finished: set[str] = set()
    n_bad = 0
    with Ledger(str(out), shard_rows=4) as ledger:
        shards: dict[int, tuple[str, ...]] = {}
        engine = Engine("ray", address=made.address)
        for filled in score_archive(recordings, SlowSettings(toy), ledger, engine):
            if not shards:
                shards = {
                    one.number: one.sources
                    for file in ledger.plan_files()
                    for one in ledger.planned(file)
                }
            finished.update(shards[filled.number])
            n_bad += len(filled.errors)
            if second is not None and in_hand(second.node_id, finished):
                made.remove_node(second, allow_graceful=False)
                second = None
    assert second is None, "the second node never had work in hand"
    rows = pq.read_table(out / "rows").to_pylist()
    assert sorted(row["source"] for row in rows) == recordings
    assert sum(row["score"] is not None for row in rows) == N_CLIPS
    assert n_bad == 1
    times = Counter(source for _, source in heard())
    assert set(times.values()) == {1, 2}, "nothing was taken over from the node that died"


def in_hand(node: str, finished: set[str]) -> list[str]:
    """What a node has begun and not handed in."""
    return [source for where, source in heard() if where == node and source not in finished]


def test_the_command_finds_it_done_and_adds_what_is_new(
    cluster: tuple[Any, Any],
    toy: Path,
    recordings: list[str],
    out: Path,
    unheard: Callable[..., Run],
) -> None:
    folder = Path(recordings[0]).parent
    new = folder / "new.wav"
    new.write_bytes(wav(voice(1.2, seed=99)[None]))
    n_before = len(heard())
    run = unheard(
        *("score", folder, "--detector", toy, "--out", out),
        *("--engine", "ray", "--address", cluster[0].address, "--jobs", 1),
    )
    assert run.code == 1
    assert f"{N_CLIPS + 1} of {N_CLIPS + 2} recordings have a verdict" in run.err
    assert f"({N_CLIPS} rows were there before)" in run.err
    assert len(heard()) == n_before
    assert pq.read_table(out / "rows").num_rows == N_CLIPS + 2


def test_a_detector_that_differs_between_machines_is_refused(
    cluster: tuple[Any, Any], toy: Path, recordings: list[str], tmp_path: Path
) -> None:
    from unheard import cluster as engines

    with Ledger(str(tmp_path / "out")) as ledger:
        ledger.add(recordings[:1])
        engine = Engine("ray", address=cluster[0].address)
        with pytest.raises(BundleError, match="copy the same bundle to all of them"):
            list(engines._on_ray(ledger, SlowSettings(toy), "another", engine))
