"""ASVspoof to In-the-Wild as the README says, word for word, on tiny copies of both.

With an encoder of every class that is claimed, as its authors publish it. `pytest -rP` on this file
prints what each step took.
"""

import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model

import tiny_encoders
from cli_run import Run, runner
from corpus_layout import text
from fairseq_files import write_checkpoint
from small_detectors import TINY_ENCODER
from unheard import audio
from voice import voice

README = Path(__file__).parents[2] / "README.md"
FOLDER = "DATA/xls-r-300m"
"""What the README calls the user's encoder."""

TINY = (
    *("budget.n_steps=2", "budget.eval_every=2", "budget.log_every=1"),
    *("budget.precision=float32", "sampler.batch_clips=4", "hop_s=0.5", "window_s=0.5"),
)


def commands() -> list[str]:
    """Return the five commands of the README."""
    section = README.read_text().split("## ASVspoof to In-the-Wild in five commands")[1]
    (block,) = re.findall(r"^```\n(.*?)^```", section.split("\n## ")[0], re.MULTILINE | re.DOTALL)
    return [line.strip() for line in block.splitlines() if line.strip()]


def sound(path: Path, bonafide: bool, seed: int) -> None:
    speech = voice(2.0, seed)
    hiss = np.random.default_rng(seed).standard_normal(speech.size)
    level = 0.02 if bonafide else 0.0002
    audio.write(path, (0.8 * speech + level * hiss).astype(np.float32))


def lay_out(data: Path) -> None:
    """Write both corpora as their archives unpack, a dozen clips a part."""
    for part, kind, letter, attacks in (
        ("train", "trn", "T", ("A01", "A06")),
        ("dev", "trl", "D", ("A01", "A06")),
        ("eval", "trl", "E", ("A07", "A19")),
    ):
        lines = []
        for index in range(12):
            attack = "-" if index % 2 else attacks[index // 2 % 2]
            name = f"LA_{letter}_{1000000 + index}"
            speaker, key = (
                f"LA_{ord(letter):02}{index % 4:02}",
                "bonafide" if index % 2 else "spoof",
            )
            lines.append(f"{speaker} {name} - {attack} {key}")
            place = data / f"LA/ASVspoof2019_LA_{part}/flac/{name}.flac"
            sound(place, bool(index % 2), ord(letter) * 100 + index)
        protocols = data / "LA/ASVspoof2019_LA_cm_protocols"
        text(protocols / f"ASVspoof2019.LA.cm.{part}.{kind}.txt", *lines)
    wild = data / "release_in_the_wild"
    rows = [f"{i}.wav,Person {i % 3},{'bona-fide' if i % 2 else 'spoof'}" for i in range(12)]
    text(wild / "meta.csv", "file,speaker,label", *rows)
    for index in range(12):
        sound(wild / f"{index}.wav", bool(index % 2), index)


def folder_of(family: str) -> Callable[[Path], None]:
    return lambda place: tiny_encoders.build(family).save_pretrained(place)


def xls_r(place: Path) -> None:
    """wav2vec 2.0 with XLS-R's norms and biases."""
    norms = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
    torch.manual_seed(0)
    Wav2Vec2Model(
        Wav2Vec2Config(**(tiny_encoders.FAMILIES["wav2vec2"][2] | norms))
    ).save_pretrained(place)


def fairseq(place: Path) -> None:
    torch.manual_seed(0)
    write_checkpoint(TINY_ENCODER.build().model, place)


ENCODERS: dict[str, Callable[[Path], None]] = {
    "wav2vec 2.0": folder_of("wav2vec2"),
    "XLS-R": xls_r,
    "HuBERT": folder_of("hubert"),
    "WavLM": folder_of("wavlm"),
    "w2v-BERT 2.0": folder_of("wav2vec2-bert"),
    "Whisper": folder_of("whisper"),
    "a checkpoint of fairseq": fairseq,
}


class Timed:
    """Runs lines of the README, and knows what they took."""

    def __init__(self, unheard: Callable[..., Run]) -> None:
        self.unheard = unheard
        self.times: list[str] = []

    def __call__(self, line: str, *more: str) -> Run:
        started_s = time.monotonic()
        run = self.unheard(*shlex.split(line)[1:], *more)
        assert run.code == 0, run.text
        self.times.append(f"{time.monotonic() - started_s:6.1f} s  {line}")
        return run


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both corpora, not yet imported."""
    place = tmp_path_factory.mktemp("five")
    lay_out(place / "DATA")
    return place


@pytest.mark.timeout(600)  # seconds of work; minutes where others share the processor
@pytest.mark.parametrize("name", ENCODERS)
def test_five_commands_lead_from_asvspoof_to_a_table_on_in_the_wild(
    name: str,
    imported: Path,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "DATA").mkdir()
    for folder in ("LA", "release_in_the_wild"):
        (tmp_path / "DATA" / folder).symlink_to(imported / "DATA" / folder)
    ENCODERS[name](tmp_path / FOLDER)
    if name != "XLS-R":  # once is enough for the pictures
        for picture in ("calibration", "det", "histogram"):
            monkeypatch.setattr(f"unheard.evaluation.pictures.{picture}", lambda *_: b"picture")
    typed = Timed(runner(capfd))
    la, wild, train, test, table = commands()
    for line in (la, wild):
        assert "are not listed" not in typed(line).out
    typed(train, *(word for pair in TINY for word in ("--set", pair)))
    assert "in_the_wild" in typed(test, "--draws", "20").out
    scored = pq.read_table("reports/lora/scores.parquet")
    assert scored.num_rows == 24
    assert scored.column("score").null_count == 0
    assert "in_the_wild" in typed(table, "--draws", "20").out
    print("\n".join(typed.times))  # noqa: T201  what the file may be run for
