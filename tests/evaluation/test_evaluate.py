"""Evaluation: from a bundle and a manifest to a score file, whatever happens on the way."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

import numpy as np
import pytest

from unheard import audio
from unheard.data import protocol as protocols  # not TestSet itself, which pytest would collect
from unheard.data.clip import Clip, Manifest
from unheard.data.protocol import Protocol, Selection
from unheard.data.protocols import PROTOCOLS
from unheard.detectors import bundle as bundles
from unheard.detectors import bundle_files, weights
from unheard.detectors.card import Card
from unheard.detectors.segment_point import SegmentPoint
from unheard.detectors.toy import Toy
from unheard.errors import EvaluationError, ManifestError
from unheard.evaluation.evaluate import Options, add_result, evaluate
from unheard.evaluation.scores import Facts, read_scores
from unheard.metrics import NEVER, Calibration, OperatingPoints
from unheard.scoring.many import Settings, Task, score_many
from unheard.scoring.scorer import Scorer
from unheard.scoring.verdict import Verdict

OPEN = PROTOCOLS["open"]
QUICK = Options(date="2026-11-22", n_draws=20)
PARTS = {"eval_in": "formant", "eval_out": "neural TTS"}
BROKEN, EMPTY = "eval_in-h4", "eval_out-s4"


def voice(rng: np.random.Generator, *, breathy: bool, duration_s: float = 1.5) -> np.ndarray:
    """Syllables of a buzzing or a breathy voice; `Toy` takes breath for bona fide."""
    t = np.arange(round(duration_s * 16_000)) / 16_000
    pitch_hz = rng.uniform(110, 200)
    buzz = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 25))
    wave = buzz + (0.8 if breathy else 0.05) * rng.standard_normal(t.size)
    syllables = np.clip(np.sin(2 * np.pi * 3 * t), 0.02, None)
    return np.asarray(0.15 * wave * syllables, np.float32)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than everything else; test_evaluate_report.py looks at pictures."""
    for name in ("calibration", "det", "histogram"):
        monkeypatch.setattr(f"unheard.evaluation.pictures.{name}", lambda *_: b"picture")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    root = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    clips: list[Clip] = []
    for part, family in PARTS.items():
        for label in "hs":
            for index in range(5):
                name = f"{part}-{label}{index}"
                clip = Clip(
                    id=name,
                    path=f"{name}.flac",
                    bonafide=label == "h",
                    part=part,
                    speaker=f"{label}{index % 2}",
                    language="en",
                    sha256=f"{len(clips):064d}",
                )
                if not clip.bonafide:
                    clip = replace(clip, attack=f"{family}-{index % 2}", family=family)
                clips.append(clip)
                samples = voice(rng, breathy=clip.bonafide)
                audio.write(root / clip.path, samples * (name != EMPTY))
    (root / f"{BROKEN}.flac").write_bytes(b"not audio at all")
    return Manifest.of(clips, root)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "toy", seen=["f" * 64])


def make_bundle(folder: Path, *, seen: list[str]) -> Path:
    card = Card(
        name="toy",
        version="1",
        window_s=1.0,
        hop_s=0.5,
        calibration=Calibration(2.0, 5.0),
        operating_points=OperatingPoints(0.0, -1.0, 1.0, -1.0, 1.0),
    )
    return weights.save(folder, Toy().build(), Toy(), card, seen=seen)


def rows(path: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in read_scores(path).to_pylist()}


def test_every_clip_has_the_score_that_the_scorer_gives(
    bundle: Path, manifest: Manifest, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    evaluate(bundle, manifest, OPEN, out, options=QUICK)
    scored = rows(out / "scores.parquet")
    assert list(scored) == [clip.id for clip in manifest]
    scorer = Scorer(bundles.load(bundle))
    for clip in manifest:
        row = scored[clip.id]
        assert (row["bonafide"], row["part"], row["family"], row["speaker"]) == (
            clip.bonafide,
            clip.part,
            clip.family,
            clip.speaker,
        )
        if clip.id not in (BROKEN, EMPTY):
            verdict = scorer.file(manifest.file(clip))
            assert row["score"] == verdict.score
            assert row["decision"] == verdict.decision
            assert row["duration_s"] == pytest.approx(1.5)
    assert not list(out.glob("*.partial"))


def test_where_labels_hold_segments_they_are_reported(
    bundle: Path, manifest: Manifest, tmp_path: Path
) -> None:
    bundles.set_segments(bundle, SegmentPoint(level=0.0, evidence=0.1))
    labelled = [
        replace(clip, notes={"segments": "-" if clip.bonafide else "0.0-1.5 spoof x"})
        for clip in manifest
    ]
    out = tmp_path / "out"
    result = evaluate(bundle, Manifest.of(labelled, manifest.root), OPEN, out, options=QUICK)
    scored = rows(out / "scores.parquet")
    called = {name for name, row in scored.items() if row["called"] not in ("", "[]")}
    assert called <= {name for name, row in scored.items() if row["decision"] == "spoof"}
    found = {(line.part, line.people): line for line in result.segments if line.by == "all"}
    assert set(found) == {(part, people) for part in PARTS for people in (True, False)}
    n_found = sum(not row["bonafide"] and name in called for name, row in scored.items())
    lines = [found[part, False] for part in PARTS]
    assert n_found > 0
    assert sum(line.metrics["found"].value * line.n_stretches for line in lines) == n_found
    assert "Which part is synthetic" in (out / "report.md").read_text()


def test_unreadable_clips_and_clips_without_verdict_are_listed_not_fatal(
    bundle: Path, manifest: Manifest, tmp_path: Path
) -> None:
    result = evaluate(bundle, manifest, OPEN, tmp_path / "out", options=QUICK)
    assert {name: status for name, status, _ in result.unscored} == {
        BROKEN: "unreadable",
        EMPTY: "no verdict",
    }
    assert all(reason for _, _, reason in result.unscored)
    assert (result.pooled("eval_in").n_bonafide, result.pooled("eval_in").n_spoof) == (4, 5)
    assert (result.pooled("eval_out").n_bonafide, result.pooled("eval_out").n_spoof) == (5, 4)
    assert BROKEN in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize("key", ["sha256", "id"])
def test_a_detector_is_not_tested_on_what_it_was_trained_on(
    key: str, manifest: Manifest, tmp_path: Path
) -> None:
    clip = manifest[3]
    trained = make_bundle(tmp_path / "trained", seen=[getattr(clip, key)])
    with pytest.raises(EvaluationError, match=rf"1 of the 20 .*{clip.id}; .*other clips"):
        evaluate(trained, manifest, OPEN, tmp_path / "out", options=QUICK)
    assert not (tmp_path / "out").exists()
    other = PROTOCOLS["open_in" if clip.part == "eval_out" else "open_out"]
    evaluate(trained, manifest, other, tmp_path / "out", options=QUICK)


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_clip_is_known_in_another_unicode_form(
    forms: tuple[Literal["NFC", "NFD"], Literal["NFC", "NFD"]], tmp_path: Path
) -> None:
    trained, asked = (normalize(form, "Mädchen/ñ_1") for form in forms)
    bundle = bundles.load(make_bundle(tmp_path / "trained", seen=[trained]))
    assert bundle.has_seen([asked, "Madchen/n_1", trained]).tolist() == [True, False, True]
    of_old = replace(
        bundle, _seen=bundle_files._hashed([trained])
    )  # as earlier versions wrote them
    assert of_old.has_seen([asked, "Madchen/n_1"]).tolist() == [True, False]


class Killed(BaseException):
    pass


def test_an_interrupted_evaluation_resumes_where_it_was(
    bundle: Path, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    evaluate(bundle, manifest, OPEN, whole, options=QUICK)
    score, asked = Scorer.file, []

    def file(self: Scorer, source: Path, **options: str) -> Verdict:
        asked.append(source.stem)
        if len(asked) == 13:
            raise Killed
        return score(self, source, **options)

    monkeypatch.setattr(Scorer, "file", file)
    with pytest.raises(Killed):
        evaluate(bundle, manifest, OPEN, out, options=QUICK)
    assert not (out / "scores.parquet").exists()
    with (out / "scores.partial").open("a") as stream:
        stream.write('{"id": "eval_in-h0", "sco')  # a line that was being written
    done = (out / "scores.partial").read_text().count("\n") - 1
    assert done == 12
    before = len(asked)
    evaluate(bundle, manifest, OPEN, out, options=QUICK)
    assert len(asked) - before == 20 - done + 1  # the unreadable clip is tried again
    for name in ("scores.parquet", "metrics.json", "report.md", "report.html"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_finished_evaluation_is_reported_again_without_the_audio(
    bundle: Path, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    lines: list[str] = []
    first = evaluate(bundle, manifest, OPEN, out, options=QUICK)
    monkeypatch.setattr(Scorer, "file", None)
    assert evaluate(bundle, manifest, OPEN, out, say=lines.append, options=QUICK) == first
    assert "is complete" in lines[0]


def test_an_evaluation_of_nothing_is_not_finished_and_can_be_fixed(
    bundle: Path, manifest: Manifest, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    moved = Manifest(manifest.table, tmp_path / "elsewhere")
    with pytest.raises(EvaluationError, match=r"none of the 20 clips .*lies in .*elsewhere"):
        evaluate(bundle, moved, OPEN, out, options=QUICK)
    assert not (out / "scores.parquet").exists()
    result = evaluate(bundle, manifest, OPEN, out, options=QUICK)  # the same clips, found now
    assert [name for name, _, _ in result.unscored] == [BROKEN, EMPTY]


@pytest.mark.parametrize("finished", [True, False])
def test_scores_of_another_evaluation_are_not_mixed_in(
    finished: bool, bundle: Path, manifest: Manifest, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    evaluate(bundle, manifest, OPEN, out, options=QUICK)
    if not finished:
        (out / "scores.parquet").unlink()
        (out / "scores.partial").write_text('{"key": "another"}\n')
    smaller = manifest.where(np.arange(20) != 0)
    with pytest.raises(EvaluationError, match="choose another --out"):
        evaluate(bundle, smaller, OPEN, out, options=QUICK)


def test_a_decoder_that_crashes_costs_one_clip(
    bundle: Path, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crashing(tasks: list[Task], _: object, *, n_jobs: int) -> Iterator[dict[str, Any]]:
        assert n_jobs == 2  # tests/scoring/test_many.py shows that a process may die
        rows = score_many(tasks, Settings(bundle))
        died = {"source": tasks[3].source, "error": "the process that scored it died"}
        verdicts = [died if row["source"] == died["source"] else row for row in rows]
        yield from reversed(verdicts)  # processes are done in any order

    monkeypatch.setattr("unheard.evaluation.evaluate.score_many", crashing)
    result = evaluate(bundle, manifest, OPEN, tmp_path / "out", jobs=2, options=QUICK)
    assert [reason for _, _, reason in result.unscored if "died" in reason]
    assert list(rows(tmp_path / "out" / "scores.parquet")) == [clip.id for clip in manifest]


def test_clips_of_several_corpora_are_kept_apart_and_averaged(
    bundle: Path, manifest: Manifest, tmp_path: Path
) -> None:
    """Two manifests; a clip that both test sets hold is scored once and counts in both."""
    parts = manifest.column("part")
    named = [replace(clip, corpus=clip.part, notes={"room": clip.speaker[1]}) for clip in manifest]
    clips = Manifest.of(named, manifest.root)
    a, b = (clips.where(parts == part) for part in PARTS)
    shared = next(clip for clip in a if clip.bonafide and clip.id != BROKEN)
    b = Manifest.of([*b, shared], manifest.root)
    protocol = Protocol(
        "two", tuple(protocols.TestSet(part, (Selection(corpus=part),)) for part in PARTS)
    )
    result = evaluate(bundle, [a, b], protocol, tmp_path / "out", options=QUICK)
    assert result.parts == tuple(sorted(PARTS))
    mean = next(average for average in result.averages if average.over == "set")
    assert mean.mean == np.mean([result.pooled(part).metrics["eer"].value for part in PARTS])
    scored = rows(tmp_path / "out" / "scores.parquet")
    twin = scored[f"{shared.id}@eval_out"]
    assert (twin["part"], twin["score"]) == ("eval_out", scored[shared.id]["score"])
    assert twin["room"] == shared.notes["room"]
    with pytest.raises(EvaluationError, match="corpus import eval_out FOLDER"):
        evaluate(bundle, a, protocol, tmp_path / "other", options=QUICK)
    some = replace(QUICK, allow_missing_sets=True)
    assert evaluate(bundle, a, protocol, tmp_path / "some", options=some).parts == ("eval_in",)


def test_results_go_into_the_card_and_scores_stay_valid(
    bundle: Path, manifest: Manifest, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = evaluate(bundle, manifest, OPEN, out, options=replace(QUICK, into_card=True))
    results = bundles.read_card(bundle).results
    assert [(line.protocol, line.group, line.language) for line in results] == [
        ("open/eval_in", "all", ""),
        ("open/eval_out", "all", ""),
        ("open/eval_in", "formant", ""),
        ("open/eval_out", "neural TTS", ""),
        ("open/eval_in", "all", "en"),
        ("open/eval_out", "all", "en"),
    ]
    assert results[0].eer == result.pooled("eval_in").metrics["eer"].value
    assert results[0].date == "2026-11-22"
    # The card's hash has moved, the detector has not: the same folder is still good.
    assert evaluate(bundle, manifest, OPEN, out, options=QUICK).rows == result.rows
    add_result(bundle, result)
    assert len(bundles.read_card(bundle).results) == 6


def test_the_report_states_what_was_done(bundle: Path, manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = "unheard evaluate toy --protocol open --out out"
    evaluate(bundle, manifest, OPEN, out, options=replace(QUICK, command=command))
    text, numbers = (out / "report.md").read_text(), json.loads((out / "metrics.json").read_text())
    loaded = bundles.load(bundle)
    for stated in (
        "toy 1",
        loaded.sha256,
        loaded.card.files["weights.safetensors"],
        manifest.sha256(),
        "2026-11-22",
        command,
    ):
        assert stated in text
    assert numbers["facts"]["manifest_sha256"] == manifest.sha256()
    assert numbers["facts"]["thresholds"] == [-1.0, 1.0]


def test_a_protocol_may_take_every_clip_and_a_missing_part_is_named(
    bundle: Path, manifest: Manifest, tmp_path: Path
) -> None:
    evaluate(bundle, manifest, PROTOCOLS["all"], tmp_path / "all", options=QUICK)
    assert len(rows(tmp_path / "all" / "scores.parquet")) == 20
    with pytest.raises(ManifestError, match="did you mean 'eval_in'"):
        evaluate(bundle, manifest, Protocol.of_parts("mine", ["eval_inn"]), tmp_path / "x")


def test_without_a_class_no_report_is_made_up(
    bundle: Path, manifest: Manifest, tmp_path: Path
) -> None:
    humans = manifest.where(manifest.column("bonafide").astype(bool))
    with pytest.raises(EvaluationError, match="choose another protocol"):
        evaluate(bundle, humans, OPEN, tmp_path / "out", options=QUICK)
    assert (tmp_path / "out" / "scores.parquet").is_file()


def test_protocols_are_listed_under_their_names() -> None:
    assert all(name == protocol.name for name, protocol in PROTOCOLS.items())


def test_imported_weights_are_not_called_calibrated() -> None:
    unknown = {"balanced": 0.0, "false_alarm_1pct": -NEVER, "miss_1pct": NEVER}
    assert not Facts(bundle="imported 1", operating_points=unknown).calibrated
    assert Facts(bundle="trained 1", operating_points={"balanced": 0.3}).calibrated
