"""Are files found, scored in one process or several, and does no bad one stop the others?"""

import os
from pathlib import Path
from typing import Any

import pytest

from audio_files import wav
from unheard import audio
from unheard.audio import AUDIO_SUFFIXES
from unheard.detectors import bundle, weights
from unheard.detectors.card import Card
from unheard.detectors.table import Toy
from unheard.errors import BundleError, RecipeError
from unheard.metrics import Calibration, OperatingPoints
from unheard.scoring.many import Settings, Task, find, score_many
from unheard.scoring.scorer import Verdict
from voice import FakeSettings, crash, voice

SUFFIXES = frozenset({".wav", ".mp3"})
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


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detector") / "toy"
    return weights.save(folder, Toy().build(), Toy(), card(), seen=[])


def test_folders_are_searched_to_any_depth_and_sorted(tmp_path: Path) -> None:
    touch(tmp_path / "b" / "c" / "2.WAV", tmp_path / "b" / "1.mp3", tmp_path / "a.wav")
    touch(tmp_path / "note.txt", tmp_path / ".hidden.wav")
    files, errors = find([str(tmp_path)], SUFFIXES)
    assert files == [str(tmp_path / name) for name in ("a.wav", "b/1.mp3", "b/c/2.WAV")]
    assert errors == []


def test_a_folder_that_cannot_be_listed_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = tmp_path / "a.wav"
    audio.write(good, voice(1.2))
    locked = tmp_path / "locked"
    locked.mkdir()
    listed = os.scandir

    def refuse(path: str) -> Any:
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    files, errors = find([str(tmp_path)], AUDIO_SUFFIXES)
    assert files == [str(good)]
    (row,) = errors
    assert row["source"] == str(locked)
    assert "cannot be listed (Permission denied)" in row["error"]
    assert [error["source"] for error in find([str(locked)], AUDIO_SUFFIXES)[1]] == [str(locked)]


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert find([str(tmp_path)], SUFFIXES)[0] == [str(tmp_path / "a.wav")]


def test_patterns_take_files_of_any_suffix_once(tmp_path: Path) -> None:
    touch(tmp_path / "x" / "a.bin", tmp_path / "b.bin")
    patterns = [str(tmp_path / "b.bin"), str(tmp_path / "**" / "*.bin")]
    assert find(patterns, SUFFIXES)[0] == [str(tmp_path / "b.bin"), str(tmp_path / "x" / "a.bin")]


def test_a_name_with_brackets_is_a_file_first(tmp_path: Path) -> None:
    touch(tmp_path / "take[1].wav", tmp_path / "take1.wav")
    assert find([str(tmp_path / "take[1].wav")], SUFFIXES)[0] == [str(tmp_path / "take[1].wav")]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("gone", "check the path"),
        ("*.flac", "give the folder"),
        ("empty", "name others one by one"),
    ],
)
def test_what_is_not_found_is_a_row_with_its_remedy(tmp_path: Path, name: str, remedy: str) -> None:
    (tmp_path / "empty").mkdir()
    files, errors = find([str(tmp_path / name)], SUFFIXES)
    assert files == []
    assert [row["source"] for row in errors] == [str(tmp_path / name)]
    assert remedy in errors[0]["error"]


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
