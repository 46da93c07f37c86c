"""The corpus in the repository is whole, small, of clean licences, and passes its own check."""

from pathlib import Path

import pytest

from unheard.corpora.open import CheckReport, check
from unheard.data.clip import PARTS, Manifest

TINY = Path(__file__).parents[2] / "tiny"


@pytest.fixture(scope="module")
def tiny() -> Manifest:
    return Manifest.read(TINY / "equalised.parquet")


@pytest.fixture(scope="module")
def report(tiny: Manifest) -> CheckReport:
    return check(tiny)


def test_every_part_holds_both_labels(tiny: Manifest) -> None:
    for part in PARTS:
        assert {clip.bonafide for clip in tiny.part(part)} == {True, False}


def test_real_speech_passes_the_check_with_every_hash_compared(report: CheckReport) -> None:
    assert not report.failed, report.render()
    assert report.findings == ("no probe was trained: 11 clips in train, at least 40 are needed",)
    assert sum(map(sum, report.counts.values())) == 38


def test_the_check_measures_what_was_equalised(report: CheckReport) -> None:
    cues = {(row.cue, row.part): row for row in report.cue_rows}
    for part in PARTS:
        for spread in (cues["lead_s", part].bonafide, cues["lead_s", part].spoof):
            assert spread[2] < 0.3
        assert cues["zeros", part].spoof[2] < 0.01
        assert cues["rate_hz", part].bonafide == cues["rate_hz", part].spoof


def test_held_out_families_are_in_eval_out_only(tiny: Manifest) -> None:
    families = {part: {clip.family for clip in tiny.part(part)} - {"-"} for part in PARTS}
    seen = families["train"] | families["dev"] | families["eval_in"]
    assert families["eval_out"].isdisjoint(seen)
    assert "neural TTS" in families["eval_out"]


def test_a_copy_is_in_the_part_of_its_recording(tiny: Manifest) -> None:
    part_of = {clip.id: clip.part for clip in tiny if clip.bonafide}
    copies = [clip for clip in tiny if clip.source_clip]
    assert copies
    assert all(part_of[clip.source_clip] == clip.part for clip in copies)


def test_licences_are_clean_and_noticed(tiny: Manifest) -> None:
    text = (TINY / "NOTICE.md").read_text("utf-8")
    for clip in tiny:
        assert clip.licence.startswith(("CC-BY-", "BSD-like", "Apache-2.0"))
        assert (clip.attack if not clip.bonafide else clip.id).split("/")[0].split("-")[0] in text


def test_it_stays_small_and_lists_every_file(tiny: Manifest) -> None:
    listed = {tiny.file(clip) for clip in tiny}
    assert listed == set((TINY / "equalised").iterdir())
    assert sum(path.stat().st_size for path in TINY.rglob("*") if path.is_file()) < 2_000_000
