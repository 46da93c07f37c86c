"""Push and pull by the hub's own library, against a server that speaks the hub's protocol."""

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import HfApi, ModelCard, constants
from markdown_it import MarkdownIt

from hub_server import TOKEN, StandIn, running
from unheard.detectors import hub
from unheard.detectors.bundle import default, load
from unheard.errors import BundleError

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the library's

WINDOWS = (0.1 * np.random.default_rng(0).standard_normal((2, 16_000))).astype(np.float32)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIn]:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with running() as server:
        yield server
    huggingface_hub.close_session()


def client(server: StandIn, token: str = TOKEN) -> HfApi:
    return HfApi(endpoint=server.url, token=token)


def test_what_was_pushed_over_the_protocol_is_pulled_as_the_same_detector(
    toy: Path, stand_in: StandIn, tmp_path: Path
) -> None:
    assert hub.push(toy, "lab/toy", client(stand_in), licence="apache-2.0") == "lab/toy"
    assert stand_in.private == {"lab/toy": True}
    sha, files = stand_in.files("lab/toy") or ("", {})
    assert {"README.md", "config.json", "model.safetensors", "seen.safetensors"} <= files.keys()
    assert "POST /lab/toy.git/info/lfs/objects/batch" in stand_in.asked
    back = hub.pull("lab/toy", tmp_path / "back", client(stand_in))
    assert load(back).sha256 == load(toy).sha256
    np.testing.assert_array_equal(load(back).scores(WINDOWS), load(toy).scores(WINDOWS))
    again = hub.pull("lab/toy", tmp_path / "again", client(stand_in), revision=sha)
    assert load(again).sha256 == load(toy).sha256


def test_a_second_push_is_a_second_commit_and_the_first_stays(
    toy: Path, stand_in: StandIn, tmp_path: Path
) -> None:
    hub.push(toy, "lab/toy", client(stand_in))
    first, _ = stand_in.files("lab/toy") or ("", {})
    hub.push(default(), "lab/toy", client(stand_in))
    assert len(stand_in.commits["lab/toy"]) == 3  # the empty one, and two
    old = hub.pull("lab/toy", tmp_path / "old", client(stand_in), revision=first)
    assert load(old).sha256 == load(toy).sha256
    new = hub.pull("lab/toy", tmp_path / "new", client(stand_in))
    assert load(new).sha256 == load(default()).sha256
    assert not (new / "weights.safetensors").exists()  # of the first, which is still in the hub


def test_the_packaged_detector_s_card_renders(stand_in: StandIn) -> None:
    hub.push(default(), "lab/shipped", client(stand_in), licence="apache-2.0")
    _, files = stand_in.files("lab/shipped") or ("", {})
    card = ModelCard(files["README.md"].decode())
    assert card.data.to_dict() == {
        "library_name": "unheard",
        "license": "apache-2.0",
        "pipeline_tag": "audio-classification",
        "tags": ["anti-spoofing", "deepfake-detection", "speech"],
    }
    parsed = MarkdownIt("commonmark").enable("table").parse(card.text)
    assert next(token.tag for token in parsed if token.type == "heading_open") == "h1"
    assert not [token for token in parsed if token.type == "html_block"]
    rows = [token.map for token in parsed if token.type == "tr_open"]
    lines = card.text.splitlines()
    in_tables = {line for span in rows if span for line in range(*span)}
    left = [line for line in lines if line.startswith("|") and lines.index(line) not in in_tables]
    assert all(set(line) <= set("|-: ") for line in left)  # the rules between head and body


def test_a_wrong_key_and_a_repository_that_is_not_there_are_told(
    toy: Path, stand_in: StandIn, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=r"(?s)lab/toy: the hub did not take it .*hf auth login"):
        hub.push(toy, "lab/toy", client(stand_in, "hf_wrong"))
    with pytest.raises(BundleError, match="lab/nothing: cannot be fetched from the hub"):
        hub.pull("lab/nothing", tmp_path / "back", client(stand_in))
    assert not (tmp_path / "back").exists()


def test_metadata_that_the_hub_would_not_read_is_refused(toy: Path, stand_in: StandIn) -> None:
    with pytest.raises(BundleError, match="Invalid metadata in README"):
        hub.push(toy, "lab/toy", client(stand_in), licence="apache: [")
