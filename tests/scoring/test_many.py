"""Are files scored in one process or several, and does no bad one stop the others?"""

from pathlib import Path

import pytest

from audio_files import wav
from unheard.detectors import bundle, weights
from unheard.detectors.card import Card
from unheard.detectors.toy import Toy
from unheard.errors import BundleError, RecipeError
from unheard.metrics import Calibration, OperatingPoints
from unheard.scoring.many import Settings, Task, score_many
from unheard.scoring.verdict import Verdict
from voice import FakeSettings, crash, voice

NOTHING = FakeSettings(Path())


def card() -> Card:
    zone = OperatingPoints(0.0, -1.0, 1.0, -1.0, 1.0)
    return Card(
        name="toy",
        version="1",
        window_s=1.0,
        hop_s=0.5,
        calibration=Calibration(1.0, 0.0),
        operating_points=zone,
    )


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detector") / "toy"
    return weights.save(folder, Toy().build(), Toy(), card(), seen=[])


def tasks(folder: Path, *contents: bytes) -> list[Task]:
    listed = []
    for index, content in enumerate(contents):
        (folder / f"{index}.wav").write_bytes(content)
        listed.append(Task(f"{index}", folder / f"{index}.wav"))
    return listed


def speech() -> bytes:
    return wav(voice(1.5)[None])


def test_a_bad_file_costs_one_row(tmp_path: Path) -> None:
    todo = [*tasks(tmp_path, speech(), b"no audio", speech()), Task("3", tmp_path / "gone.wav")]
    rows = list(score_many(todo, NOTHING))
    assert [row["source"] for row in rows] == ["0", "1", "2", "3"]
    assert ["error" in row for row in rows] == [False, True, False, True]


def fail(verdict: Verdict, file: Path, picture: Path) -> None:
    raise ZeroDivisionError("ours")


def test_a_fault_of_ours_costs_one_row(tmp_path: Path) -> None:
    (task,) = tasks(tmp_path, speech())
    todo = [Task("bad", task.audio, tmp_path / "bad.png"), task]
    bad, good = score_many(todo, NOTHING, draw=fail)
    assert "ZeroDivisionError: ours; please report this file" in bad["error"]
    assert good["score"] is not None


def test_a_crash_costs_one_file_and_the_others_score_as_alone(tmp_path: Path) -> None:
    todo = tasks(tmp_path, *[wav(voice(1.5, seed=seed)[None]) for seed in range(4)])
    todo[1] = Task("1", todo[1].audio, tmp_path / "crash.png")
    rows = {row["source"]: row for row in score_many(todo, NOTHING, n_jobs=2, draw=crash)}
    assert sorted(rows) == ["0", "1", "2", "3"]
    assert "died (exit code 77)" in rows["1"]["error"]
    assert "convert it to WAV" in rows["1"]["error"]
    alone = score_many([todo[0], *todo[2:]], NOTHING)
    assert [rows[name] for name in "023"] == list(alone)


def test_settings_that_do_not_fit_are_refused_by_processes_too(tmp_path: Path) -> None:
    todo = tasks(tmp_path, speech(), speech())
    with pytest.raises(RecipeError, match="at most the window"):
        list(score_many(todo, FakeSettings(Path(), hop_s=9.0), n_jobs=2))


def test_nothing_to_score_loads_nothing() -> None:
    assert list(score_many([], Settings(Path("nowhere")))) == []


def test_the_key_of_settings_changes_with_what_moves_a_score(tmp_path: Path, toy: Path) -> None:
    before = Settings(toy).key()
    assert Settings(toy, threshold=1.0).key() != before
    assert Settings(toy, hop_s=0.1).key() != before
    other = weights.save(
        tmp_path / "b", Toy().build(), Toy(), card().model_copy(update={"name": "b"}), seen=[]
    )
    assert Settings(other).key() != before


def test_the_key_of_settings_does_not_change_with_results(tmp_path: Path) -> None:
    folder = weights.save(tmp_path / "b", Toy().build(), Toy(), card(), seen=[])
    before = Settings(folder).key()
    line = {"protocol": "p", "n_bonafide": 1, "n_spoof": 1, "eer": 0.5}
    bundle.add_results(folder, [{**line, "eer_low": 0.0, "eer_high": 1.0}])
    assert Settings(folder).key() == before


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="give the folder of a detector"):
        Settings(tmp_path).key()
