"""Score files and keys of others: every layout that is published, and every way to be unusable."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unheard.data.clip import Clip, Manifest
from unheard.errors import EvaluationError, RecipeError
from unheard.evaluation.formats import FORMATS, Scores, official_ids, read
from unheard.evaluation.intake import Intake, convert, read_with_keys
from unheard.evaluation.keys import join, read_keys
from unheard.evaluation.scores import read_facts, read_scores, write_scores
from unheard.evaluation.trials import Columns

TRIALS = {"LA_E_1": 1.5, "LA_E_2": -2.25, "LA_E_3": 1e-3}


def text(path: Path, content: str) -> Path:
    path.write_text(content, "utf-8")
    return path


LAYOUTS = {
    "asvspoof2021": "LA_E_1 1.5\nLA_E_2 -2.25\nLA_E_3 1e-3\n",
    "asvspoof2021 separated by many blanks": "LA_E_1   1.5\r\n\r\nLA_E_2\t-2.25\nLA_E_3  1e-3",
    "asvspoof2019": "LA_E_1 - bonafide 1.5\nLA_E_2 A07 spoof -2.25\nLA_E_3 - bonafide 1e-3\n",
    "asvspoof2019 speaker first": (
        "S1 LA_E_1 1.5 bonafide\nS2 LA_E_2 -2.25 spoof\nS1 LA_E_3 1e-3 bonafide\n"
    ),
    "asvspoof2019 tab twin": (
        "LA_E_1\t-\tbonafide\t1.5\nLA_E_2\t-\tspoof\t-2.25\nLA_E_3\t-\tbonafide\t1e-3\n"
    ),
    "asvspoof2019 without attacks": "LA_E_1 real 1.5\nLA_E_2 fake -2.25\nLA_E_3 real 1e-3\n",
    "asvspoof2019 as a log": (
        "Output, LA_E_1, 1, 1.5\nOutput, LA_E_2, 0, -2.25\nOutput, LA_E_3, 1, 1e-3\n"
    ),
    "asvspoof5": "filename\tcm-score\nLA_E_1\t1.5\nLA_E_2\t-2.25\nLA_E_3\t1e-3\n",
    "asvspoof5 of track 2": (
        "spk\tfilename\tcm-score\tasv-score\tsasv-score\n"
        "S\tLA_E_1\t1.5\t0\t0\nS\tLA_E_2\t-2.25\t0\t0\nS\tLA_E_3\t1e-3\t0\t0\n"
    ),
    "csv": "\ufefffile_name,score\nLA_E_1,1.5\nLA_E_2,-2.25\nLA_E_3,1e-3\n",
    "csv with labels": (
        "utt-id,Label,CM Score\nLA_E_1,real,1.5\nLA_E_2,fake,-2.25\nLA_E_3,real,1e-3\n"
    ),
    "csv of logit pairs": (
        'ID,Score,Label\nLA_E_1,"[-1.0, 0.5]",bonafide\nLA_E_2,"[2.0, -0.25]",spoof\n'
        'LA_E_3,"[0.0, 0.001]",bonafide\n'
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_published_layout_is_known_by_its_content(layout: str, tmp_path: Path) -> None:
    scores = read(text(tmp_path / "scores.txt", LAYOUTS[layout]))
    assert scores.format == layout.split()[0]
    rows = {row["id"]: row for row in scores.table.to_pylist()}
    assert {name: row["score"] for name, row in rows.items()} == TRIALS
    if "bonafide" in scores.table.column_names:
        assert [row["bonafide"] for row in rows.values()] == [True, False, True]
    if layout == "asvspoof2019":
        assert [row["attack"] for row in rows.values()] == ["-", "A07", "-"]
    assert bool(scores.notes) == ("pairs" in layout)


def test_names_with_blanks_are_read_from_the_right(tmp_path: Path) -> None:
    line = "fake/en/Cartesia.ai (Sonic-3)/a b.wav - spoof -3.5\n"
    row = read(text(tmp_path / "s.txt", line)).table.to_pylist()[0]
    assert row == {
        "id": "fake/en/Cartesia.ai (Sonic-3)/a b.wav",
        "score": -3.5,
        "bonafide": False,
        "attack": "",
    }


def test_a_format_that_is_named_is_taken(tmp_path: Path) -> None:
    path = text(tmp_path / "s.txt", "a b c 1.0\nd e f 2.0\n")
    with pytest.raises(EvaluationError, match="no line of a score file known here"):
        read(path)
    assert read(path, "asvspoof2021").table.column("id").to_pylist() == ["a b c", "d e f"]
    with pytest.raises(RecipeError, match="did you mean 'asvspoof2021'"):
        read(path, "asvspoof21")


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        ("a 1\na 2\n", "'a' occurs twice; give each clip one row"),
        ("a 1\nb nan\n", "1 of 2 scores are NaN, the first that of clip 'b'; score these"),
        ("a 1\nb -inf\n", "1 of 2 scores are infinite, the first that of clip 'b'; give finite"),
        ("a 1\nb 2 3\nc\n", r"s.txt:3: 'c' has 1 columns, 2 wanted"),
        ("a - spoof 1\nb - maybe 2\n", r"s.txt:2: label 'maybe'; bonafide or spoof.*name the one"),
        ("id,score,label\na,1,0\nb,2,1\n", "1 is bona fide in some corpora.*--bonafide-label"),
        ("id,score\na,1\nb,x\n", r"s.txt:3: the score 'x' is not a number; correct"),
        ("id,score\na,1,2\n", r"s.txt:2: 'a,1,2' has 3 columns, 2 wanted"),
        ('id,score\na,"[1]"\n', "pair of logits .*write one number per trial"),
        ("id,score,cm_score,label\na,1,2,fake\n", None),
        ("file,label\na,fake\n", "no column 'score'.*give a header such as filename,score"),
        ("\n \n", "empty, not a readable table; give a score file"),
        ("version https://git-lfs.github.com/spec/v1\n", "run `git lfs pull`"),
    ],
)
def test_unusable_scores_are_refused_with_the_trial_named(
    content: str, remedy: str | None, tmp_path: Path
) -> None:
    path = text(tmp_path / "s.txt", content)
    if remedy is None:  # a second alias is just another column
        assert read(path).table.column("score").to_pylist() == [1.0]
        return
    with pytest.raises(EvaluationError, match=remedy):
        read(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EvaluationError, match="not UTF-8 text"):
        read(path)


def test_labels_that_are_numbers_must_be_given_a_meaning(tmp_path: Path) -> None:
    path = text(tmp_path / "s.csv", "id,score,label\na,1,0\nb,2,1\n")
    scores = read(path, bonafide_label="1").table
    assert scores.column("bonafide").to_pylist() == [False, True]
    with pytest.raises(EvaluationError, match=r"no trial is labelled 'real' \(found 0, 1\)"):
        read(path, bonafide_label="real")


def test_an_empty_score_is_no_score_and_half_precision_is_refused(tmp_path: Path) -> None:
    path = text(tmp_path / "s.csv", "id,score\na,\nb,2\n")
    assert read(path).table.column("score").to_pylist() == [None, 2.0]
    half = tmp_path / "half.parquet"
    pq.write_table(pa.table({"id": ["a"], "score": pa.array([np.float16(1.5)])}), half)
    with pytest.raises(EvaluationError, match=r"half precision.*score again in single precision"):
        read(half)
    single = tmp_path / "single.parquet"
    pq.write_table(pa.table({"utt": ["a"], "score": pa.array([1.5], pa.float32())}), single)
    assert read(single).table.to_pylist() == [{"id": "a", "score": 1.5}]


ROWS: dict[str, list[Any]] = {
    "id": ["la/x", "la/y", "la/z"],
    "score": [0.1 + 0.2, -7e-300, 12345678.25],
    "bonafide": [True, False, False],
    "attack": ["-", "A07", "A08"],
    "corpus": ["la", "la", "la"],
}


@pytest.mark.parametrize("format", FORMATS)
def test_scores_survive_every_format_to_the_last_digit(format: str, tmp_path: Path) -> None:
    ours = tmp_path / "ours.parquet"
    table = {name: ROWS.get(name, [default] * 3) for name, default in _columns().items()}
    write_scores(ours, table, read_facts(text(tmp_path / "a.csv", "id,score\na,1\n")))
    out = tmp_path / "converted"
    assert convert(ours, out, format, Intake()) == []
    keys = text(tmp_path / "keys.csv", "file,label,attack\nx,real,-\ny,fake,A07\nz,fake,A08\n")
    scores, _ = read_with_keys(out, Intake(keys=keys))
    assert scores.column("score").to_pylist() == ROWS["score"]
    assert scores.column("attack").to_pylist() == ROWS["attack"]
    if format in ("asvspoof2019", "csv"):  # these hold the keys themselves
        assert read_scores(out).column("bonafide").to_pylist() == ROWS["bonafide"]
    if format == "asvspoof2021":
        assert out.read_text().splitlines()[0] == "x 0.30000000000000004"
    if format == "asvspoof5":
        assert out.read_text().splitlines()[:2] == ["filename\tcm-score", "x\t0.30000000000000004"]


def _columns() -> dict[str, Any]:
    from unheard.evaluation.scores import COLUMNS

    return COLUMNS


def test_a_format_that_cannot_say_it_is_refused(tmp_path: Path) -> None:
    path = text(tmp_path / "s.csv", 'id,score\n"a,b",1\nc,\n')
    with pytest.raises(EvaluationError, match=r"1 of 2 clips have no score.*--allow-missing"):
        convert(path, tmp_path / "o.txt", "asvspoof2021", Intake())
    with pytest.raises(EvaluationError, match="give --keys, or write asvspoof2021"):
        convert(path, tmp_path / "o.txt", "asvspoof2019", Intake(allow_missing=True))
    notes = convert(path, tmp_path / "o.csv", "csv", Intake(allow_missing=True))
    assert notes == ["clips without a score, 1, are left out"]
    assert read(tmp_path / "o.csv").table.to_pylist() == [{"id": "a,b", "score": 1.0}]
    turned = Intake(allow_missing=True, higher_is="spoof")
    convert(path, tmp_path / "o.txt", "asvspoof2021", turned)
    assert (tmp_path / "o.txt").read_text() == "a,b -1.0\n"


def test_official_names_have_no_corpus_before_them_unless_it_is_needed() -> None:
    assert official_ids(["la/x", "df/y"], ["la", "df"]) == ["x", "y"]
    assert official_ids(["la/x", "df/x"], ["la", "df"]) == ["la/x", "df/x"]
    assert official_ids(["la/x", "y"], ["la", ""]) == ["la/x", "y"]


KEYS = {
    "2019 LA": (
        "LA_0069 LA_E_1 - - bonafide\nLA_0070 LA_E_2 - A07 spoof\n",
        {"speaker": "LA_0070", "attack": "A07"},
    ),
    "2019 PA": (
        "PA_1 LA_E_1 aaa - bonafide\nPA_2 LA_E_2 aab AA spoof\n",
        {"environment": "aab", "attack": "AA"},
    ),
    "2021 LA": (
        "LA_1 LA_E_1 alaw ita_tx bonafide bonafide notrim eval\n"
        "LA_2 LA_E_2 none - A07 spoof trim hidden\n",
        {"codec": "none", "attack": "A07", "part": "hidden", "trim": "trim", "subset": "hidden"},
    ),
    "2021 DF": (
        "S LA_E_1 nocodec asvspoof - bonafide notrim eval - - - - -\n"
        "S LA_E_2 low_mp3 vcc2020 Task1-team01 spoof notrim eval neural task1 team01 FF E\n",
        {"codec": "low_mp3", "compression": "low_mp3", "vocoder": "neural", "source": "vcc2020"},
    ),
    "asvspoof5": (
        "D_1 LA_E_1 F - - - - bonafide bonafide -\nD_1 LA_E_2 F C05 3 - AC1 A14 spoof -\n",
        {"codec": "C05", "attack": "A14", "attack_tag": "AC1", "gender": "F"},
    ),
    "two columns": ("LA_E_1 bonafide\nLA_E_2 spoof\n", {}),
    "asvspoof5 track 1": ("filename\tcm-label\nLA_E_1\tbonafide\nLA_E_2\tspoof\n", {}),
    "In-the-Wild": (
        "file,speaker,label\nLA_E_1,Ann,bona-fide\nLA_E_2,Bob,spoof\n",
        {"speaker": "Bob"},
    ),
    "own": ("id,bonafide,codec\nLA_E_1,True,a\nLA_E_2,False,b\n", {"codec": "b"}),
}


@pytest.mark.parametrize("layout", KEYS)
def test_every_published_key_is_known_by_its_content(layout: str, tmp_path: Path) -> None:
    content, expected = KEYS[layout]
    table = read_keys(text(tmp_path / "trial_metadata.txt", content))
    human, machine = table.to_pylist()
    assert (human["id"], human["bonafide"]) == ("LA_E_1", True)
    assert (machine["id"], machine["bonafide"]) == ("LA_E_2", False)
    assert human.get("attack", "-") == "-"
    assert {name: machine[name] for name in expected} == expected
    if layout == "2021 DF":
        assert human["codec"] == "none"


def test_a_manifest_is_a_key_with_its_notes_as_columns(tmp_path: Path) -> None:
    clips = [
        Clip(id="la/1", path="1.flac", bonafide=True, part="eval", notes={"trim": "no"}),
        Clip(id="la/2", path="2.flac", bonafide=False, part="eval", attack="A07"),
    ]
    path = Manifest.of(clips, tmp_path).write(tmp_path / "m.parquet")
    rows = read_keys(path).to_pylist()
    assert [row["trim"] for row in rows] == ["no", ""]
    assert [row["attack"] for row in rows] == ["-", "A07"]


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        ("a b c\n", "3 columns and no header; 2, 5, 8, 10, 13 are known: give a key file"),
        ("file,speaker,attack\na,s,a00\n", "--bonafide-label"),
        ("file,score\na,1\n", "no column 'label'"),
        ("a spoof\na spoof\n", "'a' occurs twice; give each trial one key"),
        ("a spoof\nb\n", r"keys.txt:2: 'b' has 1 columns"),
    ],
)
def test_unusable_keys_are_refused(content: str, remedy: str, tmp_path: Path) -> None:
    path = text(tmp_path / "keys.txt", content)
    with pytest.raises(EvaluationError, match=remedy):
        read_keys(path)
    with pytest.raises(EvaluationError, match="no such key file; give a key file: a manifest"):
        read_keys(tmp_path / "none")


def test_an_attack_column_may_say_which_trials_are_bona_fide(tmp_path: Path) -> None:
    path = text(tmp_path / "k.csv", "file,speaker,attack\na,s,a00\nb,s,a07\n")
    rows = read_keys(path, bonafide_label="a00").to_pylist()
    assert [(row["bonafide"], row["attack"]) for row in rows] == [(True, "-"), (False, "a07")]


@pytest.mark.parametrize(
    ("scores", "keys", "way"),
    [
        (["a/1", "a/2"], ["a/1", "a/2"], "id"),
        (["1.flac", "2.WAV"], ["1", "2"], "id without suffix"),
        (["/data/1.flac", "/data/2.flac"], ["la/1", "la/2"], "file name"),
        (["jose\u0301", "rene\u0301"], ["jos\u00e9", "ren\u00e9"], "id in one Unicode form"),
        (
            ["m/jose\u0301", "n/jose\u0301"],
            ["m/jos\u00e9", "n/jos\u00e9"],
            "id in one Unicode form",
        ),
        (
            ["/m/a\u0308.wav", "/n/o\u0308.wav"],
            ["\u00e4", "\u00f6"],
            "file name in one Unicode form",
        ),
    ],
)
def test_names_are_matched_as_strictly_as_they_can(
    scores: list[str], keys: list[str], way: str
) -> None:
    joined = join(pa.table({"id": scores, "score": [1.0, 2.0]}), keyed(keys))
    assert joined.matched_by == way
    assert joined.table.column("score").to_pylist() == [1.0, 2.0]
    assert joined.table.column("id").to_pylist() == keys


def keyed(names: list[str]) -> pa.Table:
    return pa.table({"id": names, "bonafide": [True] * len(names)})


def test_names_that_become_one_are_not_matched_by_their_end() -> None:
    scores = pa.table({"id": ["x/1", "y/1"], "score": [1.0, 2.0]})
    with pytest.raises(EvaluationError, match=r"none of the 1 trials .*'z/1'.*give the keys of"):
        join(scores, keyed(["z/1"]))
    joined = join(scores, keyed(["x/1", "w/2"]))
    assert (joined.missing, joined.unknown) == (("w/2",), ("y/1",))
    assert joined.table.column("score").to_pylist() == [1.0, None]


def test_scores_and_keys_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    scores = text(tmp_path / "s.txt", "a - bonafide 1\nb A1 spoof 2\n")
    keys = text(tmp_path / "k.txt", "a spoof\nb bonafide\n")
    with pytest.raises(EvaluationError, match=r"'a' is bona fide.*spoofed.*one of the two"):
        read_with_keys(scores, Intake(keys=keys))


SCORED = [("a b", -1.5, True), ("ünï", 0.25, False), ("c,d", 3e-05, False), ("e", 12.0, True)]
CODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]


def sheet_of(names: Sequence[str], delimiter: str, decimal: str = ".") -> str:
    """A table with a header of four trials, a score and a label each."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(names)
    for name, score, human in SCORED:
        writer.writerow([name, str(score).replace(".", decimal), "real" if human else "fake"])
    return file.getvalue()


SHEETS: dict[str, str] = {
    "commas": sheet_of(["file", "score", "label"], ","),
    "semicolons": sheet_of(["file", "score", "label"], ";"),
    "decimal commas": sheet_of(["file", "score", "label"], ";", ","),
    "tabs": sheet_of(["file", "score", "label"], "\t"),
    "json": "".join(
        json.dumps({"windows": [{"x": 1}], "source": name, "score": score, "label": word}) + "\n"
        for name, score, word in ((row[0], row[1], "real" if row[2] else "fake") for row in SCORED)
    ),
}


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("kind", SHEETS)
def test_a_table_of_scores_is_read_in_any_writing(
    tmp_path: Path, kind: str, coding: str, end: str
) -> None:
    path = tmp_path / "scores"
    path.write_bytes(SHEETS[kind].replace("\n", end).encode(coding))
    assert rows_of(read(path)) == SCORED


def rows_of(scores: Scores) -> list[tuple[str, float, bool]]:
    columns = (scores.table.column(name).to_pylist() for name in ("id", "score", "bonafide"))
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_of_any_name_are_read_if_they_are_named(tmp_path: Path, delimiter: str) -> None:
    names = ["Clip No", "LLR (raw)", "Is It"]
    path = text(tmp_path / "scores", sheet_of(names, delimiter))
    columns = Columns(id=names[0], score=names[1], label=names[2])
    assert rows_of(read(path, columns=columns)) == SCORED
    with pytest.raises(EvaluationError, match=r"no column 'other' in its header \(Clip No, LLR"):
        read(path, columns=Columns(id=names[0], score="other"))
    table = pa.table(dict(zip(names, zip(*SCORED, strict=True), strict=True)))
    words = ["real" if human else "fake" for _, _, human in SCORED]
    table = table.set_column(2, names[2], [words])
    pq.write_table(table, tmp_path / "p.parquet")
    assert rows_of(read(tmp_path / "p.parquet", columns=columns)) == SCORED


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("spoof_logit", "bonafide_logit"), Columns()),
        (("score_fake", "score_real"), Columns()),
        (("out0", "out1"), Columns(score="out0, out1")),
    ],
)
def test_two_logits_are_one_score(tmp_path: Path, names: tuple[str, str], columns: Columns) -> None:
    lines = [f"file,{names[1]},label,{names[0]}"]
    lines += [
        f'"{name}",{score + 7},{"real" if human else "fake"},7' for name, score, human in SCORED
    ]
    path = text(tmp_path / "scores.csv", "\n".join(lines))
    scores = read(path, columns=columns)
    assert [row[0] for row in rows_of(scores)] == [row[0] for row in SCORED]
    assert [row[1] for row in rows_of(scores)] == pytest.approx([row[1] for row in SCORED])
    assert "bona fide (the second) minus spoof" in scores.notes[0]
    pq.write_table(
        pa.table(
            {
                "id": [r[0] for r in SCORED],
                names[1]: [r[1] + 7 for r in SCORED],
                names[0]: [7.0] * 4,
            }
        ),
        tmp_path / "scores.parquet",
    )
    other = read(tmp_path / "scores.parquet", columns=columns).table.column("score").to_pylist()
    assert other == pytest.approx([row[1] for row in SCORED])


@pytest.mark.parametrize("mark", [",", ";", "\t", " "])
def test_a_table_without_a_header_may_have_any_delimiter(tmp_path: Path, mark: str) -> None:
    path = text(
        tmp_path / "s.txt", "".join(f"{name}{mark}{n / 4}\n" for n, name in enumerate("abc"))
    )
    table = read(path).table
    assert table.column("id").to_pylist() == ["a", "b", "c"]
    assert table.column("score").to_pylist() == [0.0, 0.25, 0.5]
