"""Does every reader in CORPORA keep its promise? A new row is tested by being listed.

A new row needs one thing here: a function that lays out its tree, in `LAYOUTS`.
"""

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unheard import audio
from unheard.clip import Clip, Manifest
from unheard.corpora import CORPORA, Folders, import_corpus
from unheard.errors import CorpusError

TONE = (0.3 * np.sin(np.arange(8000) / 10)).astype(np.float32)
IN_THE_DOCSTRING = ("Licence", "Citation|citation", "Counts|counts", "Known defects")


def asvspoof2019_la(root: Path) -> None:
    base, protocols = root / "LA", "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm"
    for part, suffix, letter, attack in (
        ("train", "trn", "T", "A01"),
        ("dev", "trl", "D", "A06"),
        ("eval", "trl", "E", "A19"),
    ):
        rows = [f"LA_1 LA_{letter}_1 - - bonafide", f"LA_2 LA_{letter}_2 - {attack} spoof"]
        protocol = base / f"{protocols}.{part}.{suffix}.txt"
        protocol.parent.mkdir(parents=True, exist_ok=True)
        protocol.write_text("\n".join(rows) + "\n")
        for number in (1, 2):
            path = base / f"ASVspoof2019_LA_{part}/flac/LA_{letter}_{number}.flac"
            audio.write(path, TONE)


def folders(root: Path) -> None:
    for part in ("train", "eval"):
        audio.write(root / part / "bonafide/ann/1.flac", TONE)
        audio.write(root / part / "spoof/acme/1.wav", TONE)


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "asvspoof2019_la": asvspoof2019_la,
    "folders": folders,
}


@pytest.fixture(params=sorted(CORPORA))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(name: str, tmp_path: Path) -> Path:
    LAYOUTS[name](tmp_path / "unpacked")
    return tmp_path / "unpacked"


def clips_of(name: str, root: Path) -> list[Clip]:
    corpus = CORPORA[name]
    parts = corpus.parts_in(root) if isinstance(corpus, Folders) else corpus.parts
    return [clip for part in parts for clip in corpus.clips(root, part)]


def test_a_row_is_named_as_its_key(name: str) -> None:
    assert CORPORA[name].name == name


def test_clips_are_valid_and_lie_under_the_root(name: str, root: Path) -> None:
    clips = clips_of(name, root)
    assert {clip.bonafide for clip in clips} == {True, False}
    assert len({clip.id for clip in clips}) == len(clips)
    for clip in clips:
        assert clip.bonafide == (clip.attack == "-") == (clip.family == "-")
        assert (root / clip.path).is_file()
        assert not Path(clip.path).is_absolute()
        assert clip.corpus
    assert len(Manifest.of(clips, root)) == len(clips)


def test_each_part_yields_its_own_clips_in_a_fixed_order(name: str, root: Path) -> None:
    clips = clips_of(name, root)
    assert clips == clips_of(name, root)
    published = CORPORA[name].published
    assert set(published) in (set(), {clip.part for clip in clips})
    assert all(bona > 0 and spoof > 0 for bona, spoof in published.values())


def test_an_import_reads_what_was_written(name: str, root: Path, tmp_path: Path) -> None:
    found = import_corpus(name, root, tmp_path / "out/corpus.parquet", headers=True)
    assert (found.missing, found.extra, found.unreadable) == ((), (), ())
    manifest = Manifest.read(found.manifest)
    assert all(manifest.file(clip).is_file() for clip in manifest)
    assert all(clip.duration_s == 0.5 for clip in manifest)


def test_a_missing_root_or_an_empty_one_says_what_to_do(name: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="give the one the corpus was unpacked into"):
        import_corpus(name, tmp_path / "none", tmp_path / "corpus.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"give the folder that|put human speech into"):
        import_corpus(name, tmp_path / "empty", tmp_path / "corpus.parquet")


def test_a_part_it_does_not_have_is_refused_with_those_it_has(name: str, root: Path) -> None:
    with pytest.raises(CorpusError, match="no part 'trian'; did you mean 'train'"):
        list(CORPORA[name].clips(root, "trian"))


def test_the_page_of_a_corpus_tells_tree_licence_citation_counts_and_defects(name: str) -> None:
    page = inspect.getdoc(inspect.getmodule(type(CORPORA[name]))) or ""
    assert any(line.startswith("    ") and "/" in line for line in page.splitlines()), "no tree"
    missing = [one for one in IN_THE_DOCSTRING if not any(w in page for w in one.split("|"))]
    assert missing == []
