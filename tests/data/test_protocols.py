"""Protocols as values, several manifests, and leaving a family out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unheard.corpora import CORPORA
from unheard.data import protocol as protocols  # not TestSet itself, which pytest would collect
from unheard.data.clip import Clip, Manifest
from unheard.data.hold_out import held_out_values, leave_one_out
from unheard.data.protocol import Protocol, Selection, gathered, moved
from unheard.data.protocols import PROTOCOLS, protocol
from unheard.errors import EvaluationError, ManifestError, RecipeError

ROOT = Path("/corpora")


def manifest(name: str, rows: str, *, root: Path = ROOT) -> Manifest:
    """One clip a word: part:attack, "-" for bona fide, with codec and corpus after @ and %."""
    clips = []
    for index, word in enumerate(rows.split()):
        word, _, corpus = word.partition("%")
        word, _, codec = word.partition("@")
        part, attack = word.split(":")
        clip = Clip(
            id=f"{corpus or name}/{index}",
            path=f"{index}.flac",
            bonafide=attack == "-",
            part=part,
            attack=attack,
            family=attack[:1],
            speaker=f"{name}/{part}{index % 2}",
            corpus=corpus or name,
            codec=codec,
            notes={"source": "vcc"} if index % 2 else {},
        )
        clips.append(clip)
    return Manifest.of(clips, root)


SELECTIONS = [
    pytest.param(selection, id=f"{known.name}: {selection}")
    for known in PROTOCOLS.values()
    for selection in (
        *known.train,
        *known.dev,
        *(s for test in known.tests for s in test.selections),
    )
    if selection.corpus
]


@pytest.mark.parametrize("selection", SELECTIONS)
def test_corpora_and_parts_of_every_protocol_exist(selection: Selection) -> None:
    assert selection.corpus in CORPORA
    known = CORPORA[selection.corpus].parts
    assert not known or set(selection.parts) <= set(known)


def test_every_protocol_says_what_it_is_and_every_paper_what_is_not_known() -> None:
    for name, known in PROTOCOLS.items():
        assert known.name == name
        assert known.summary.endswith(".")
        names = [test.name for test in known.tests]
        assert len(set(names)) == len(names)
        assert set(known.mean_over) <= {test.column or test.name for test in known.tests}
        if known.train and name != "dropin_pa":
            assert "nferred" in known.summary or "not known" in known.summary
    assert len(PROTOCOLS["mldg_lora"].columns()) == 6
    assert len(PROTOCOLS["moe_lora"].columns()) == 5
    columns = PROTOCOLS["racl"].columns()
    assert len(columns) == 5
    assert len(columns["codecfake_xie"]) == 7


def test_a_test_set_is_a_corpus_with_the_human_speech_next_to_it() -> None:
    fakes = manifest("wavefake", "all:g1 all:g2 all:-%ljspeech")
    other = manifest("in_the_wild", "all:- all:a1")
    whole = Selection(corpus="wavefake")
    assert whole.mask(fakes).tolist() == [True, True, True]
    assert not whole.mask(other).any()


def test_a_selection_takes_parts_and_values_of_columns_and_notes() -> None:
    clips = manifest("df", "eval:a1@mp3 eval:a2@none hidden:a1@none eval:-@none")
    clean = Selection(corpus="df", parts=("eval",), where={"codec": ("none",)})
    chosen = gathered([clean], [clips])
    assert [(c.part, c.codec) for c in chosen] == [("eval", "none")] * 2
    noted = Selection(where={"source": ("vcc",)})
    assert [clip.notes for clip in gathered([noted], [clips])] == [{"source": "vcc"}] * 2
    assert str(clean) == "df part eval codec none"


PAPER = Protocol(
    "paper",
    (
        protocols.TestSet("one", (Selection(corpus="a", parts=("eval",)),)),
        protocols.TestSet("two", (Selection(corpus="b"),)),
    ),
)


def test_test_sets_of_several_manifests_become_parts_and_shared_clips_come_twice() -> None:
    a = manifest("a", "eval:x1 train:x1 eval:-%lj", root=Path("/one"))
    b = manifest("b", "all:y1", root=Path("/two"))
    shared = replace(a[len(a) - 1], part="all")
    assert shared.corpus == "lj"
    b = Manifest.of([*b, shared], Path("/two"))
    chosen = PAPER.chosen([a, b])
    rows = {clip.id: (clip.part, str(chosen.file(clip))) for clip in chosen}
    assert rows == {
        "a/0": ("one", "/one/0.flac"),
        "lj/2": ("one", "/one/2.flac"),
        "b/0": ("two", "/two/0.flac"),
        "lj/2@two": ("two", "/two/2.flac"),
    }


def test_missing_corpora_are_listed_with_how_to_get_them() -> None:
    a = manifest("a", "eval:x1 eval:-")
    with pytest.raises(
        EvaluationError, match=r"lacks b: .*corpus import b FOLDER.*--data"
    ) as error:
        PAPER.chosen([a])
    assert "a part eval" not in str(error.value)
    assert set(PAPER.chosen([a], allow_missing=True).column("part")) == {"one"}
    with pytest.raises(EvaluationError, match="--allow-missing-sets"):
        PAPER.chosen([manifest("c", "eval:x1")], allow_missing=True)


def test_a_part_without_a_corpus_is_suggested() -> None:
    with pytest.raises(ManifestError, match="did you mean 'eval_in'"):
        Protocol.of_parts("mine", ["eval_inn"]).chosen([manifest("a", "eval_in:x1")])
    with pytest.raises(RecipeError, match="did you mean 'mldg_lora'"):
        protocol("mldg-lora")


def test_moved_clips_are_found_from_where_the_manifest_lies(tmp_path: Path) -> None:
    corpus_folder, lists_folder = tmp_path / "corpus", tmp_path / "lists" / "deep"
    clips = manifest("a", "eval:x1", root=corpus_folder)
    assert moved(clips, lists_folder)[0].path == "../../corpus/0.flac"
    assert moved(clips, None).file(clips[0]).is_absolute() or moved(clips, None)[0].path.startswith(
        "/"
    )
    assert moved(clips, corpus_folder)[0].path == "0.flac"


OPEN = (
    "train:A1 train:B1 train:- train_extra:C1 dev:A2 dev:B1 dev:- dev_extra:C1 "
    "eval_in:A3 eval_in:B2 eval_in:- eval_out:C2 eval_out:C3 eval_out:- eval_out:D1"
)


@pytest.mark.parametrize("value", ["A", "B", "C"])
def test_a_held_out_family_is_in_no_clip_of_train_and_dev_but_in_the_test(value: str) -> None:
    left = leave_one_out(manifest("open", OPEN), by="family", value=value)
    families = {
        part: {clip.family for clip in left if clip.part == part}
        for part in ("train", "dev", "eval_in", "eval_out")
    }
    others = {"A", "B", "C"} - {value}
    assert families["train"] == others | {"-"}
    assert families["dev"] == others | {"-"}
    assert families["eval_in"] == others | {
        "-"
    }  # D is nowhere in train: neither known nor held out
    assert families["eval_out"] == {value, "-"}


@pytest.mark.parametrize("value", ["B", "E"])
def test_twins_are_never_tested_on_and_no_family_to_hold_out(value: str) -> None:
    """Of E there are only training and dev clips, so half of the speakers of dev are tested on."""
    clips = list(manifest("open", f"{OPEN} train:E1 dev:- dev:- dev:E1 dev:E2 dev:A1 dev:A2"))
    twins = [
        replace(
            clip,
            id=f"{clip.id}~twin",
            bonafide=False,
            attack="echo",
            family="reconstruction",
            source_clip=clip.id,
        )
        for clip in clips
        if clip.part in ("train", "dev")
    ]
    plain, whole = (Manifest.of(table, ROOT) for table in (clips, [*clips, *twins]))
    assert held_out_values(whole, "family") == held_out_values(plain, "family")
    without, left = (leave_one_out(table, by="family", value=value) for table in (plain, whole))
    for part in ("eval_in", "eval_out"):
        ids = [{clip.id for clip in table if clip.part == part} for table in (without, left)]
        assert ids[0] == ids[1]
    assert any(clip.family == "reconstruction" for clip in left)


def test_speakers_and_recordings_of_a_test_are_not_trained_on() -> None:
    clips = list(manifest("open", OPEN))
    test = next(clip for clip in clips if clip.part == "eval_in" and clip.bonafide)
    voice = next(clip for clip in clips if clip.part == "train" and clip.attack == "A1")
    copy = replace(
        next(clip for clip in clips if clip.part == "train" and clip.attack == "B1"),
        id="copy",
        source_clip=test.id,
    )
    clips[clips.index(voice)] = replace(voice, speaker=test.speaker)
    left = leave_one_out(Manifest.of([*clips, copy], ROOT), by="attack", value="C2")
    ids = {clip.id for clip in left if clip.part in ("train", "dev")}
    assert not {voice.id, "copy"} & ids
    tested = {clip.speaker for clip in left if clip.part.startswith("eval")}
    assert not tested & {clip.speaker for clip in left if clip.id in ids}


def test_a_family_without_test_clips_takes_speakers_of_dev() -> None:
    rows = (
        "train:A1 train:B1 train:- "
        + "dev:A1 dev:A1 dev:B1 dev:B1 dev:- dev:- " * 2
        + "eval:- eval:Z1"
    )
    left = leave_one_out(manifest("la", rows), by="family", value="B")
    parts = {
        part: [clip for clip in left if clip.part == part] for part in ("dev", "eval_out", "train")
    }
    assert {clip.family for clip in parts["eval_out"]} == {"B", "-"}
    assert {clip.family for clip in parts["dev"]} == {"A", "-"}
    assert not {c.speaker for c in parts["dev"]} & {c.speaker for c in parts["eval_out"]}


def test_bona_fide_clips_of_one_eval_part_serve_both_tests() -> None:
    rows = "train:A1 train:B1 train:- dev:A1 dev:B1 dev:- " + "eval:- eval:- eval:A1 eval:B1 " * 3
    left = leave_one_out(manifest("la", rows), by="family", value="B")
    for part in ("eval_in", "eval_out"):
        assert any(clip.bonafide for clip in left if clip.part == part)


@pytest.mark.parametrize(
    ("rows", "value", "remedy"),
    [
        (OPEN, "E", r"no spoofed clip has family 'E'; known: A, B, C, D"),
        ("train:A1 dev:A1 eval:A1 eval:-", "A", "names 1 family .*give a corpus that tells"),
        ("all:A1 all:B1 all:-", "A", r"no bona fide clip is left for train.*parts train, dev and"),
    ],
)
def test_what_cannot_be_held_out_is_refused(rows: str, value: str, remedy: str) -> None:
    with pytest.raises(ManifestError, match=remedy):
        leave_one_out(manifest("la", rows), by="family", value=value)


def test_each_family_can_be_listed() -> None:
    assert held_out_values(manifest("open", OPEN), "family") == ["A", "B", "C", "D"]
    assert np.all(np.array(held_out_values(manifest("open", OPEN), "attack")) != "-")
