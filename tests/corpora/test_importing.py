"""An import says what is there, and resumes where it stopped."""

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import layouts_asvspoof
from audio_files import encoded, tone
from corpus_layout import text, tones
from unheard import audio
from unheard.corpora import CORPORA, corpus_named, importing, inspecting
from unheard.corpora.importing import import_corpus
from unheard.corpora.inspecting import inspect
from unheard.data.clip import Clip, Manifest
from unheard.data.tables import csv_rows, files_under, is_bonafide, rows
from unheard.errors import CorpusError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 42\n"
FLAC = "ASVspoof2021_LA_eval/flac"
NAMES = sorted(("LA_E_9332881", "LA_E_5085671", "LA_E_5013670", "LA_E_1665632"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    layouts_asvspoof.asvspoof2021_la(tmp_path / "unpacked")
    return tmp_path / "unpacked"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "manifests" / "la.parquet"


def opened(monkeypatch: pytest.MonkeyPatch, stop_at: int = 10**9) -> list[str]:
    """Record what is looked into; at the file of that number, the user interrupts."""
    looked: list[str] = []
    inspect_file = inspecting._inspect

    def watched(root: Path, path: str, headers: bool, hashes: bool) -> inspecting.Inspected:
        if len(looked) == stop_at:
            raise KeyboardInterrupt
        looked.append(path)
        return inspect_file(root, path, headers, hashes)

    monkeypatch.setattr(inspecting, "_inspect", watched)
    return looked


def test_paths_start_from_the_folder_of_the_manifest(root: Path, out: Path) -> None:
    manifest = Manifest.read(import_corpus("asvspoof2021_la", root, out).manifest)
    assert sorted(clip.path for clip in manifest) == [
        f"../unpacked/{FLAC}/{name}.flac" for name in NAMES
    ]
    inside = Manifest.read(import_corpus("asvspoof2021_la", root, root / "la.parquet").manifest)
    assert sorted(clip.path for clip in inside) == [f"{FLAC}/{name}.flac" for name in NAMES]


def test_names_match_in_any_unicode_form(root: Path, out: Path) -> None:
    kept = importing._places(root, ["jos\u00e9.wav", "gone.wav"], {"jose\u0301.wav"})
    assert kept == ["jose\u0301.wav", None]


def test_nothing_is_opened_or_asked_for_its_size_unless_wanted(
    root: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = opened(monkeypatch)
    monkeypatch.setattr(importing, "pointers_among", lambda root, paths: set())
    asked: list[str] = []
    is_file = Path.is_file

    def watched(path: Path) -> bool:
        asked.append(path.name)
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", watched)
    import_corpus("asvspoof2021_la", root, out)
    assert looked == []
    assert set(asked) == {"trial_metadata.txt"}


def test_counts_are_shown_next_to_the_published_ones(root: Path, out: Path) -> None:
    imported = import_corpus("asvspoof2021_la", root, out)
    assert imported.counts == {"eval": (1, 1), "progress": (0, 1), "hidden": (1, 0)}
    lines = imported.render().splitlines()
    assert lines[1].split() == ["eval", "1", "1", "14816", "+", "133360", "DIFFERS"]
    assert len(lines) == 4


def test_counts_as_published_are_called_so(root: Path, out: Path) -> None:
    class Small(type(CORPORA["asvspoof2021_la"])):  # type: ignore[misc]
        published = {"eval": (1, 1)}  # noqa: RUF012

    imported = import_corpus(Small(), root, out)
    assert imported.render().splitlines()[1].endswith("as published")
    assert imported.published == {"eval": (1, 1)}


def test_hashes_and_lengths_are_those_of_the_files(root: Path, out: Path) -> None:
    import_corpus("asvspoof2021_la", root, out, headers=True, hashes=True, jobs=2)
    for clip in (manifest := Manifest.read(out)):
        content = manifest.file(clip).read_bytes()
        assert clip.sha256 == hashlib.sha256(content).hexdigest()
        assert clip.duration_s == 0.5
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_run_resumes_where_it_stopped(
    root: Path, out: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr(inspecting, "_CHUNK", 1)
    first = opened(monkeypatch, stop_at=2)
    with pytest.raises(KeyboardInterrupt):
        import_corpus("asvspoof2021_la", root, out, hashes=True, jobs=jobs)
    monkeypatch.undo()
    assert not out.exists()
    second = opened(monkeypatch)
    lines: list[str] = []
    import_corpus("asvspoof2021_la", root, out, hashes=True, jobs=jobs, say=lines.append)
    assert sorted(first + second) == [f"{FLAC}/{name}.flac" for name in NAMES]
    assert any(f"knows {len(first)} files" in line for line in lines)
    assert all(clip.sha256 for clip in Manifest.read(out))


def test_a_line_cut_off_by_a_kill_and_a_changed_file_are_inspected_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"{FLAC}/{name}.flac" for name in NAMES]
    row_file = tmp_path / "seen.jsonl"

    def run(**wanted: bool) -> list[str]:
        looked = opened(monkeypatch)
        asked = {"headers": False, "hashes": False} | wanted
        seen = inspect(root, paths, row_file, jobs=1, say=lambda line: None, **asked)
        assert [file.path for file in seen] == paths
        monkeypatch.undo()
        return looked

    assert run(headers=True) == paths
    assert run(hashes=True) == paths
    assert run(hashes=True) == []
    row_file.write_bytes(row_file.read_bytes()[:-5])
    assert run(hashes=True) == paths[3:]
    (root / paths[0]).write_bytes(b"another")
    assert run(hashes=True) == paths[:1]
    assert run(headers=True, hashes=True) == paths
    assert run(headers=True) == []


def test_rows_are_on_disk_before_the_next_files_are_inspected(
    root: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspecting, "_CHUNK", 1)
    inspect_file, lines = inspecting._inspect, []

    def watched(*arguments: object) -> inspecting.Inspected:
        row_file = out.with_name("la.parquet.seen.jsonl")
        lines.append(len(row_file.read_text().splitlines()))
        return inspect_file(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(inspecting, "_inspect", watched)
    import_corpus("asvspoof2021_la", root, out, hashes=True)
    assert lines == [0, 1, 2, 3]


def test_a_foreign_row_file_is_refused(root: Path, out: Path) -> None:
    out.parent.mkdir()
    out.with_name("la.parquet.seen.jsonl").write_text("{}\n")
    with pytest.raises(CorpusError, match="delete it, or choose another name"):
        import_corpus("asvspoof2021_la", root, out, hashes=True)


@pytest.mark.parametrize("options", [{}, {"headers": True}, {"hashes": True}])
def test_git_lfs_pointers_are_no_audio_and_the_remedy_is_given(
    root: Path, out: Path, options: dict[str, Any]
) -> None:
    (root / FLAC / f"{NAMES[1]}.flac").write_bytes(POINTER)
    imported = import_corpus("asvspoof2021_la", root, out, **options)
    assert imported.pointers == (f"{FLAC}/{NAMES[1]}.flac",)
    assert imported.unreadable == ()
    assert len(Manifest.read(out)) == 3
    assert "run `git lfs pull`" in imported.render()
    for name in NAMES:
        (root / FLAC / f"{name}.flac").write_bytes(POINTER)
    with pytest.raises(CorpusError, match=r"none of the 4 files is audio.*git lfs pull"):
        import_corpus("asvspoof2021_la", root, out, **options)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"", True),
        (b"", False),
        (b"<html>not found</html>", True),
        (b"<html>not found</html>", False),
        (bytes(5000), False),
    ],
    ids=["empty", "empty, hashed", "a web page", "a web page, hashed", "zeros, hashed"],
)
def test_files_that_are_no_audio_are_skipped(
    root: Path, out: Path, content: bytes, headers: bool
) -> None:
    (root / FLAC / f"{NAMES[0]}.flac").write_bytes(content)
    imported = import_corpus("asvspoof2021_la", root, out, headers=headers, hashes=not headers)
    assert imported.unreadable == (f"{FLAC}/{NAMES[0]}.flac",)
    assert sum(map(sum, imported.counts.values())) == len(Manifest.read(out)) == 3
    assert "no audio: fetch or unpack them again" in imported.render()


def test_audio_that_does_not_begin_like_audio_is_hashed_too(root: Path, out: Path) -> None:
    file = root / FLAC / f"{NAMES[0]}.flac"
    mp3 = bytes(500) + encoded(tone(1.0), ".mp3")
    file.write_bytes(mp3)
    imported = import_corpus("asvspoof2021_la", root, out, hashes=True)
    assert imported.unreadable == ()


def test_audio_in_tars_is_imported_where_it_is(root: Path, out: Path) -> None:
    loose = {name: (root / FLAC / f"{name}.flac").read_bytes() for name in NAMES[1:]}
    for part, names in {"aa": NAMES[1:3], "ab": NAMES[3:]}.items():
        with tarfile.open(root / f"flac_{part}.tar", "w") as tar:
            for name in names:
                tar.add(root / FLAC / f"{name}.flac", f"flac/{name}.flac")
                (root / FLAC / f"{name}.flac").unlink()
    imported = import_corpus("asvspoof2021_la", root, out, headers=True, hashes=True)
    assert imported.missing == ()
    manifest = Manifest.read(out)
    for clip in manifest:
        name = clip.id.split("/")[1]
        if name != NAMES[0]:
            assert clip.path.startswith("../unpacked/flac_a")
            assert manifest.audio(clip) == loose[name]
        assert clip.duration_s == 0.5
        assert audio.read(manifest.audio(clip)).duration_s == 0.5


def test_a_member_whose_shard_is_gone_is_missing(tmp_path: Path) -> None:
    class Shards(type(CORPORA["folders"])):  # type: ignore[misc]
        def parts_in(self, root: Path) -> tuple[str, ...]:
            return ("eval",)

        def clips(self, root: Path, part: str) -> list[Clip]:
            return [
                Clip(id=str(n), path=f"{n}.parquet::audio::0", bonafide=True, part=part)
                for n in (0, 1)
            ]

    (tmp_path / "0.parquet").touch()
    imported = import_corpus(Shards(), tmp_path, tmp_path / "out.parquet")
    assert imported.missing == ("1.parquet::audio::0",)
    assert imported.counts == {"eval": (1, 0)}


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    tones(tmp_path / "disk", "a/1.wav", "b/2.FLAC")
    (tmp_path / "disk/a/.hidden.wav").touch()
    (tmp_path / "disk/a/again").symlink_to(tmp_path / "disk")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/flac").symlink_to(tmp_path / "disk")
    assert files_under(tmp_path / "root") == ["flac/a/1.wav", "flac/b/2.FLAC"]
    assert files_under(tmp_path / "nowhere") == []


def test_a_field_of_a_reader_can_be_set_and_a_wrong_one_is_refused() -> None:
    named = corpus_named("table", {"path": "file"})
    assert named != CORPORA["table"]
    with pytest.raises(CorpusError, match="table has no field 'pth'; did you mean 'path'"):
        corpus_named("table", {"pth": "file"})
    with pytest.raises(CorpusError, match="nothing can be set"):
        corpus_named("asvspoof2019_la", {"path": "file"})


@pytest.mark.parametrize(
    "word", ["bona-fide", "Bonafide", "bona_fide", " real ", "GENUINE", "human"]
)
def test_all_words_for_bona_fide_are_read_as_bona_fide(word: str) -> None:
    assert is_bonafide(word, "here")
    assert not is_bonafide("Fake", "here")


def test_a_label_of_neither_class_is_refused_with_both() -> None:
    with pytest.raises(
        CorpusError, match=r"t\.csv:3: label '1'; one of 'bonafide'.* or one of 'spoof'"
    ):
        is_bonafide("1", "t.csv:3")


def test_tables_say_what_is_wrong_with_them(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    with pytest.raises(CorpusError, match="no such file; give the protocol"):
        list(rows(table, columns=2, what="the protocol"))
    table.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match="not UTF-8 text"):
        list(rows(table, columns=2, what="the protocol"))
    text(table, "file,label", "a,b")
    with pytest.raises(
        CorpusError, match=r"t\.csv:1: the header has file, label and lacks speaker"
    ):
        list(csv_rows(table, wanted=("speaker", "label")))
    text(table, "file,label", "", "a")
    with pytest.raises(CorpusError, match=r"t\.csv:3: 1 columns, 2 wanted; fetch the table again"):
        list(csv_rows(table, wanted=("label",)))


def test_a_byte_order_mark_and_windows_lines_are_no_part_of_a_table(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(b"\xef\xbb\xbffile,label\r\na,b\r\n\r\nc,d\r\n")
    listed_rows = list(csv_rows(table, wanted=("file",)))
    assert listed_rows == [(2, {"file": "a", "label": "b"}), (4, {"file": "c", "label": "d"})]
    table.write_bytes(b"\xef\xbb\xbfa b\r\n\r\nc d\r\n")
    assert list(rows(table, columns=2, what="")) == [(1, ["a", "b"]), (3, ["c", "d"])]


def test_a_hundred_thousand_clips_make_a_manifest_in_order(tmp_path: Path) -> None:
    n_clips = 100_000
    clips = (
        Clip(
            id=f"{index * 7919 % n_clips:06d}",
            path="x.flac",
            bonafide=index % 2 == 0,
            part="eval",
            attack="-" if index % 2 == 0 else "a",
            notes={"trim": "notrim"},
        )
        for index in range(n_clips)
    )
    manifest = Manifest.of(clips, tmp_path)
    np.testing.assert_array_equal(manifest.column("id").astype(int), np.arange(n_clips))
    assert manifest[7919 % n_clips].bonafide is False
    assert json.dumps(dict(manifest[5].notes)) == '{"trim": "notrim"}'
