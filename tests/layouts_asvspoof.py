"""Synthetic copies of the ASVspoof corpora, and of folders of one's own."""

from collections.abc import Callable
from pathlib import Path

from corpus_layout import Expected, text, tones


def asvspoof2019_la(root: Path) -> Expected:
    for part, kind, letter, attack in (
        ("train", "trn", "T", "A01"),
        ("dev", "trl", "D", "A06"),
        ("eval", "trl", "E", "A19"),
    ):
        text(
            root / f"LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{part}.{kind}.txt",
            f"LA_1 LA_{letter}_1 - - bonafide",
            f"LA_2 LA_{letter}_2 - {attack} spoof",
        )
        for number in (1, 2):
            tones(root, f"LA/ASVspoof2019_LA_{part}/flac/LA_{letter}_{number}.flac")
    return Expected({"train": (1, 1), "dev": (1, 1), "eval": (1, 1)})


def folders(root: Path) -> Expected:
    for part in ("train", "eval"):
        tones(root, f"{part}/bonafide/ann/1.flac", f"{part}/spoof/acme/1.wav")
    return Expected({"train": (1, 1), "eval": (1, 1)})


LAYOUTS: dict[str, Callable[[Path], Expected]] = {
    "asvspoof2019_la": asvspoof2019_la,
    "folders": folders,
}
