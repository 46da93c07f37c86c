"""Is an archive scored by two machines whole, when one of them dies in the middle?

The machines are two nodes of a Ray cluster on this one: slow to start, so `make cluster-test`.
"""

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from audio_files import wav
from cli_run import Run
from ray_settings import LOG, SlowSettings
from unheard.data.row_shards import RowShards
from unheard.errors import BundleError
from unheard.scoring.cluster import Engine, score_archive
from voice import voice

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.filterwarnings("default")]

N_CLIPS = 40
STORE_BYTES = 100 * 2**20


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """A head and a second node, all on the loopback address; their processes find the tests."""
    log = tmp_path_factory.mktemp("log") / "started"
    log.touch()
    os.environ |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
        LOG: str(log),
    }
    from ray.cluster_utils import Cluster

    sizes: dict[str, Any] = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    for attempt in range(3):
        try:
            nodes = Cluster(
                initialize_head=True, head_node_args={**sizes, "include_dashboard": False}
            )
            break
        except Exception:  # on a busy machine its parts wait for each other too briefly
            if attempt == 2:
                raise
    second = nodes.add_node(**sizes | {"num_cpus": 2})
    yield nodes, second
    nodes.shutdown()


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


def started() -> list[tuple[str, str]]:
    """Which node began which recording, in order."""
    lines = Path(os.environ[LOG]).read_text().splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def test_a_node_that_dies_in_the_middle_costs_no_row_and_makes_none_twice(
    cluster: tuple[Any, Any], toy: Path, recordings: list[str], out: Path
) -> None:
    nodes, second = cluster
    engine = Engine("ray", address=nodes.address)
    with RowShards(str(out), shard_rows=8) as row_shards:
        killer = threading.Thread(target=kill_at_work, args=(nodes, second, out))
        killer.start()
        filled = list(score_archive(recordings, SlowSettings(toy), row_shards, engine))
        killer.join()
    assert sum(len(shard.errors) for shard in filled) == 1
    rows = pq.read_table(out / "rows").to_pylist()
    assert sorted(row["source"] for row in rows) == recordings
    assert sum(row["score"] is not None for row in rows) == N_CLIPS
    times = Counter(source for _, source in started())
    assert set(times.values()) == {1, 2}, "nothing was taken over from the node that died"


def kill_at_work(nodes: Any, second: Any, out: Path) -> None:
    """Kill a node without warning as soon as it has begun a recording; or wait until the end."""
    raylet = str(second.all_processes["raylet"][0].process.pid)
    while raylet not in {where for where, _ in started()}:
        if len(list((out / "rows").glob("*.parquet"))) == -(-(N_CLIPS + 1) // 8):
            return
        time.sleep(0.05)
    nodes.remove_node(second, allow_graceful=False)


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
    n_before = len(started())
    run = unheard(
        *("score", folder, "--detector", toy, "--out", out),
        *("--engine", "ray", "--address", cluster[0].address, "--jobs", 1),
    )
    assert run.code == 1
    assert f"{N_CLIPS + 1} of {N_CLIPS + 2} recordings have a verdict" in run.err
    assert f"({N_CLIPS} rows were there before)" in run.err
    assert len(started()) == n_before
    assert pq.read_table(out / "rows").num_rows == N_CLIPS + 2


def test_a_detector_that_differs_between_machines_is_refused(
    cluster: tuple[Any, Any], toy: Path, recordings: list[str], tmp_path: Path
) -> None:
    from unheard.scoring import cluster as engines

    with RowShards(str(tmp_path / "out")) as row_shards:
        engine = Engine("ray", address=cluster[0].address)
        with pytest.raises(BundleError, match="copy the same bundle to all of them"):
            list(engines._on_ray(recordings[:1], row_shards, SlowSettings(toy), "another", engine))
