"""Does every reader in CORPORA keep its promise? A new row is tested by being listed.

A new row needs one thing: a function that lays out its tree, in `LAYOUTS` of a tests/layouts_*.py.
"""

import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from runpy import run_path

import pytest

from corpus_layout import TONE_S, Expected
from unheard.corpora import CORPORA
from unheard.corpora.corpus import PartsOnDisk, parts_of
from unheard.corpora.importing import import_corpus
from unheard.data.clip import Clip, Manifest
from unheard.errors import CorpusError

LAYOUTS: dict[str, Callable[[Path], Expected]] = {
    name: layout
    for path in sorted(Path(__file__).parents[1].glob("layouts_*.py"))
    for name, layout in importlib.import_module(path.stem).LAYOUTS.items()
}
IN_THE_DOCSTRING = ("Licence", "Citation|citation", "Counts|counts", "Known defects")


@pytest.fixture(params=sorted(CORPORA))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "unpacked"


@pytest.fixture
def expected(name: str, root: Path) -> Expected:
    return LAYOUTS[name](root)


def clips_of(name: str, root: Path) -> list[Clip]:
    return [
        clip for part in parts_of(CORPORA[name], root) for clip in CORPORA[name].clips(root, part)
    ]


def page(name: str) -> str:
    return inspect.getdoc(inspect.getmodule(type(CORPORA[name]))) or ""


def test_a_row_is_named_as_its_key(name: str) -> None:
    assert CORPORA[name].name == name


def test_clips_are_valid_and_lie_under_the_root(name: str, expected: Expected, root: Path) -> None:
    clips = clips_of(name, root)
    assert len({clip.id for clip in clips}) == len(clips)
    for clip in clips:
        assert clip.bonafide == (clip.attack == "-") == (clip.family == "-")
        assert (root / clip.path.partition("::")[0]).is_file()
        assert not Path(clip.path).is_absolute()
        assert clip.corpus
    assert len(Manifest.of(clips, root)) == len(clips)


def test_each_part_yields_its_own_clips_in_a_fixed_order(
    name: str, expected: Expected, root: Path
) -> None:
    clips = clips_of(name, root)
    assert clips == clips_of(name, root)
    for part in parts_of(CORPORA[name], root):
        assert {clip.part for clip in CORPORA[name].clips(root, part)} <= {part}
    assert {clip.part for clip in clips} == set(expected.counts)


def test_an_import_reads_what_was_written(
    name: str, expected: Expected, root: Path, tmp_path: Path
) -> None:
    imported = import_corpus(name, root, tmp_path / "out/corpus.parquet", headers=True)
    assert {part: imported.counts[part] for part in expected.counts} == expected.counts
    assert (imported.missing, imported.unreadable) == ((), ())
    assert sorted((*imported.extra, *imported.elsewhere)) == sorted(expected.extra)
    manifest = Manifest.read(imported.manifest)
    assert all(manifest.file(clip).is_file() for clip in manifest)
    assert all(clip.duration_s == pytest.approx(TONE_S, abs=0.1) for clip in manifest)


def test_a_missing_root_or_an_empty_one_says_what_to_do(name: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="give the one the corpus was unpacked into"):
        import_corpus(name, tmp_path / "none", tmp_path / "corpus.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"; (give|put) "):
        import_corpus(name, tmp_path / "empty", tmp_path / "corpus.parquet")


def test_a_part_it_does_not_have_is_refused_with_those_it_has(
    name: str, expected: Expected, root: Path
) -> None:
    part = sorted(expected.counts)[0]
    with pytest.raises(CorpusError, match=f"no part '{part}x'; (did you mean|known:) .*{part}"):
        list(CORPORA[name].clips(root, f"{part}x"))


def test_published_counts_are_of_its_parts(name: str) -> None:
    corpus = CORPORA[name]
    assert set(corpus.published) <= set(corpus.parts)
    assert corpus.parts or isinstance(corpus, PartsOnDisk)
    assert all(bona >= 0 and spoof >= 0 for bona, spoof in corpus.published.values())
    assert all(bona + spoof > 0 for bona, spoof in corpus.published.values())


def test_the_page_of_a_corpus_has_tree_licence_citation_counts_and_defects(name: str) -> None:
    text = page(name)
    assert any(line.startswith("    ") and "/" in line for line in text.splitlines()), "no tree"
    missing = [words for words in IN_THE_DOCSTRING if not any(w in text for w in words.split("|"))]
    assert missing == []


def test_the_fields_of_a_corpus_say_what_its_page_says(name: str) -> None:
    corpus = CORPORA[name]
    words = set(re.findall(r"[\d,.]*\d", page(name)))
    for counts in corpus.published.values():
        assert {f"{count:,}" for count in counts if count} <= words
    assert corpus.licence
    assert corpus.source
    assert corpus.citation
    assert corpus.defects
    assert all(defect.endswith(".") for defect in corpus.defects)
    assert not re.search(r"https?://", corpus.source)


def test_the_page_of_corpora_is_current_and_has_a_section_for_each() -> None:
    docs = Path(__file__).parents[2] / "docs"
    text = (docs / "corpora.md").read_text()
    assert text == run_path(str(docs / "generate.py"))["corpora"](), "run `make docs`"
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert sorted(re.findall("`(.+?)`", " ".join(titles))) == sorted(CORPORA)
