"""Published detectors: which files of their authors are run, and how a score is asked of them.

Nothing of theirs is in this package. The user names a folder with their files; those that are run
or read are pinned by hash, copied alone into a fresh folder, and imported from there. Weights are
read as tensors. `open_detector` is for a process that does nothing else: it shuts the network.

T samples at 16 kHz.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.errors import EvaluationError, suggestion
from unheard.types import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PUBLISHED", "PublishedDetector", "Score", "open_detector", "published", "verified"]

Score = Callable[[FloatArray], float]
"""Samples [T] -> the score that the authors report; higher is more bona fide."""


@dataclass(frozen=True, kw_only=True)
class PublishedDetector:
    """What is known of a detector that others published with its weights.

    Attributes:
        title: What the authors call it.
        source: Repository and commit, "OWNER/NAME@COMMIT".
        licence: Of code and weights, as the repository states it.
        says: What its score is, in words.
        files: sha256 of each file that is run or read, by its path in the repository.
        weights: Which of them holds the weights.
        open: Takes a folder with these files, the tensors, and whether the logit of spoof is taken
            off the score.
        further: Commands after the checkout of the commit, where files lie in another one.
    """

    title: str
    source: str
    licence: str
    says: str
    files: Mapping[str, str]
    weights: str
    open: Callable[[Path, Mapping[str, Tensor], bool], Score]
    further: str = ""

    @property
    def how_to_get(self) -> str:
        """Commands that make the folder FOLDER."""
        repository, _, commit = self.source.partition("@")
        clone = f"git clone https://github.com/{repository} FOLDER"
        return f"{clone} && git -C FOLDER checkout -q {commit}{self.further}"


def published(name: str) -> PublishedDetector:
    """Return the row of `PUBLISHED` of a name.

    Raises:
        EvaluationError: If there is none.
    """
    if name not in PUBLISHED:
        raise EvaluationError(f"no published detector {name!r}{suggestion(name, PUBLISHED)}")
    return PUBLISHED[name]


def verified(
    detector: PublishedDetector, folder: Path, skipped: Collection[str] = ()
) -> dict[str, bytes]:
    """Return the pinned files by their path; no other file is looked at.

    Raises:
        EvaluationError: If one is missing or another than the pinned one.
    """
    contents = {}
    for path, wanted in detector.files.items():
        if path in skipped:
            continue
        try:
            contents[path] = (folder / path).read_bytes()
        except OSError as error:
            raise EvaluationError(
                f"{folder / path}: {error.strerror or error}; {detector.title} needs its authors' "
                f"files: {detector.how_to_get}"
            ) from error
        found = hashlib.sha256(contents[path]).hexdigest()
        if found != wanted:
            raise EvaluationError(
                f"{folder / path}: sha256 {found[:12]}, {wanted[:12]} wanted, so it is not run; "
                f"take {detector.title} at its pinned commit: {detector.how_to_get}"
            )
    return contents


def open_detector(
    name: str, folder: Path, weights: Path | None = None, *, logits: bool = False
) -> Score:
    """Run the authors' code and return what scores; this process has no network afterwards.

    Args:
        name: Row of `PUBLISHED`.
        folder: The authors' repository at the pinned commit.
        weights: Weights of the user's own in place of the published ones, which are not looked at
            then.
        logits: Score by the logit of bona fide less that of spoof, as a bundle does.

    Raises:
        EvaluationError: If a file is not the pinned one, or the code does not run here.
        BundleError: If the weights are no plain tensors.
    """
    import torch

    from unheard.detectors.layers.weight_files import tensors_of

    detector = published(name)
    skipped = {detector.weights} if weights else set()
    contents = verified(detector, folder, skipped)
    torch.set_num_threads(1)
    sys.dont_write_bytecode = True
    sys.addaudithook(_no_network)
    with tempfile.TemporaryDirectory(prefix="unheard-") as fresh:
        for path, content in contents.items():
            place = Path(fresh, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        tensors = tensors_of(weights or Path(fresh, detector.weights))
        sys.path.insert(0, fresh)
        try:
            return detector.open(Path(fresh), tensors, logits)
        except Exception as error:
            raise EvaluationError(
                f"{detector.title}: its authors' code does not run with these weights and these "
                f"versions of Python and torch ({type(error).__name__}: {error}); use the versions "
                "of constraints.txt"
            ) from error


def _no_network(event: str, _: object) -> None:
    if event.startswith("socket."):
        raise PermissionError(f"{event}: a published detector has no network")


def _module(folder: Path, path: str) -> Any:
    """Run one of the authors' files, and return it as a module."""
    spec = importlib.util.spec_from_file_location(f"authors_{Path(path).stem}", folder / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _with_weights(network: Any, weights: Mapping[str, Tensor]) -> Any:
    import torch

    network.load_state_dict(dict(weights))
    # Half again as fast; scores move by 2e-7.
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _of_64600(network: Callable[[Tensor], Tensor], less_spoof: bool, samples: FloatArray) -> float:
    """Score the first 64,600 samples, of a clip repeated to that length, as the authors do."""
    import torch

    n_samples = 64_600
    window = np.tile(samples, n_samples // samples.size + 1)[:n_samples]
    with torch.inference_mode():
        spoof, bonafide = network(torch.from_numpy(window)[None])[0].tolist()
    return float(bonafide - spoof if less_spoof else bonafide)


def _aasist(name: str, folder: Path, weights: Mapping[str, Tensor], less_spoof: bool) -> Score:
    settings = json.loads((folder / f"config/{name}.conf").read_text())["model_config"]
    network = _with_weights(_module(folder, "models/AASIST.py").Model(settings), weights)
    return partial(_of_64600, lambda waveform: network(waveform)[1], less_spoof)


def _rawgat_st(folder: Path, weights: Mapping[str, Tensor], less_spoof: bool) -> Score:
    settings = {
        "out_channels": 70,
        "first_conv": 128,
        "in_channels": 1,
        "filts": [32, [32, 32], [32, 64], [64, 64]],
    }
    network = _module(folder, "model.py").RawGAT_ST(settings, "cpu")
    return partial(_of_64600, _with_weights(network, weights), less_spoof)


def _lfcc_lcnn(project: str, folder: Path, weights: Mapping[str, Tensor], _: bool) -> Score:
    """Its one logit; the model wants a protocol for training, for which an empty file stands."""
    import torch

    sys.path.insert(0, str(folder / project))
    config: Any = importlib.import_module("config")
    config.optional_argument = [os.devnull]
    network = importlib.import_module("model").Model(1, 1, None)
    network = _with_weights(network, weights)

    def score(samples: FloatArray) -> float:
        torch.manual_seed(0)  # of a clip above 7.5 s it takes as much from a random place
        with torch.inference_mode():
            waveform = torch.from_numpy(samples)[None, :, None]
            embedding = network._compute_embedding(waveform, [samples.size])
            return float(network._compute_score(embedding, True)[0])

    return score


_AASIST = "clovaai/aasist@a04c9863f63d44471dde8a6abcb3b082b07cd1d1"
_RAWGAT_ST = "eurecom-asp/RawGAT-ST-antispoofing@e3b049f79b3cd9552e66f6d0ba844cbb9399c479"
_NII = "nii-yamagishilab/project-NN-Pytorch-scripts@112ec0ff021e58a6c92e945547e7bfb21c11424e"
_NII_WEIGHTS = "ac488e4711274aa2138253bd20ebec36d27e1052"
_LCNN = "project/02-asvspoof/lfcc-lcnn-sigmoid"
_EMPTY = hashlib.sha256().hexdigest()
_MARKERS = tuple(
    f"{folder}/__init__.py"
    for folder in ("sandbox", "core_scripts", "core_scripts/data_io", "core_scripts/other_tools")
)
# sha256 and path of the files of the LFCC-LCNN, those of its project and those around it
_OF_LCNN = """
97cff66b42c4f9c94186a5e32656d128fb252259cea075e7805388477882a886 config.py
d9ac54152bcf297753b27d8f7d2fe194532d9aaddc52a6421206e396aeb7cc73 model.py
703a4f84a4cce6b55d366ec13cb3fdec705062028e4538b9abe71678e9481b77 __pretrained/trained_network.pt
"""
_SHARED = """
448ad9c4cecb63f959e81d92fab1bf993f482cd18eb70606b00b511b8ab0627b sandbox/block_nn.py
e57dad4f8752eb28907de042611920c4c48626a4a6176af0341da48e4654f646 sandbox/util_dsp.py
d1be5e1bd7c7864c4d2c272eb198300e37a78e5f1acfe35a5fe24b288133c2af sandbox/util_frontend.py
f9f0aaef3e7f2ccb2e15e7ac10a3eabb06182acec05712eca3f597f234d4460a core_scripts/data_io/conf.py
8cf1ed05cd2a252c09c03336343afc2e4aab3cf2da30a1970db68bdf3e92788a core_scripts/data_io/dsp_tools.py
0c092c16e8b5f113128c596059ee5a569eb2dcd611b0d3c71969680db1cf3940 core_scripts/data_io/io_tools.py
64eaeb03428d72df281a07e6f1f63648ad93dfc2eba8cfb95be419ee0616e4b5 core_scripts/data_io/seq_info.py
b91bf7f6a70d79afbc3ce161b7033c021fabc3cdcd4c5b29d61c0d6ea68877be core_scripts/other_tools/debug.py
"""
_BONAFIDE_LOGIT = "its logit of bona fide, of the first 4.04 s of the clip, repeated if shorter"


def _sums(table: str) -> list[tuple[str, str]]:
    return [(path, sha256) for sha256, path in map(str.split, table.strip().splitlines())]


def _of_clova(title: str, settings: str, weights: str) -> PublishedDetector:
    """Return one of the two detectors of AASIST's repository, given hashes of its own files."""
    return PublishedDetector(
        title=title,
        source=_AASIST,
        licence="MIT",
        says=_BONAFIDE_LOGIT,
        files={
            "models/AASIST.py": "9e0d3e80937dd0577beea7883098465a479da23a198ebc0d712abcc59b0bec50",
            f"config/{title}.conf": settings,
            f"models/weights/{title}.pth": weights,
        },
        weights=f"models/weights/{title}.pth",
        open=partial(_aasist, title),
    )


PUBLISHED: dict[str, PublishedDetector] = {
    "aasist": _of_clova(
        "AASIST",
        "c25023331685027cce90e1b9a0d2df10aa04b2a27d9b27d5afa36e6815b0fe76",
        "51d2d9cf0738172f61e2a384ec50a54a55363240f67c971ed55a92435bc1a1c0",
    ),
    "aasist_l": _of_clova(
        "AASIST-L",
        "9e2e2610b2260b421bf2083646dde4747a6a5cdd138015066d83bc61b6b214cf",
        "814331d088032bb4c3fa61cc014789eadeed464209dd094ab3a2dd6ffbdce27a",
    ),
    "rawgat_st": PublishedDetector(
        title="RawGAT-ST",
        source=_RAWGAT_ST,
        licence="MIT",
        says=_BONAFIDE_LOGIT,
        files={
            "model.py": "04bf93b29d9bcf842e3068bbb518b864cb7439eb8f8ace294544cfd36d2d4d0c",
            "Pre_trained_models/RawGAT_ST_mul/Best_epoch.pth": (
                "8a91ce8201d42119cbfb9ebca8850e5914f1a85959b3ca962819783738c2a9e2"
            ),
        },
        weights="Pre_trained_models/RawGAT_ST_mul/Best_epoch.pth",
        open=_rawgat_st,
    ),
    "lfcc_lcnn": PublishedDetector(
        title="LFCC-LCNN",
        source=_NII,
        licence="BSD-3-Clause",
        says="its logit before the sigmoid, of at most 7.5 s of the clip",
        files={
            **{f"{_LCNN}/{path}": sha256 for path, sha256 in _sums(_OF_LCNN)},
            **dict(_sums(_SHARED)),
            **dict.fromkeys(_MARKERS, _EMPTY),
        },
        weights=f"{_LCNN}/__pretrained/trained_network.pt",
        open=partial(_lfcc_lcnn, _LCNN),
        further=(
            f" && git -C FOLDER checkout -q {_NII_WEIGHTS} -- "
            f"{_LCNN}/__pretrained/trained_network.pt"
        ),
    ),
}
"""Published detectors by the name that `unheard evaluate --published` takes."""
