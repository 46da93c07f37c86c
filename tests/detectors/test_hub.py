"""Bundles in the layout of model hubs: what goes out comes back, checked; the client is a fake."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import load_file

from unheard.detectors import hub, weights
from unheard.detectors.bundle import load
from unheard.detectors.card import Card
from unheard.detectors.toy import Toy
from unheard.errors import BundleError, MissingExtra
from unheard.metrics import Calibration, OperatingPoints

WINDOWS = (0.1 * np.random.default_rng(0).standard_normal((3, 3200))).astype(np.float32)


@pytest.fixture
def bundle_folder(tmp_path: Path) -> Path:
    card = Card(
        name="example",
        version="1",
        window_s=1.0,
        hop_s=0.5,
        calibration=Calibration(2.0, -0.5),
        operating_points=OperatingPoints(0.0, -1.5, 1.5, -1.0, 1.0),
    )
    scores = pa.table({"id": ["a"], "score": [0.5]})
    return weights.save(
        tmp_path / "made", Toy().build(), Toy(), card, seen=["known"], dev_scores=scores
    )


@dataclass
class FakeHub:
    """A hub that is a folder of folders."""

    root: Path
    calls: list[Any] = field(default_factory=list)

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
        self.calls.append((repo_id, private, exist_ok))

    def upload_folder(self, *, repo_id: str, folder_path: Path, allow_patterns: list[str]) -> None:
        for name in allow_patterns:
            if (folder_path / name).is_file():
                (self.root / repo_id).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder_path / name, self.root / repo_id / name)

    def snapshot_download(
        self, repo_id: str, *, revision: str | None, allow_patterns: list[str]
    ) -> str:
        self.calls.append((revision, allow_patterns))
        if not (self.root / repo_id).is_dir():
            raise ConnectionError("no such repository")
        return str(self.root / repo_id)


def test_the_layout_is_what_hubs_expect(bundle_folder: Path, tmp_path: Path) -> None:
    folder = hub.to_layout(bundle_folder, tmp_path / "layout", licence="apache-2.0")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "dev_scores.parquet",
        "model.safetensors",
        "seen.safetensors",
    ]
    assert json.loads((folder / "config.json").read_text())["detector"]["kind"] == "toy"
    assert load_file(folder / "model.safetensors").keys() == {"score.weight", "score.bias"}
    head, _, text = (folder / "README.md").read_text()[4:].partition("---\n")
    assert "license: apache-2.0" in head.splitlines()
    assert "library_name: unheard" in head.splitlines()
    assert text.startswith("\n# example 1\n")


def test_no_licence_is_made_up(bundle_folder: Path, tmp_path: Path) -> None:
    text = (hub.to_layout(bundle_folder, tmp_path / "layout") / "README.md").read_text()
    assert "license" not in text


def test_what_comes_back_is_the_same_bundle(bundle_folder: Path, tmp_path: Path) -> None:
    back = hub.from_layout(hub.to_layout(bundle_folder, tmp_path / "layout"), tmp_path / "back")
    assert {path.name: path.read_bytes() for path in back.iterdir()} == {
        path.name: path.read_bytes() for path in bundle_folder.iterdir()
    }
    np.testing.assert_array_equal(load(back).scores(WINDOWS), load(bundle_folder).scores(WINDOWS))
    assert load(back).sha256 == load(bundle_folder).sha256


def test_what_was_pushed_can_be_pulled(bundle_folder: Path, tmp_path: Path) -> None:
    client = FakeHub(tmp_path / "hub")
    assert hub.push(bundle_folder, "someone/detector", client) == "someone/detector"
    hub.push(bundle_folder, "someone/open", client, private=False)
    back = hub.pull("someone/detector", tmp_path / "back", client, revision="v1")
    assert load(back).sha256 == load(bundle_folder).sha256
    asked = ["config.json", "model.safetensors", "model.onnx", "seen.safetensors"]
    assert client.calls == [
        ("someone/detector", True, True),
        ("someone/open", False, True),
        ("v1", [*asked, "dev_scores.parquet"]),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "hub", "made"]


def test_what_was_altered_on_the_way_is_refused(bundle_folder: Path, tmp_path: Path) -> None:
    folder = hub.to_layout(bundle_folder, tmp_path / "layout")
    damaged = bytearray((folder / "model.safetensors").read_bytes())
    damaged[-1] ^= 1
    (folder / "model.safetensors").write_bytes(damaged)
    with pytest.raises(BundleError, match="altered or damaged: get the bundle again"):
        hub.from_layout(folder, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_other_files_of_a_repository_are_left_where_they_are(
    bundle_folder: Path, tmp_path: Path
) -> None:
    folder = hub.to_layout(bundle_folder, tmp_path / "layout")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (folder / "weights.pt").symlink_to("/etc/passwd")
    back = hub.from_layout(folder, tmp_path / "back")
    assert sorted(path.name for path in back.iterdir()) == sorted(
        path.name for path in bundle_folder.iterdir()
    )


def test_a_bundle_that_was_altered_does_not_go_out(bundle_folder: Path, tmp_path: Path) -> None:
    (bundle_folder / "seen.safetensors").write_bytes(b"")
    with pytest.raises(BundleError, match="altered or damaged"):
        hub.to_layout(bundle_folder, tmp_path / "layout")
    assert not (tmp_path / "layout").exists()


def test_a_folder_of_something_else_is_left_alone(bundle_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/thesis.tex").touch()
    with pytest.raises(BundleError, match="choose another folder"):
        hub.to_layout(bundle_folder, tmp_path / "thesis")
    with pytest.raises(BundleError, match="unheard export --to hub"):
        hub.from_layout(tmp_path / "thesis", tmp_path / "back")


def test_writing_again_leaves_nothing_of_before(bundle_folder: Path, tmp_path: Path) -> None:
    folder = hub.to_layout(bundle_folder, tmp_path / "layout")
    (folder / "model.onnx").write_bytes(b"of an earlier export")
    assert not (hub.to_layout(bundle_folder, folder) / "model.onnx").exists()


def test_a_hub_that_refuses_says_what_to_check(bundle_folder: Path, tmp_path: Path) -> None:
    client = FakeHub(tmp_path / "hub")
    with pytest.raises(BundleError, match=r"nobody/nothing: .* check the name and the network"):
        hub.pull("nobody/nothing", tmp_path / "back", client)
    (tmp_path / "hub").write_text("no folder")
    with pytest.raises(BundleError, match=r"did not take it .*`hf auth login`"):
        hub.push(bundle_folder, "someone/detector", client)


def test_without_the_hubs_library_the_message_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"pip install 'unheard\[hub\]'"):
        hub.client()
