"""A table of one's own: columns and label words that are named, and what can be wrong with it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus_layout import TONE, text
from unheard import audio
from unheard.corpora.table import Table
from unheard.data.clip import Clip, Manifest
from unheard.errors import CorpusError


def read(root: Path, **fields: str) -> list[Clip]:
    table = Table(**fields)
    return [clip for part in table.parts_in(root) for clip in table.clips(root, part)]


def write_parquet(path: Path, columns: dict[str, list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def test_columns_are_those_that_are_named(tmp_path: Path) -> None:
    text(
        tmp_path / "mine/all.tsv",
        "file\tkind\tset\tsystem\ttype\tvoice\tlang\twords\tchannel\tloudness",
        "a.wav\treal\ttrain\t\t\tann\ten\tGo on.\tnone\t-23",
        "b.wav\tfake\tdev\tacme\tneural TTS\tacme-1\tde\tWeiter.\topus-24k\t",
    )
    human, fake = sorted(
        read(
            tmp_path / "mine",
            table="all.tsv",
            path="file",
            label="kind",
            part="set",
            attack="system",
            family="type",
            speaker="voice",
            language="lang",
            text="words",
            codec="channel",
        ),
        key=lambda clip: clip.path,
    )
    assert human == Clip(
        id="mine/a.wav",
        path="a.wav",
        bonafide=True,
        part="train",
        speaker="mine/ann",
        corpus="mine",
        language="en",
        text="Go on.",
        codec="none",
        notes={"loudness": "-23"},
    )
    assert (fake.bonafide, fake.part, fake.attack) == (False, "dev", "acme")
    assert (fake.family, fake.codec, fake.notes) == ("neural TTS", "opus-24k", {})


def test_without_columns_for_them_part_attack_and_family_have_their_usual_names(
    tmp_path: Path,
) -> None:
    text(tmp_path / "meta.csv", "path,label", "a.wav,bona-fide", "b.wav,Spoof")
    human, fake = read(tmp_path)
    assert (human.part, human.attack, human.family) == ("eval", "-", "-")
    assert (fake.part, fake.attack, fake.family) == ("eval", "spoof", "unknown")


def test_an_attack_column_may_say_nothing_of_spoofed_and_anything_of_bona_fide_clips(
    tmp_path: Path,
) -> None:
    text(tmp_path / "meta.csv", "path,label,attack", "a.wav,real,none", "b.wav,fake,-")
    human, fake = read(tmp_path, attack="attack")
    assert (human.attack, fake.attack) == ("-", "spoof")


def test_label_words_are_the_users(tmp_path: Path) -> None:
    text(tmp_path / "meta.csv", "path,label", "a.wav,Live", "b.wav,tts", "c.wav,human", "d.wav,vc")
    labels = [clip.bonafide for clip in read(tmp_path, bonafide="live, human", spoof="tts,vc")]
    assert labels == [True, False, True, False]
    assert labels == [clip.bonafide for clip in read(tmp_path, bonafide="live, human", spoof="*")]


@pytest.mark.parametrize("label", ["1", "0", "", "genuin"])
def test_a_label_of_neither_class_is_refused_with_its_line_and_never_guessed(
    label: str, tmp_path: Path
) -> None:
    text(tmp_path / "meta.csv", "path,label", "a.wav,real", f"b.wav,{label}")
    with pytest.raises(CorpusError, match=rf"meta\.csv:3: label '{label}' .*--set bonafide="):
        read(tmp_path)


def test_a_wrong_label_in_a_parquet_table_is_refused_with_its_row(tmp_path: Path) -> None:
    write_parquet(tmp_path / "meta.parquet", {"path": ["a.wav", "b.wav"], "label": ["real", "1"]})
    with pytest.raises(CorpusError, match=r"meta\.parquet: row 1: label '1'"):
        read(tmp_path, table="meta.parquet")


def test_a_word_of_both_classes_is_refused(tmp_path: Path) -> None:
    text(tmp_path / "meta.csv", "path,label", "a.wav,fake")
    with pytest.raises(CorpusError, match=r"'fake' is a word of both.*leave it in one"):
        read(tmp_path, bonafide="fake")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"path": "fiel"}, r"no column 'fiel'; did you mean 'file'\?; say which"),
        ({"path": "file", "speaker": "who"}, "no column 'who'; known: file, label, text; say"),
    ],
)
def test_a_column_that_does_not_exist_is_refused_with_the_nearest(
    fields: dict[str, str], message: str, tmp_path: Path
) -> None:
    text(tmp_path / "meta.csv", "file, label,text", "a.wav,real,x")
    write_parquet(tmp_path / "meta.parquet", {"file": ["a.wav"], "label": ["real"], "text": ["x"]})
    for table in ("meta.csv", "meta.parquet"):
        with pytest.raises(CorpusError, match=message):
            read(tmp_path, table=table, **fields)


def test_a_file_listed_twice_is_refused_however_it_is_written(tmp_path: Path) -> None:
    text(tmp_path / "meta.csv", "path,label", "x/a.wav,real", "x/./a.wav,fake")
    with pytest.raises(CorpusError, match=r"meta\.csv:3: x/a\.wav is listed a second time; leave"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("../a.wav", r"meta\.csv:2: \.\./a\.wav lies outside .*give a folder that holds all"),
        ("/elsewhere/a.wav", "lies outside"),
        ("", r"meta\.csv:2: no path in column 'path'; leave the row out"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_its_line(
    path: str, remedy: str, tmp_path: Path
) -> None:
    text(tmp_path / "meta.csv", "path,label", f"{path},real")
    with pytest.raises(CorpusError, match=remedy):
        read(tmp_path)


def test_paths_may_lack_folder_and_suffix_be_absolute_or_from_windows(tmp_path: Path) -> None:
    text(
        tmp_path / "meta.csv",
        "path,label",
        "one,real",
        "two.wav,real",
        r"sub\three.wav,fake",
        f"{tmp_path / 'clips/four.wav'},fake",
        "../shards/0.tar::x/five.flac,fake",
    )
    assert [clip.path for clip in read(tmp_path, folder="clips", suffix=".wav")] == [
        "clips/one.wav",
        "clips/two.wav",
        "clips/sub/three.wav",
        "clips/four.wav",
        "shards/0.tar::x/five.flac",
    ]


def test_a_table_may_have_any_delimiter_and_no_quotes(tmp_path: Path) -> None:
    text(tmp_path / "meta.txt", "path|label|text", 'a.wav|real|"Hm', 'b.wav|fake|5" nails')
    clips = read(tmp_path, table="meta.txt", delimiter="|", quotes="no", text="text")
    assert [clip.text for clip in clips] == ['"Hm', '5" nails']
    with pytest.raises(CorpusError, match="read the table unquoted"):
        read(tmp_path, table="meta.txt", delimiter="|", text="text")
    with pytest.raises(CorpusError, match="delimiter is '::'; one character wanted"):
        read(tmp_path, table="meta.txt", delimiter="::")


def test_delimiters_without_a_visible_character_have_names(tmp_path: Path) -> None:
    text(tmp_path / "meta.txt", "path label", "a.wav real")
    text(tmp_path / "tabs.txt", "path\tlabel", "a.wav\treal")
    assert len(read(tmp_path, table="meta.txt", delimiter="space")) == 1
    assert len(read(tmp_path, table="tabs.txt", delimiter="tab")) == 1


def test_a_text_with_an_unquoted_comma_does_not_shift_the_label(tmp_path: Path) -> None:
    text(tmp_path / "meta.csv", "path,text,label", "a.wav,Well, no,real")
    with pytest.raises(CorpusError, match=r"meta\.csv:2: 4 columns, 3 wanted; put a field that"):
        read(tmp_path)


def test_windows_ends_byte_order_marks_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "meta.csv").write_bytes(
        b'\xef\xbb\xbf"path","label"\r\n\r\n"a.wav","real"\r\n\r\n"b,2.wav","fake"\r\n'
    )
    assert [clip.path for clip in read(tmp_path)] == ["a.wav", "b,2.wav"]


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_is_read_in_any_coding_and_by_the_delimiter_of_its_header(
    tmp_path: Path, coding: str, delimiter: str
) -> None:
    lines = [["path", "label"], ["ünï.wav", "real"], ["b.wav", "fake"]]
    content = "".join(delimiter.join(cells) + "\r\n" for cells in lines)
    (tmp_path / "meta.csv").write_bytes(content.encode(coding))
    clips = [(clip.path, clip.bonafide) for clip in read(tmp_path)]
    assert clips == [("ünï.wav", True), ("b.wav", False)]


def test_a_table_that_is_not_there_says_how_to_name_one(tmp_path: Path) -> None:
    for name in ("meta.csv", "data/*.parquet", str(tmp_path / "none.csv")):
        with pytest.raises(CorpusError, match=r"no table .*; give its name, relative to that"):
            read(tmp_path, table=name)


def test_a_part_that_the_table_does_not_name_is_refused(tmp_path: Path) -> None:
    text(tmp_path / "meta.csv", "path,label,set", "a.wav,real,train", "b.wav,fake,")
    table = Table(part="set")
    assert table.parts_in(tmp_path) == ("eval", "train")
    with pytest.raises(CorpusError, match="no part 'tarin'; did you mean 'train'"):
        list(table.clips(tmp_path, "tarin"))


def test_recordings_inside_parquet_files_are_read_by_row(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.flac", TONE)
    sound = (tmp_path / "a.flac").read_bytes()
    for number in (0, 1):
        write_parquet(
            tmp_path / f"data/{number}.parquet",
            {
                "audio": [{"bytes": sound, "path": "a.flac"}] * 2,
                "target": [number, 1],
                "who": ["ann", None],
            },
        )
    clips = read(
        tmp_path,
        table="data/*.parquet",
        audio="audio",
        label="target",
        bonafide="0",
        spoof="*",
        speaker="who",
    )
    assert [clip.path for clip in clips] == [
        f"data/{number}.parquet::audio::{row}" for number in (0, 1) for row in (0, 1)
    ]
    assert [clip.bonafide for clip in clips] == [True, False, False, False]
    assert [clip.speaker.rpartition("/")[2] for clip in clips] == ["ann", "", "ann", ""]
    manifest = Manifest.of(clips, tmp_path)
    assert audio.read(manifest.audio(clips[3])).duration_s == 0.5


def test_a_parquet_table_of_paths_reads_as_the_same_table_in_text(tmp_path: Path) -> None:
    write_parquet(
        tmp_path / "meta.parquet",
        {
            "path": ["a.wav", "b.wav"],
            "label": ["real", "fake"],
            "level": [-23, None],
            "vector": [[0.1], [0.2]],
            "raw": [b"x", b"y"],
        },
    )
    text(tmp_path / "meta.csv", "path,label,level", "a.wav,real,-23", "b.wav,fake,")
    assert read(tmp_path, table="meta.parquet") == read(tmp_path)


def test_recordings_in_a_column_need_a_parquet_file_that_has_it(tmp_path: Path) -> None:
    text(tmp_path / "meta.csv", "audio,label", "x,real")
    with pytest.raises(CorpusError, match=r"read from \.parquet files; set table to those"):
        read(tmp_path, audio="audio")
    write_parquet(tmp_path / "meta.parquet", {"sound": [b"x"], "label": ["real"]})
    with pytest.raises(CorpusError, match="no column 'audio'"):
        read(tmp_path, table="meta.parquet", audio="audio")


def test_a_damaged_parquet_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "meta.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(CorpusError, match="not a readable Parquet file"):
        read(tmp_path, table="meta.parquet")
