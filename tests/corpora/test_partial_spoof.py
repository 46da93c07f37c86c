"""Do segment labels of PartialSpoof become stretches, and are labels that do not fit refused?"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layouts_asvspoof import partial_spoof
from unheard.corpora.partial_spoof import PartialSpoof
from unheard.data.segment_labels import Stretch, read_stretches
from unheard.errors import CorpusError


def labels_of(root: Path, part: str, resolution: str, **labels: Any) -> Path:
    path = root / f"database/segment_labels/{part}_seglab_{resolution}.npy"
    np.save(path, np.array(labels, dtype=object), allow_pickle=True)
    return path


def test_labels_become_stretches_of_time(tmp_path: Path) -> None:
    partial_spoof(tmp_path)
    spoofed, human = PartialSpoof().clips(tmp_path, "dev")
    assert read_stretches(spoofed.notes["segments"]) == (
        Stretch(0.1, 0.3, False, "CON"),
        Stretch(0.45, 0.5, False, "CON"),
    )
    assert read_stretches(human.notes["segments"]) == ()


def test_the_finest_labels_are_read(tmp_path: Path) -> None:
    partial_spoof(tmp_path)
    (tmp_path / "database/segment_labels/eval_seglab_0.01.npy").unlink()
    coarse = {"CON_E_0000000": np.array(list("101")), "LA_E_1138215": np.array(list("111"))}
    labels_of(tmp_path, "eval", "0.16", **coarse)
    spoofed, _ = PartialSpoof().clips(tmp_path, "eval")
    assert read_stretches(spoofed.notes["segments"]) == (Stretch(0.16, 0.32, False, "CON"),)
    (tmp_path / "database/segment_labels/eval_seglab_0.16.npy").unlink()
    with pytest.raises(CorpusError, match="unpack the archive of segment labels"):
        next(PartialSpoof().clips(tmp_path, "eval"))


def test_labels_of_the_other_polarity_are_refused(tmp_path: Path) -> None:
    partial_spoof(tmp_path)
    wrong = {"CON_T_0000000": np.array(list("011")), "LA_T_1138215": np.array(list("000"))}
    labels_of(tmp_path, "train", "0.01", **wrong)
    with pytest.raises(CorpusError, match=r"LA_T_1138215 is bona fide .* 1 is bona fide and 0"):
        list(PartialSpoof().clips(tmp_path, "train"))
    labels_of(tmp_path, "train", "0.01", CON_T_0000000=np.array(list("011")))
    with pytest.raises(CorpusError, match="LA_T_1138215 has no segment labels"):
        list(PartialSpoof().clips(tmp_path, "train"))


class Hostile:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("ran",)


def test_labels_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partial_spoof(tmp_path)
    monkeypatch.chdir(tmp_path)
    path = labels_of(tmp_path, "train", "0.01", CON_T_0000000=Hostile())
    with pytest.raises(CorpusError, match="CON_T_0000000 has no segment labels"):
        next(PartialSpoof().clips(tmp_path, "train"))
    assert not (tmp_path / "ran").exists()
    path.write_bytes(b"no array at all")
    with pytest.raises(CorpusError, match="no segment labels as PartialSpoof has them"):
        next(PartialSpoof().clips(tmp_path, "train"))
