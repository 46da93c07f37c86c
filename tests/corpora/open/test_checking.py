"""A check finds broken files, leaks and planted cues, and passes what is honest."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unheard import audio
from unheard.corpora.open import check
from unheard.corpora.open.checking import leaks
from unheard.corpora.open.packages import sha256_of
from unheard.corpora.open.probe import N_BANDS, Cues, run_probe
from unheard.data.clip import Clip, Manifest
from unheard.errors import CorpusError


def corpus(folder: Path, *, spoof_level: float = 0.1, n_each: int = 30) -> Manifest:
    """Noise of one kind under both labels; only the level of the spoofed clips may differ."""
    rng = np.random.default_rng(0)
    clips = []
    for part in ("train", "eval_in"):
        for n in range(2 * n_each):
            bonafide = n % 2 == 0
            level = (0.1 if bonafide else spoof_level) * rng.uniform(0.7, 1.3)
            path = folder / f"{part}-{n}.flac"
            length = int(rng.integers(6000, 9000))
            audio.write(path, (level * rng.normal(0, 1, length)).clip(-1, 1).astype(np.float32))
            clips.append(
                Clip(
                    id=path.stem,
                    path=path.name,
                    bonafide=bonafide,
                    part=part,
                    attack="-" if bonafide else "x",
                    family="-" if bonafide else "formant",
                    speaker=f"{part}-{n}",
                    language="en",
                    sha256=sha256_of(path),
                    text=f"{part} says {n}",
                    codec="pcm",
                )
            )
    return Manifest.of(clips, folder)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus(tmp_path_factory.mktemp("honest"))


def changed(manifest: Manifest, clip_id: str, **values: str) -> Manifest:
    clips = [replace(c, **values) if c.id == clip_id else c for c in manifest]  # type: ignore[arg-type]
    return Manifest.of(clips, manifest.root)


def test_an_honest_corpus_passes_with_its_probes_at_chance(honest: Manifest) -> None:
    report = check(honest)
    assert not report.failed
    assert report.counts == {"train": (30, 30), "eval_in": (30, 30)}
    assert all(result.low <= 0.6 and result.high >= 0.4 for result in report.probes)
    assert {result.part for result in report.probes} == {"eval_in"}
    text = report.render()
    assert text.endswith("passed\n")
    assert "chance is 50 %" in text
    assert report.to_dict()["failed"] is False


def test_a_planted_cue_is_found_and_reported(tmp_path: Path) -> None:
    report = check(corpus(tmp_path, spoof_level=0.3))
    probe = next(result for result in report.probes if result.name == "length, level, silence")
    assert probe.eer < 0.1
    assert any("quote this number next to every result" in line for line in report.findings)
    level = next(r for r in report.cue_rows if r.cue == "level_db" and r.part == "eval_in")
    assert level.distance > 0.9
    assert not report.failed


def test_a_corpus_with_a_cue_does_not_pass_but_says_what_the_cue_means(tmp_path: Path) -> None:
    report = check(corpus(tmp_path, spoof_level=0.3))
    assert "level on eval_in" in report.cues
    assert "duration on eval_in" not in report.cues
    text = report.render()
    assert "passed" not in text
    assert text.splitlines()[-1].startswith("CUES: ")
    assert "Training: augment with gain and clip. Free of it: the conditions of gain" in text
    assert report.to_dict()["verdict"] == report.verdict()


@pytest.mark.parametrize("probe", [True, False])
def test_silent_and_unreadable_files_are_broken(tmp_path: Path, probe: bool) -> None:
    manifest = corpus(tmp_path, n_each=2)
    audio.write(tmp_path / "train-0.flac", np.zeros(8000, np.float32))
    (tmp_path / "train-1.flac").write_bytes(b"no audio at all")
    clips = [replace(clip, sha256=sha256_of(manifest.file(clip))) for clip in manifest]
    report = check(Manifest.of(clips, tmp_path), probe=probe)
    assert report.failed
    assert len(report.broken) == 2
    assert any("every sample is zero" in line for line in report.broken)
    assert report.verdict() == "FAILED"


def test_what_clips_say_of_their_origin_is_probed_where_all_say_it(honest: Manifest) -> None:
    def noted(clip: Clip) -> Clip:
        container = "wav" if clip.bonafide else "mp3"
        return replace(clip, notes={"container": container, "original_rate_hz": "16000"})

    report = check(Manifest.of(map(noted, honest), honest.root))
    rates = {result.name: result.eer for result in report.probes}
    assert rates["container"] == 0.0
    assert rates["original rate"] == 0.5
    assert "original length" not in rates
    assert report.cues == ("container on eval_in",)


def test_without_probes_nothing_is_said_of_cues(honest: Manifest) -> None:
    assert check(honest, probe=False).verdict() == "passed; no probe has looked for cues"


def test_a_probe_that_finds_nothing_is_at_chance() -> None:
    same = (Cues(*[1.0] * 11), np.zeros(N_BANDS))
    truth = np.arange(80) % 2 == 0
    parts = ["train"] * 60 + ["dev"] * 20
    (result,) = run_probe("length, level, silence", [same] * 80, truth, parts, "train", ["dev"])
    assert result.eer == 0.5


def test_a_changed_and_a_missing_file_fail_the_check(tmp_path: Path) -> None:
    manifest = corpus(tmp_path, n_each=2)
    (tmp_path / "train-0.flac").write_bytes(b"changed")
    (tmp_path / "train-1.flac").unlink()
    report = check(manifest)
    assert report.failed
    assert len(report.broken) == 2
    assert any("the manifest says" in line for line in report.broken)
    assert any("no such file" in line for line in report.broken)
    assert "FAILED" in report.render()


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("speaker", {"speaker": "train-0"}),
        ("text", {"text": "Train says: 0!"}),
        ("recording", {"source_clip": "train-0"}),
    ],
)
def test_what_parts_share_is_a_leak(honest: Manifest, kind: str, value: dict[str, str]) -> None:
    leaked = leaks(changed(honest, "eval_in-1", **value))
    assert len(leaked) == 1
    assert leaked[0].startswith(kind)
    assert "eval_in and train" in leaked[0] or "eval and train" in leaked[0]
    assert check(changed(honest, "eval_in-1", **value), files=False, probe=False).failed


def test_one_file_in_two_parts_is_a_leak(honest: Manifest) -> None:
    twin = next(clip for clip in honest if clip.id == "train-0").sha256
    assert any("file" in line for line in leaks(changed(honest, "eval_in-0", sha256=twin)))


def test_evaluation_parts_may_share_speakers_but_no_texts(honest: Manifest) -> None:
    out = changed(honest, "eval_in-0", part="eval_out")
    assert not leaks(changed(out, "eval_in-2", speaker="eval_in-0"))
    assert leaks(changed(out, "eval_in-2", text="eval_in says 0"))


def test_a_language_under_one_label_is_a_finding(honest: Manifest) -> None:
    report = check(changed(honest, "eval_in-1", language="fr"), files=False, probe=False)
    assert report.findings == ("in eval_in the language fr is spoofed only",)


def test_a_part_of_spoofed_clips_alone_is_no_finding(honest: Manifest) -> None:
    extra = changed(honest, "train-1", part="train_extra", language="fr")
    assert check(extra, files=False, probe=False).findings == ()


def test_without_a_train_part_no_probe_is_trained(honest: Manifest) -> None:
    report = check(honest.part("eval_in"), files=False)
    assert not report.probes
    assert any("no probe was trained" in line for line in report.findings)


def test_an_empty_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="build or import one first"):
        check(Manifest.of([], tmp_path))
