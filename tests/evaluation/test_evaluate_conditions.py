"""Evaluation under conditions and of samples: the same clips, the same code, whatever happens."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unheard import audio
from unheard.audio.conditions import CONDITIONS
from unheard.data import protocol as protocols  # not TestSet itself, which pytest would collect
from unheard.data.clip import Clip, Manifest
from unheard.data.protocol import Protocol, Selection
from unheard.data.protocols import PROTOCOLS
from unheard.data.sample import sampled
from unheard.detectors import bundle as bundles
from unheard.detectors import weights
from unheard.detectors.card import Card, parse_results
from unheard.detectors.toy import Toy
from unheard.errors import RecipeError
from unheard.evaluation.evaluate import Options, evaluate
from unheard.evaluation.report import report
from unheard.evaluation.scores import read_facts, read_scores
from unheard.metrics import Calibration, OperatingPoints
from unheard.scoring.many import Task, score_many
from unheard.scoring.scorer import Scorer
from unheard.scoring.verdict import Verdict
from unheard.types import FloatArray
from voice import FakeSettings, voice

OPEN = PROTOCOLS["open"]
NAMES = ("raw", "noise_10", "trim_1s", "speed_1.1")
QUICK = Options(date="2026-11-22", n_draws=20, conditions=NAMES)
SHORT = "eval_in-h0"


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("calibration", "conditions", "det", "histogram"):
        monkeypatch.setattr(f"unheard.evaluation.pictures.{name}", lambda *_: b"picture")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Three clips of each class in two parts; one of them is too short once it plays faster."""
    root = tmp_path_factory.mktemp("corpus")
    clips: list[Clip] = []
    for part in ("eval_in", "eval_out"):
        for index in range(6):
            bonafide = index < 3
            name = f"{part}-{'h' if bonafide else 's'}{index % 3}"
            attack: dict[str, Any] = (
                {} if bonafide else {"attack": f"a{index}", "family": "formant"}
            )
            path = f"{name}.flac"
            clip = Clip(id=name, path=path, bonafide=bonafide, part=part, **attack)
            wave = voice(0.61 if name == SHORT else 2.0, seed=len(clips))
            audio.write(root / path, wave if bonafide else np.tanh(5 * wave) / 3)
            clips.append(replace(clip, notes={"mood": "calm"}))
    return Manifest.of(clips, root)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    card = Card(
        name="toy",
        version="1",
        window_s=0.5,
        hop_s=0.5,
        calibration=Calibration(2.0, 5.0),
        operating_points=OperatingPoints(0.0, -1.0, 1.0, -1.0, 1.0),
    )
    folder = tmp_path_factory.mktemp("detector") / "toy"
    return weights.save(folder, Toy().build(), Toy(), card, seen=[])


@pytest.fixture(scope="module")
def done(bundle: Path, manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("done")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("calibration", "conditions", "det", "histogram"):
            patch.setattr(f"unheard.evaluation.pictures.{name}", lambda *_: b"picture")
        evaluate(bundle, manifest, OPEN, out, options=QUICK)
    return out


def rows(out: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in read_scores(out / "scores.parquet").to_pylist()}


def test_every_clip_is_scored_as_it_comes_under_each_condition(
    bundle: Path, manifest: Manifest, done: Path
) -> None:
    scorer, scored = Scorer(bundles.load(bundle)), rows(done)
    assert len(scored) == len(manifest) * len(NAMES)
    for clip in manifest:
        wave = audio.read(manifest.file(clip)).samples
        for name in NAMES:
            row = scored[clip.id if name == "raw" else f"{clip.id}@{name}"]
            verdict = scorer.samples(CONDITIONS[name](wave, clip.id))
            assert (row["score"], row["decision"]) == (
                (verdict.score, verdict.decision) if verdict.score is not None
                else (pytest.approx(np.nan, nan_ok=True), "")
            )  # fmt: skip
            assert (row["condition"], row["part"], row["mood"]) == (name, clip.part, "calm")
            assert row["duration_s"] == pytest.approx(verdict.duration_s)
    assert read_facts(done / "scores.parquet").conditions == NAMES


def test_the_usual_report_is_that_of_the_clips_as_they_are(
    bundle: Path, manifest: Manifest, done: Path, tmp_path: Path
) -> None:
    plain = evaluate(bundle, manifest, OPEN, tmp_path, options=replace(QUICK, conditions=()))
    assert not plain.conditions
    assert "condition" not in read_scores(tmp_path / "scores.parquet").column_names
    numbers = json.loads((done / "metrics.json").read_text())
    alone = json.loads((tmp_path / "metrics.json").read_text())
    assert {name for name in alone if alone[name] != numbers[name]} == {
        "conditions",
        "facts",
    }
    text, text_alone = ((out / "report.md").read_text() for out in (done, tmp_path))
    start, end = text.index("## Under conditions"), text.index("## Clips")
    known = {line for line in text_alone.splitlines() if "sha256" not in line}
    assert known <= set((text[:start] + text[end:]).splitlines())
    assert not (tmp_path / "conditions.png").exists()
    assert 'alt="EER of each part under each condition' in (done / "report.html").read_text()


def test_a_card_gets_each_condition_and_language_once(done: Path, tmp_path: Path) -> None:
    lines = report(done / "scores.parquet", tmp_path, n_draws=20).results()
    under = [line for line in lines if line.get("condition")]
    keys = [(line["protocol"], line["condition"]) for line in under]
    assert keys == [
        (f"open/{part}", name) for part in ("eval_in", "eval_out") for name in NAMES[1:]
    ]
    parse_results(lines)
    assert set(under[0]["metrics"]) >= {"undecided", "bonafide_as_spoof"}
    assert not any(line.get("condition") and line.get("group", "all") != "all" for line in lines)


def test_clips_without_verdict_are_counted_and_the_others_compared(done: Path) -> None:
    by_condition = {
        (row["part"], row["condition"]): row
        for row in json.loads((done / "metrics.json").read_text())["conditions"]
    }
    parts = ("eval_in", "eval_out")
    assert list(by_condition) == [(part, name) for part in parts for name in NAMES]
    assert rows(done)[SHORT]["status"] == "scored"
    assert rows(done)[f"{SHORT}@speed_1.1"]["status"] == "no verdict"
    short = by_condition["eval_in", "speed_1.1"]
    assert (short["n_bonafide"], short["n_spoof"], short["n_unscored"]) == (2, 3, 1)
    assert (short["n_shared"], by_condition["eval_in", "noise_10"]["n_shared"]) == (5, 6)
    assert "| speed_1.1 \\* | 5 | 1 |" in (done / "report.md").read_text().replace(" * ", " \\* ")


def test_the_usual_pictures_are_of_the_clips_as_they_are(
    manifest: Manifest, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def draw(table: Any, _: Any) -> bytes:
        drawn.append(table.num_rows)
        return b"picture"

    for name in ("calibration", "det", "histogram"):
        monkeypatch.setattr(f"unheard.evaluation.pictures.{name}", draw)
    report(done / "scores.parquet", tmp_path, n_draws=20)
    assert drawn == [len(manifest)] * 3


class Killed(BaseException):
    pass


def test_an_interrupted_evaluation_resumes_under_the_next_condition(
    bundle: Path, manifest: Manifest, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, asked = Scorer.samples, []

    def samples(self: Scorer, wave: FloatArray, *, name: str) -> Verdict:
        asked.append(name)
        if len(asked) == 7:
            raise Killed
        return score(self, wave, name=name)

    monkeypatch.setattr(Scorer, "samples", samples)
    with pytest.raises(Killed):
        evaluate(bundle, manifest, OPEN, tmp_path, options=QUICK)
    evaluate(bundle, manifest, OPEN, tmp_path, options=QUICK)
    assert len(asked) == len(manifest) * 3 + 1
    assert len(set(asked)) == len(manifest) * 3
    for name in ("scores.parquet", "metrics.json", "report.md", "report.html"):
        assert (tmp_path / name).read_bytes() == (done / name).read_bytes(), name


def test_scores_under_other_conditions_are_another_evaluation(
    bundle: Path, manifest: Manifest, tmp_path: Path
) -> None:
    keys = set()
    for index, conditions in enumerate([(), ("raw", "noise_10"), ("raw", "noise_20")]):
        out = tmp_path / str(index)
        few = replace(QUICK, conditions=conditions, sample=4)
        evaluate(bundle, manifest, OPEN, out, options=few)
        keys.add(read_facts(out / "scores.parquet").key)
    assert len(keys) == 3


@pytest.mark.parametrize("names", [("noise_10",), ("noise_10", "raw")])
def test_options_want_raw_first(names: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError, match="named_conditions"):
        Options(conditions=names)
    with pytest.raises(RecipeError, match="did you mean 'noise_15'"):
        Options(conditions=("raw", "noise_1"))


def test_a_clip_of_two_test_sets_is_changed_once(
    bundle: Path, manifest: Manifest, tmp_path: Path
) -> None:
    sets = tuple(
        protocols.TestSet(name, (Selection(parts=("eval_in",)),)) for name in ("one", "two")
    )
    options = replace(QUICK, conditions=("raw", "noise_10"))
    evaluate(bundle, manifest, Protocol("twice", sets), tmp_path, options=options)
    scored = rows(tmp_path)
    clip = scored["eval_in-h1@noise_10"]
    twin = scored["eval_in-h1@two@noise_10"]
    assert (clip["part"], twin["part"]) == ("one", "two")
    assert clip["score"] == twin["score"] != scored["eval_in-h1"]["score"]
    compared = ("id", "score", "decision", "duration_s", "status", "reason")
    first = [row for row in scored.values() if row["part"] == "one"]
    half = [{name: row[name] for name in compared} for row in first]
    lines = [{"key": read_facts(tmp_path / "scores.parquet").key}, *half]  # killed between two rows
    (tmp_path / "scores.partial").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "scores.parquet").unlink()
    evaluate(bundle, manifest, Protocol("twice", sets), tmp_path, options=options)
    assert rows(tmp_path) == scored


def test_a_task_may_change_its_samples_in_other_processes_too(manifest: Manifest) -> None:
    file, settings = manifest.file(manifest[1]), FakeSettings(Path())
    faster = partial(CONDITIONS["speed_1.1"], clip_id="clip")
    tasks = [Task("as it is", file), Task("faster", file, change=faster)]
    alone = {row["source"]: row for row in score_many(tasks, settings)}
    many = {row["source"]: row for row in score_many(tasks, settings, n_jobs=2)}
    assert many == alone
    ratio = alone["as it is"]["duration_s"] / alone["faster"]["duration_s"]
    assert ratio == pytest.approx(1.1, rel=1e-3)


def corpus(n_clips: int = 300) -> Manifest:
    clips = []
    for index in range(n_clips):
        attack = ("-", "a", "a", "b", "rare")[index % 5] if index % 50 else "rarest"
        family = "-" if attack == "-" else f"f-{attack[:4]}"
        clips.append(
            Clip(
                id=f"{index:04d}",
                path="x",
                bonafide=attack == "-",
                part=("p", "q")[index % 3 == 0],
                attack=attack,
                family=family,
                speaker=str(index % 7),
            )
        )
    return Manifest.of(clips, Path())


def test_a_sample_is_spread_evenly_over_part_class_family_and_attack() -> None:
    sample = sampled(corpus(), 48)
    assert len(sample) == 48
    kinds = [(clip.part, clip.bonafide) for clip in sample]
    assert {kinds.count(kind) for kind in kinds} == {12}
    for part in "pq":
        attacks = [clip.attack for clip in sample if clip.part == part and not clip.bonafide]
        assert {attacks.count(name) for name in ("a", "b")} == {4}
        assert attacks.count("rare") + attacks.count("rarest") == 4  # one family
        speakers = [clip.speaker for clip in sample if clip.part == part and clip.bonafide]
        assert max(speakers.count(name) for name in speakers) <= 2


def test_a_smaller_sample_is_part_of_a_larger_one_in_any_order() -> None:
    whole = corpus()
    small, large = ({clip.id for clip in sampled(whole, n)} for n in (20, 90))
    assert len(small) == 20
    assert small < large
    turned = Manifest(whole.table.take(list(range(len(whole)))[::-1]), whole.root)
    assert {clip.id for clip in sampled(turned, 20)} == small
    assert len(sampled(whole, 1000)) == len(whole)


def test_the_report_says_that_it_stands_on_a_sample(
    bundle: Path, manifest: Manifest, tmp_path: Path
) -> None:
    few = replace(QUICK, conditions=(), sample=8)
    result = evaluate(bundle, manifest, OPEN, tmp_path, options=few)
    assert [row.n_bonafide for row in result.rows if row.by == "all"] == [2, 2, 4]
    assert "a sample of 8 of the 12 clips of the protocol" in (tmp_path / "report.md").read_text()
    everything = evaluate(bundle, manifest, OPEN, tmp_path / "all", options=replace(few, sample=12))
    assert not everything.facts.notes
