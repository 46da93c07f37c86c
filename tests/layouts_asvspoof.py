"""Synthetic copies of the ASVspoof corpora, and of folders of one's own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

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


def asvspoof2019_pa(root: Path) -> Expected:
    for part, kind, letter in (("train", "trn", "T"), ("dev", "trl", "D"), ("eval", "trl", "E")):
        text(
            root / f"PA/ASVspoof2019_PA_cm_protocols/ASVspoof2019.PA.cm.{part}.{kind}.txt",
            f"PA_0079 PA_{letter}_0000001 aaa - bonafide",
            f"PA_0079 PA_{letter}_0005401 aac AB spoof",
        )
        for number in ("0000001", "0005401"):
            tones(root, f"PA/ASVspoof2019_PA_{part}/flac/PA_{letter}_{number}.flac")
    return Expected({"train": (1, 1), "dev": (1, 1), "eval": (1, 1)})


def asvspoof2021_la(root: Path) -> Expected:
    text(
        root / "keys/LA/CM/trial_metadata.txt",
        "LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval",
        "LA_0020 LA_E_5085671 none - bonafide bonafide notrim eval",
        "LA_0007 LA_E_5013670 gsm sin_tx A19 spoof notrim progress",
        "LA_0010 LA_E_1665632 opus loc_tx bonafide bonafide trim hidden",
    )
    for name in ("LA_E_9332881", "LA_E_5085671", "LA_E_5013670", "LA_E_1665632"):
        tones(root, f"ASVspoof2021_LA_eval/flac/{name}.flac")
    return Expected({"eval": (1, 1), "progress": (0, 1), "hidden": (1, 0)})


def asvspoof2021_df(root: Path) -> Expected:
    text(
        root / "keys/DF/CM/trial_metadata.txt",
        "LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder"
        " - - - -",
        "TEF2 DF_E_2000013 low_m4a vcc2020 Task1-team20 spoof notrim eval"
        " neural_vocoder_nonautoregressive Task1 team20 FF E",
        "LA_0048 DF_E_2000058 mp3m4a asvspoof - bonafide notrim eval bonafide - - - -",
        "VCC2TM1 DF_E_2000040 low_m4a vcc2018 SPO-B01 spoof trim hidden traditional_vocoder"
        " - - - -",
    )
    for number in (11, 13, 58, 40):
        tones(root, f"ASVspoof2021_DF_eval/flac/DF_E_20000{number}.flac")
    return Expected({"eval": (1, 1), "progress": (0, 1), "hidden": (0, 1)})


def asvspoof5(root: Path) -> Expected:
    for letter, table, folder in (
        ("T", "train", "flac_T"),
        ("D", "dev.track_1", "flac_D"),
        ("E", "eval.track_1", "flac_E_eval"),
    ):
        coded = "C05 3 E_0000000001" if letter == "E" else "- - -"
        text(
            root / f"ASVspoof5_protocols/ASVspoof5.{table}.tsv",
            f"{letter}_0001 {letter}_0000000001 F - - - - bonafide bonafide -",
            f"{letter}_0001 {letter}_0000000002 F - - - AC1 A14 spoof -",
            f"{letter}_0002 {letter}_0000000003 M {coded} - bonafide bonafide -",
        )
        for number in (1, 2, 3):
            tones(root, f"{folder}/{letter}_000000000{number}.flac")
    return Expected({"train": (2, 1), "dev": (2, 1), "eval": (2, 1)})


def folders(root: Path) -> Expected:
    for part in ("train", "eval"):
        tones(root, f"{part}/bonafide/ann/1.flac", f"{part}/spoof/acme/1.wav")
    return Expected({"train": (1, 1), "eval": (1, 1)})


def partial_spoof(root: Path) -> Expected:
    for part, letter in (("train", "T"), ("dev", "D"), ("eval", "E")):
        text(
            root
            / f"database/protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.{part}.trl.txt",
            f"LA_0079 CON_{letter}_0000000 - CON spoof",
            f"LA_0080 LA_{letter}_1138215 - - bonafide",
        )
        labels = {
            f"CON_{letter}_0000000": np.array(list("1" * 10 + "0" * 20 + "1" * 15 + "0" * 5)),
            f"LA_{letter}_1138215": np.array(["1"] * 50),
        }
        place = root / f"database/segment_labels/{part}_seglab_0.01.npy"
        place.parent.mkdir(parents=True, exist_ok=True)
        np.save(place, np.array(labels, dtype=object), allow_pickle=True)
        for name in labels:
            tones(root, f"database/{part}/con_wav/{name}.wav")
    return Expected({"train": (1, 1), "dev": (1, 1), "eval": (1, 1)})


LAYOUTS: dict[str, Callable[[Path], Expected]] = {
    "asvspoof2019_la": asvspoof2019_la,
    "asvspoof2019_pa": asvspoof2019_pa,
    "asvspoof2021_df": asvspoof2021_df,
    "asvspoof2021_la": asvspoof2021_la,
    "asvspoof5": asvspoof5,
    "folders": folders,
    "partial_spoof": partial_spoof,
}
