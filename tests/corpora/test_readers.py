"""Readers of corpora on disk, on copies of their layouts."""

from pathlib import Path

import numpy as np
import pytest

from corpus_layout import text, tones
from unheard import audio
from unheard.corpora import CORPORA
from unheard.corpora.importing import import_corpus
from unheard.corpora.table import Table
from unheard.data.clip import Manifest
from unheard.errors import CorpusError

PROTOCOL = "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{}.txt"
ROWS = {
    "train.trn": ["LA_0079 LA_T_1 - - bonafide", "LA_0079 LA_T_2 - A01 spoof"],
    "dev.trl": ["LA_0069 LA_D_1 - - bonafide", "LA_0069 LA_D_2 - A06 spoof"],
    "eval.trl": ["LA_0039 LA_E_1 - - bonafide", "LA_0014 LA_E_2 - A07 spoof"],
}
TONE = np.sin(np.arange(8000) / 10).astype(np.float32) * 0.3


@pytest.fixture
def asvspoof(tmp_path: Path) -> Path:
    base = tmp_path / "unpacked" / "LA"
    for name, rows in ROWS.items():
        protocol = base / PROTOCOL.format(name)
        protocol.parent.mkdir(parents=True, exist_ok=True)
        protocol.write_text("\n".join(rows) + "\n")
        part = name.partition(".")[0]
        for row in rows:
            clip = row.split()[1]
            audio.write(base / f"ASVspoof2019_LA_{part}" / "flac" / f"{clip}.flac", TONE)
    return base.parent


def test_asvspoof_protocols_become_clips(asvspoof: Path, tmp_path: Path) -> None:
    imported = import_corpus("asvspoof2019_la", asvspoof, tmp_path / "la.parquet", headers=True)
    manifest = Manifest.read(tmp_path / "la.parquet")
    assert imported.counts == {"train": (1, 1), "dev": (1, 1), "eval": (1, 1)}
    spoofed = {clip.id: clip for clip in manifest}["asvspoof2019_la/LA_E_2"]
    assert (spoofed.attack, spoofed.part, spoofed.bonafide) == ("A07", "eval", False)
    assert spoofed.speaker == "asvspoof2019_la/LA_0014"
    assert spoofed.duration_s == 0.5
    assert all(manifest.file(clip).is_file() for clip in manifest)


def test_the_inner_folder_may_be_given_itself(asvspoof: Path, tmp_path: Path) -> None:
    import_corpus("asvspoof2019_la", asvspoof / "LA", tmp_path / "la.parquet")
    assert len(Manifest.read(tmp_path / "la.parquet")) == 6


def test_counts_that_differ_from_the_published_ones_are_reported(
    asvspoof: Path, tmp_path: Path
) -> None:
    text = import_corpus("asvspoof2019_la", asvspoof, tmp_path / "la.parquet").render()
    assert "2580 + 22800 DIFFERS" in text


def test_missing_extra_and_unreadable_files_are_reported(asvspoof: Path, tmp_path: Path) -> None:
    folder = asvspoof / "LA/ASVspoof2019_LA_train/flac"
    (folder / "LA_T_2.flac").rename(folder / "stray.flac")
    (asvspoof / "LA/ASVspoof2019_LA_dev/flac/LA_D_1.flac").write_bytes(b"not audio at all")
    imported = import_corpus("asvspoof2019_la", asvspoof, tmp_path / "la.parquet", headers=True)
    assert imported.missing == ("LA/ASVspoof2019_LA_train/flac/LA_T_2.flac",)
    assert imported.extra == ("LA/ASVspoof2019_LA_train/flac/stray.flac",)
    assert imported.unreadable == ("LA/ASVspoof2019_LA_dev/flac/LA_D_1.flac",)
    assert imported.counts["dev"] == (0, 1)
    assert "1 files listed, not there" in imported.render()


def test_files_next_to_which_nothing_is_listed_are_not_called_extra(tmp_path: Path) -> None:
    text(tmp_path / "a.csv", "path,label", "a/1.wav,real", "a/2.wav,fake")
    text(tmp_path / "b.csv", "path,label", "b/1.wav,real", "b/2.wav,fake")
    tones(tmp_path, "a/1.wav", "a/2.wav", "a/3.wav", "b/1.wav", "b/2.wav")
    imported = import_corpus(Table(table="a.csv"), tmp_path, tmp_path / "a.parquet")
    assert (imported.extra, imported.elsewhere) == (("a/3.wav",), ("b/1.wav", "b/2.wav"))
    assert "2 files in folders of which nothing is listed, perhaps another" in imported.render()


@pytest.mark.parametrize(
    ("row", "remedy"),
    [
        ("LA_0079 LA_T_1 - bonafide", "give the countermeasure protocol"),
        ("LA_0079 LA_T_1 - A01 bonafide", "fetch the protocol again"),
    ],
)
def test_malformed_protocol_names_its_line(asvspoof: Path, row: str, remedy: str) -> None:
    (asvspoof / "LA" / PROTOCOL.format("train.trn")).write_text(row + "\n")
    with pytest.raises(CorpusError, match=rf"trn\.txt:1.*{remedy}"):
        list(CORPORA["asvspoof2019_la"].clips(asvspoof, "train"))


def test_wrong_folder_says_which_one_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="the one that holds LA"):
        import_corpus("asvspoof2019_la", tmp_path, tmp_path / "la.parquet")
    with pytest.raises(CorpusError, match="give the one the corpus was unpacked into"):
        import_corpus("asvspoof2019_la", tmp_path / "none", tmp_path / "la.parquet")
    with pytest.raises(CorpusError, match="did you mean 'asvspoof2019_la'"):
        import_corpus("asvspoof2019la", tmp_path, tmp_path / "la.parquet")


def test_protocols_without_audio_are_refused(asvspoof: Path, tmp_path: Path) -> None:
    for path in asvspoof.rglob("*.flac"):
        path.unlink()
    with pytest.raises(CorpusError, match="was the audio unpacked too"):
        import_corpus("asvspoof2019_la", asvspoof, tmp_path / "la.parquet")


def test_folders_of_your_own_become_clips(tmp_path: Path) -> None:
    for name in ("bonafide/ann/1.wav", "bonafide/2.wav", "spoof/acme/3.wav", "spoof/4.wav"):
        audio.write(tmp_path / "mine" / name, TONE)
    (tmp_path / "mine/bonafide/readme.txt").write_text("not audio")
    imported = import_corpus("folders", tmp_path / "mine", tmp_path / "mine.parquet")
    clips = {clip.id: clip for clip in Manifest.read(tmp_path / "mine.parquet")}
    assert imported.counts == {"eval": (2, 2)}
    assert clips["bonafide/ann/1.wav"].speaker == "ann"
    assert clips["spoof/acme/3.wav"].attack == "acme"
    assert clips["spoof/4.wav"].attack == "spoof"


def test_folders_may_have_parts(tmp_path: Path) -> None:
    for part in ("train", "dev"):
        audio.write(tmp_path / "mine" / part / "bonafide/1.flac", TONE)
        audio.write(tmp_path / "mine" / part / "spoof/x/1.flac", TONE)
    imported = import_corpus("folders", tmp_path / "mine", tmp_path / "mine.parquet")
    assert imported.counts == {"train": (1, 1), "dev": (1, 1)}


def test_folders_without_classes_say_how_to_lay_them_out(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="put human speech into bonafide"):
        import_corpus("folders", tmp_path, tmp_path / "mine.parquet")
