"""Readers of human speech, on copies of their layouts with what is awkward in the real ones."""

from collections.abc import Callable
from pathlib import Path

import pytest

import layouts_human
from corpus_layout import text, tones
from unheard.corpora import CORPORA
from unheard.corpora.corpus import parts_of
from unheard.corpora.importing import import_corpus
from unheard.data.clip import Clip
from unheard.data.tables import csv_rows, lines, subfolders
from unheard.errors import CorpusError


def read(name: str, root: Path) -> dict[str, Clip]:
    """Clips of all parts by the last piece of their ids."""
    corpus = CORPORA[name]
    clips = [clip for part in parts_of(corpus, root) for clip in corpus.clips(root, part)]
    return {clip.id.rpartition("/")[2]: clip for clip in clips}


@pytest.fixture(params=sorted(set(layouts_human.LAYOUTS) - {"table"}))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_human_speech_is_bona_fide_and_says_its_licence(name: str, tmp_path: Path) -> None:
    layouts_human.LAYOUTS[name](tmp_path)
    for clip in read(name, tmp_path).values():
        assert clip.bonafide
        assert clip.licence
        assert clip.language
        assert clip.id.startswith(f"{name}/")
        assert clip.speaker.startswith(f"{name}/") or clip.notes["gender"] == "mix"


def test_lists_survive_windows_ends_byte_order_marks_empty_lines_and_mac_files(
    name: str, tmp_path: Path
) -> None:
    layouts_human.LAYOUTS[name](tmp_path)
    before = read(name, tmp_path)
    for path in [p for p in tmp_path.rglob("*") if p.is_file()]:
        if path.suffix in (".csv", ".tsv", ".txt", ".TXT"):
            content = path.read_text().replace("\n", "\r\n\r\n")
            path.write_bytes(b"\xef\xbb\xbf" + content.encode())
        (path.parent / f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "._.DS_Store").write_bytes(b"\0")
    assert read(name, tmp_path) == before


def test_a_root_two_levels_too_high_says_which_folder_to_give(name: str, tmp_path: Path) -> None:
    layouts_human.LAYOUTS[name](tmp_path / "downloads/corpora/speech")
    with pytest.raises(CorpusError, match="; give the folder that"):
        read(name, tmp_path / "downloads")


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("librispeech", "LibriSpeech"),
        ("ljspeech", "LJSpeech-1.1"),
        ("vctk", "VCTK-Corpus-0.92"),
        ("common_voice", "cv-corpus-17.0-2024-03-15"),
        ("common_voice", "cv-corpus-17.0-2024-03-15/en"),
        ("m_ailabs", "en_US"),
        ("jsut", "jsut_ver1.1"),
    ],
)
def test_the_inner_folder_may_be_given_itself(name: str, folder: str, tmp_path: Path) -> None:
    layouts_human.LAYOUTS[name](tmp_path)
    above = read(name, tmp_path)
    inside = read(name, tmp_path / folder)
    assert inside
    for key, clip in inside.items():
        assert f"{folder}/{clip.path}" == above[key].path
        assert clip.id == above[key].id


@pytest.mark.parametrize(
    ("name", "folder", "remedy"),
    [
        (
            "librispeech",
            "LibriSpeech/dev-clean",
            "one part; give the folder that holds it, .*Libri",
        ),
        ("jsut", "jsut_ver1.1/basic5000", "one part; give the folder that holds it, .*jsut_"),
        ("vctk", "VCTK-Corpus-0.92/wav48_silence_trimmed", "the one that holds wav48"),
        ("m_ailabs", "en_US/by_book", "the one that holds en_US"),
        ("common_voice", "cv-corpus-17.0-2024-03-15/en/clips", "the one that holds cv-corpus"),
        ("ljspeech", "LJSpeech-1.1/wavs", "give the folder that holds LJSpeech-1.1"),
    ],
)
def test_a_root_too_deep_says_which_folder_to_give(
    name: str, folder: str, remedy: str, tmp_path: Path
) -> None:
    layouts_human.LAYOUTS[name](tmp_path)
    with pytest.raises(CorpusError, match=remedy):
        read(name, tmp_path / folder)


def test_librispeech_gender_comes_through_a_name_that_holds_the_separator(tmp_path: Path) -> None:
    layouts_human.librispeech(tmp_path)
    clips = read("librispeech", tmp_path)
    assert clips["60-121082-0000"].notes == {"gender": "male"}
    assert clips["84-121123-0001"].notes == {"gender": "female"}
    assert clips["84-121123-0001"].text == "BUT IN"
    assert clips["84-121123-0001"].speaker == "librispeech/84"


def test_librispeech_without_transcripts_or_speakers_gives_its_files(tmp_path: Path) -> None:
    layouts_human.librispeech(tmp_path)
    for path in (*tmp_path.rglob("*.trans.txt"), *tmp_path.rglob("SPEAKERS.TXT")):
        path.unlink()
    clips = read("librispeech", tmp_path)
    assert len(clips) == 4
    assert {clip.text for clip in clips.values()} == {""}
    assert not any(clip.notes for clip in clips.values())


def test_librispeech_part_that_was_not_fetched_says_how_to_get_it(tmp_path: Path) -> None:
    layouts_human.librispeech(tmp_path)
    with pytest.raises(
        CorpusError, match=r"only dev-clean, train-clean-100; fetch test-other\.tar"
    ):
        list(CORPORA["librispeech"].clips(tmp_path, "test-other"))


def test_librispeech_transcripts_of_another_chapter_are_refused(tmp_path: Path) -> None:
    layouts_human.librispeech(tmp_path)
    path = next(tmp_path.rglob("84-121123.trans.txt"))
    path.write_text("84-121123-0000 GO\n84-999-0001 BUT\n")
    with pytest.raises(CorpusError, match=r"trans\.txt:2: .*begins with 84-121123-.*unpack"):
        read("librispeech", tmp_path)


def test_bare_quotation_marks_lose_no_clip(tmp_path: Path) -> None:
    rows = [f'LJ001-{n:04d}|"Bare {n} mark|"Bare {n} mark' for n in range(1, 6)]
    text(tmp_path / "metadata.csv", *rows)
    clips = read("ljspeech", tmp_path)
    assert len(clips) == 5
    assert clips["LJ001-0003"].text == '"Bare 3 mark'


def test_ends_of_lines_that_only_unicode_knows_stay_in_a_transcript(tmp_path: Path) -> None:
    text(tmp_path / "metadata.csv", "LJ001-0001|One\u2028two\x85three|One\u2028two\x85three")
    assert read("ljspeech", tmp_path)["LJ001-0001"].text == "One\u2028two\x85three"


def test_ljspeech_text_is_the_one_with_numbers_as_words(tmp_path: Path) -> None:
    text(tmp_path / "metadata.csv", "LJ001-0001|In 1455|In fourteen fifty-five", "LJ001-0002|No.")
    clips = read("ljspeech", tmp_path)
    assert clips["LJ001-0001"].text == "In fourteen fifty-five"
    assert clips["LJ001-0002"].text == "No."


def test_ljspeech_table_that_a_spreadsheet_rewrote_is_refused(tmp_path: Path) -> None:
    text(tmp_path / "metadata.csv", "LJ001-0001|One|One", "LJ001-0002,Two,Two")
    with pytest.raises(CorpusError, match=r"metadata\.csv:2: .*unpack the archive again"):
        read("ljspeech", tmp_path)


def test_a_table_that_git_lfs_has_not_fetched_is_reported(tmp_path: Path) -> None:
    text(tmp_path / "metadata.csv", "version https://git-lfs.github.com/spec/v1", "size 1")
    with pytest.raises(CorpusError, match="run `git lfs pull`"):
        read("ljspeech", tmp_path)


def test_vctk_speakers_are_read_from_an_irregular_table(tmp_path: Path) -> None:
    layouts_human.vctk(tmp_path)
    clips = read("vctk", tmp_path)
    assert clips["p225_001_mic1"].notes == {"age": "23", "gender": "female", "accent": "English"}
    assert clips["p315_001_mic1"].notes["accent"] == "American"
    assert clips["s5_001_mic1"].notes == {}
    assert clips["s5_001_mic1"].speaker == "vctk/s5"


def test_vctk_speaker_without_text_and_one_without_second_microphone_are_kept(
    tmp_path: Path,
) -> None:
    layouts_human.vctk(tmp_path)
    clips = read("vctk", tmp_path)
    assert clips["p315_001_mic1"].text == ""
    assert clips["p280_001_mic1"].text == "Please call Stella."
    assert {key for key in clips if key.endswith("mic2")} == {"p225_001_mic2"}
    assert {clip.part for clip in clips.values()} == {"mic1", "mic2"}


def test_the_older_vctk_layout_is_read_and_its_raw_file_passed_over(tmp_path: Path) -> None:
    expected = layouts_human.vctk_before(tmp_path / "old")
    imported = import_corpus("vctk", tmp_path / "old", tmp_path / "vctk.parquet")
    assert (imported.counts, imported.extra) == (expected.counts, ())
    clips = read("vctk", tmp_path / "old")
    assert clips["p225_001"].notes["gender"] == "female"
    assert clips["p376_001"].notes == {"age": "22", "gender": "male", "accent": "Indian"}
    assert clips["p225_001"].licence == "ODC-By-1.0"


def test_vctk_without_recordings_says_so(tmp_path: Path) -> None:
    (tmp_path / "wav48").mkdir()
    with pytest.raises(CorpusError, match=r"no recording such as.*give the folder that"):
        read("vctk", tmp_path)


def test_common_voice_validated_excludes_what_train_dev_and_test_hold(tmp_path: Path) -> None:
    layouts_human.common_voice(tmp_path)
    clips = read("common_voice", tmp_path)
    assert clips["common_voice_en_0"].part == "train"
    assert clips["common_voice_en_3"].part == "validated"
    assert len(clips) == 8


def test_common_voice_gives_speaker_language_and_gender(tmp_path: Path) -> None:
    layouts_human.common_voice(tmp_path)
    clip = read("common_voice", tmp_path)["common_voice_zh-CN_0"]
    assert (clip.language, clip.notes["locale"]) == ("zh", "zh-CN")
    assert clip.notes["gender"] == "female"
    assert clip.speaker == "common_voice/0f2e"
    assert clip.codec == "mp3"


def test_a_tab_in_a_sentence_shifts_no_column(tmp_path: Path) -> None:
    text(
        tmp_path / "en/train.tsv",
        "client_id\tpath\tsentence\tup_votes\tgender\tlocale",
        'a\tone.mp3\tHe said\t"no"\tto her.\t2\tmale_masculine\ten',
        'b\ttwo\t"Unclosed\t2\t\ten',
    )
    clips = read("common_voice", tmp_path)
    assert clips["one"].text == 'He said "no" to her.'
    assert clips["one"].notes["gender"] == "male"
    assert clips["two"].path == "en/clips/two.mp3"
    assert clips["two"].text == '"Unclosed'


def test_two_releases_of_common_voice_are_not_mixed(tmp_path: Path) -> None:
    layouts_human.common_voice(tmp_path)
    text(tmp_path / "cv-corpus-16.0-2023-12-06/en/train.tsv", layouts_human.VOICE_COLUMNS)
    with pytest.raises(CorpusError, match=r"2 releases.*give the folder of one"):
        read("common_voice", tmp_path)


@pytest.mark.parametrize(
    ("row", "remedy"),
    [
        ("client_id,path,sentence", r"train\.tsv:1: .*lacks client_id, path, sentence; give"),
        (
            "client_id\tpath\tsentence\nhash\n",
            r"train\.tsv:2: 'hash'; 3 tab-separated columns.*unpack",
        ),
    ],
)
def test_a_malformed_table_of_common_voice_names_its_line(
    row: str, remedy: str, tmp_path: Path
) -> None:
    text(tmp_path / "en/train.tsv", row)
    with pytest.raises(CorpusError, match=remedy):
        read("common_voice", tmp_path)


def test_m_ailabs_reads_whichever_list_a_book_has(tmp_path: Path) -> None:
    layouts_human.m_ailabs(tmp_path)
    clips = read("m_ailabs", tmp_path)
    assert clips["ozma_01_f000001"].text == '"Well," said two hens'
    assert clips["quijote_01_f000001"].text == "Número uno."
    assert clips["kobzar_01_f000001"].text == ""


def test_m_ailabs_gives_reader_and_language_and_leaves_mixed_readers_unknown(
    tmp_path: Path,
) -> None:
    layouts_human.m_ailabs(tmp_path)
    clips = read("m_ailabs", tmp_path)
    assert clips["ozma_01_f000001"].speaker == "m_ailabs/judy_bieber"
    assert clips["ozma_01_f000001"].notes == {"gender": "female", "book": "ozma_of_oz"}
    assert clips["quijote_01_f000001"].speaker == ""
    assert clips["kobzar_01_f000001"].language == "uk"


def test_m_ailabs_clips_whose_files_never_existed_are_reported_missing(tmp_path: Path) -> None:
    layouts_human.m_ailabs(tmp_path / "speech")
    next(tmp_path.rglob("ozma_01_f000002.wav")).unlink()
    imported = import_corpus("m_ailabs", tmp_path / "speech", tmp_path / "speech.parquet")
    assert [Path(path).name for path in imported.missing] == ["ozma_01_f000002.wav"]
    assert imported.counts["en_US"] == (1, 0)


@pytest.mark.parametrize("content", ['{"a.wav": {"original": "x"}}', "[1]", "{", '{"a.wav": 1}'])
def test_m_ailabs_list_in_json_of_another_form_is_refused(content: str, tmp_path: Path) -> None:
    layouts_human.m_ailabs(tmp_path)
    next((tmp_path / "es_ES").rglob("metadata_mls.json")).write_text(content)
    with pytest.raises(CorpusError, match=r"metadata_mls\.json: .*unpack the archive again"):
        read("m_ailabs", tmp_path)


def test_m_ailabs_language_that_was_not_fetched_says_how_to_get_it(tmp_path: Path) -> None:
    layouts_human.m_ailabs(tmp_path)
    with pytest.raises(CorpusError, match=r"only en_US, es_ES, uk_UK; fetch pl_PL\.tgz"):
        list(CORPORA["m_ailabs"].clips(tmp_path, "pl_PL"))


def test_jsut_text_may_hold_the_separator(tmp_path: Path) -> None:
    layouts_human.jsut(tmp_path)
    clips = read("jsut", tmp_path)
    assert clips["BASIC5000_0001"].text == "水を:買う。"
    assert clips["BASIC5000_0001"].path == "jsut_ver1.1/basic5000/wav/BASIC5000_0001.wav"


@pytest.mark.parametrize(
    ("spoil", "remedy"),
    [
        (lambda path: path.write_text("BASIC5000_0001 水\n"), r"utf8\.txt:1: .*unpack"),
        (lambda path: path.unlink(), "no such file; give the transcript"),
        (lambda path: path.write_bytes("水".encode("shift-jis")), "not UTF-8 text.*give the"),
    ],
)
def test_jsut_transcript_that_is_missing_or_malformed_is_refused(
    spoil: Callable[[Path], object], remedy: str, tmp_path: Path
) -> None:
    layouts_human.jsut(tmp_path)
    spoil(tmp_path / "jsut_ver1.1/basic5000/transcript_utf8.txt")
    with pytest.raises(CorpusError, match=remedy):
        read("jsut", tmp_path)


def test_lines_are_numbered_as_an_editor_numbers_them(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\n\r\nthree\x0bstill three\n")
    assert list(lines(tmp_path / "a.txt", "a")) == [(1, "one"), (3, "three\x0bstill three")]


def test_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    for name in ("b", "a", ".git"):
        (tmp_path / name).mkdir()
    tones(tmp_path, "c.wav")
    assert subfolders(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("rows", ['1,"x\n2,y', '1,"x" y\n2,y'])
def test_a_stray_quotation_mark_swallows_no_rows(rows: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"a,b\n{rows}\n")
    with pytest.raises(CorpusError, match="read the table unquoted"):
        list(csv_rows(tmp_path / "a.csv", wanted=["a"]))
    assert len(list(csv_rows(tmp_path / "a.csv", wanted=["a"], quoting=False))) == 2


def test_more_columns_than_the_header_are_refused_where_that_matters(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,x, y\n")
    assert next(csv_rows(tmp_path / "a.csv", wanted=["a"]))[1] == {"a": "1", "b": "x"}
    with pytest.raises(CorpusError, match=r"a\.csv:2: 3 columns, 2 wanted; put a field that holds"):
        list(csv_rows(tmp_path / "a.csv", wanted=["a"], exact=True))
