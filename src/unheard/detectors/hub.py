"""Bundles in the layout of model hubs, as a folder, and to and from a hub by its own library.

    config.json         the bundle's card, byte for byte
    model.safetensors   its weights; model.onnx if it was exported
    seen.safetensors    what it was trained on, as in the bundle
    dev_scores.parquet  if the bundle has it
    README.md           the card as text, under the lines that hubs sort by

What comes back is checked as a bundle is: every hash, and nothing else in the folder is opened.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any, Protocol

from unheard.detectors.bundle import check
from unheard.detectors.bundle_files import CARD, DEV_SCORES, GRAPH, SEEN, WEIGHTS, replace
from unheard.detectors.card_text import model_card
from unheard.errors import BundleError, MissingExtra
from unheard.files import in_one_step

__all__ = ["NAMES", "Client", "client", "from_layout", "pull", "push", "to_layout"]

NAMES = {
    CARD: "config.json",
    WEIGHTS: "model.safetensors",
    GRAPH: GRAPH,
    SEEN: SEEN,
    DEV_SCORES: DEV_SCORES,
}
"""What a hub calls each file of a bundle."""

README = "README.md"


class Client(Protocol):
    """What is needed of `huggingface_hub.HfApi`."""

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> Any:
        """Make a repository, or leave one that is there."""
        ...

    def upload_folder(self, *, repo_id: str, folder_path: Path, allow_patterns: list[str]) -> Any:
        """Send files of a folder as one commit."""
        ...

    def snapshot_download(
        self, repo_id: str, *, revision: str | None, allow_patterns: list[str]
    ) -> str:
        """Fetch files of a repository and return the folder they are in."""
        ...


def client() -> Client:
    """Return the hub's own client; it finds the user's address and key as the library does.

    Raises:
        MissingExtra: If huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import HfApi
    except ModuleNotFoundError as error:
        raise MissingExtra("hub", "huggingface_hub") from error
    api: Client = HfApi()
    return api


def to_layout(bundle: Path, folder: Path, *, licence: str = "") -> Path:
    """Write a bundle as a folder in the layout of model hubs.

    Args:
        bundle: Folder of the bundle.
        folder: Where to write; files of an earlier export are replaced.
        licence: The licence to declare, such as "apache-2.0"; nothing if empty.

    Raises:
        BundleError: If there is no bundle or it was altered, or the folder holds something else.
    """
    card = check(bundle)
    if folder.exists() and any(folder.iterdir()) and not (folder / NAMES[CARD]).is_file():
        raise BundleError(f"{folder}: holds files that are no export; choose another folder")
    for gone in (WEIGHTS, GRAPH, DEV_SCORES):
        (folder / NAMES[gone]).unlink(missing_ok=True)
    for name in (*card.files, CARD):
        with in_one_step(folder / NAMES[name]) as unfinished:
            shutil.copyfile(bundle / name, unfinished)
    metadata = ["library_name: unheard", "pipeline_tag: audio-classification"]
    metadata += ["tags:", "- anti-spoofing", "- deepfake-detection", "- speech"]
    metadata += [f"license: {licence}"] if licence else []
    with in_one_step(folder / README) as unfinished:
        unfinished.write_text("\n".join(["---", *metadata, "---", "", model_card(card)]))
    return folder


def from_layout(folder: Path, bundle: Path) -> Path:
    """Write a bundle from a folder in the layout of model hubs, all of it checked before.

    Args:
        folder: What `to_layout` wrote, wherever it has been since.
        bundle: Folder to write, in one step; a bundle that is there is replaced.

    Raises:
        BundleError: If a file is missing, altered or not one of a bundle's.
    """
    if not (folder / NAMES[CARD]).is_file():
        raise BundleError(
            f"{folder}: no {NAMES[CARD]} in it; give a folder that `unheard export --to hub` wrote"
        )
    bundle.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unheard-", dir=bundle.parent) as staged:
        for name, theirs in NAMES.items():
            if (folder / theirs).is_file():
                shutil.copyfile(folder / theirs, Path(staged) / name)
        card = check(Path(staged))
        contents = {name: (Path(staged) / name).read_bytes() for name in card.files}
        return replace(bundle, card, contents)


def push(bundle: Path, repo: str, hub: Client, *, private: bool = True, licence: str = "") -> str:
    """Send a bundle to a model hub.

    Args:
        bundle: Folder of the bundle.
        repo: Name of the repository, such as "someone/detector"; made if it is not there.
        hub: What `client` returned.
        private: Whether a new repository is for its owner alone.
        licence: The licence to declare.

    Returns:
        The name of the repository.

    Raises:
        BundleError: If there is no bundle, or the hub refused.
    """
    with tempfile.TemporaryDirectory(prefix="unheard-") as folder:
        layout = to_layout(bundle, Path(folder) / "layout", licence=licence)
        try:
            hub.create_repo(repo, private=private, exist_ok=True)
            with warnings.catch_warnings():  # dev scores are data in a repository of models
                warnings.filterwarnings("ignore", "It seems that you are about to commit a data")
                hub.upload_folder(
                    repo_id=repo, folder_path=layout, allow_patterns=[*NAMES.values(), README]
                )
        except Exception as error:  # whatever the network or the hub comes up with
            raise BundleError(
                f"{repo}: the hub did not take it ({type(error).__name__}: {error}); check the "
                "name, the network and `hf auth login`"
            ) from error
    return repo


def pull(repo: str, bundle: Path, hub: Client, *, revision: str | None = None) -> Path:
    """Fetch a bundle from a model hub.

    Args:
        repo: Name of the repository.
        bundle: Folder to write, in one step.
        hub: What `client` returned.
        revision: Branch, tag or commit; None takes the newest.

    Raises:
        BundleError: If the hub cannot be reached, has no such repository, or it is no bundle.
    """
    try:
        fetched = hub.snapshot_download(
            repo, revision=revision, allow_patterns=list(NAMES.values())
        )
    except Exception as error:  # whatever the network or the hub comes up with
        raise BundleError(
            f"{repo}: cannot be fetched from the hub ({type(error).__name__}: {error}); check the "
            "name and the network, or copy the folder here and give its path"
        ) from error
    return from_layout(Path(fetched), bundle)
