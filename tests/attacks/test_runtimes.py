"""Are codecs and voices that other runtimes run fed what they were made for? Both are stand-ins."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unheard.attacks import (
    Engines,
    Published,
    Speech,
    attacks,
    gnuspeech,
    hifi_gan_v3,
    lyra,
    pretrained,
    published,
)
from unheard.errors import AttackError
from unheard.types import FloatArray
from voice import voice

# Keeps what it was given and gives a tone of 44.1 kHz, two channels.
NODE = f"""#!{sys.executable}
import io, json, math, struct, sys, wave
from pathlib import Path
given = dict(arguments=sys.argv[1:], stdin=sys.stdin.buffer.read().decode())
Path(__file__).with_name("node.json").write_text(json.dumps(given))
tone = [int(8000 * math.sin(2 * math.pi * 200 * n / 44100)) for n in range(44100)]
held = io.BytesIO()
with wave.open(held, "wb") as file:
    file.setnchannels(2); file.setsampwidth(2); file.setframerate(44100)
    file.writeframes(struct.pack(f"<{{2 * len(tone)}}h", *(x for x in tone for _ in range(2))))
sys.stdout.buffer.write(held.getvalue())
"""


class Interpreter:
    """A model of one input and one output, with a state that must be forgotten between clips."""

    def __init__(self, n_out: int) -> None:
        self.n_out, self.n_runs, self.n_resets = n_out, 0, 0
        self.fed: list[FloatArray] = []
        self.asked: list[int] = []

    def reset_all_variables(self) -> None:
        self.n_resets += 1

    def allocate_tensors(self) -> None:
        pass

    def resize_tensor_input(self, index: int, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def get_input_details(self) -> list[dict[str, int]]:
        return [{"index": 3}]

    get_output_details = get_input_details

    def set_tensor(self, index: int, values: FloatArray) -> None:
        assert values.dtype == np.float32
        self.fed.append(values)

    def invoke(self) -> None:
        self.n_runs += 1

    def get_tensor(self, index: int) -> FloatArray:
        rng = np.random.default_rng(self.n_runs)
        return rng.standard_normal((1, self.n_out)).astype(np.float32)

    def get_signature_runner(self, name: str) -> Any:
        def encode(input_frames: FloatArray, num_quantizers: Any) -> dict[str, Any]:
            self.asked.append(int(num_quantizers))
            return {"output_0": np.zeros((46, 1, 1), np.int32), "output_1": np.int32(4)}

        def decode(encoding_indices: FloatArray) -> dict[str, FloatArray]:
            return {"output_0": np.zeros((1, 1, 64), np.float32)}

        return {"encode": encode, "decode": decode}[name]


@pytest.mark.parametrize(("name", "n_quantisers"), [("lyra-3200", 16), ("lyra-9200", 46)])
def test_lyra_hears_whole_frames_and_forgets_the_clip_before(
    monkeypatch: pytest.MonkeyPatch, name: str, n_quantisers: int
) -> None:
    models = {"soundstream_encoder": Interpreter(64), "quantizer": Interpreter(1)}
    models["lyragan"] = Interpreter(320)
    monkeypatch.setattr(published, "verified", lambda name, engines, file: Path(file.path))
    monkeypatch.setattr(pretrained, "graph", lambda path: models[path.stem])
    monkeypatch.setattr(lyra.Lyra, "missing", lambda self: "")
    row, source = attacks(None)[name], voice(0.5)[:7_001]
    for _ in range(2):
        assert row.generate(Speech(source), np.random.default_rng(0)).shape == source.shape
    assert models["soundstream_encoder"].n_runs == 2 * 22
    assert models["soundstream_encoder"].fed[0].shape == (1, 320)
    assert models["soundstream_encoder"].n_resets == models["lyragan"].n_resets == 2
    assert set(models["quantizer"].asked) == {n_quantisers}


def test_the_smallest_hifi_gan_gets_bands_before_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    source = voice(0.5)
    n_frames = 11_025 // 256
    model = Interpreter(256 * n_frames)
    monkeypatch.setattr(published, "verified", lambda name, engines, file: Path("x"))
    monkeypatch.setattr(pretrained, "graph", lambda path: model)
    monkeypatch.setattr(hifi_gan_v3.HifiGanV3, "missing", lambda self: "")
    row = attacks(None)["hifi-gan-v3-ljspeech"]
    assert row.generate(Speech(source), np.random.default_rng(0)).shape == source.shape
    assert model.fed[0].shape == model.shape == (1, 80, n_frames)


@pytest.fixture
def speaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> gnuspeech.GnuSpeech:
    node = tmp_path / "root/usr/bin/node"
    node.parent.mkdir(parents=True)
    node.write_text(NODE)
    node.chmod(0o755)
    files = []
    for file in gnuspeech.GnuSpeech.files:
        path = tmp_path / "npm" / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"engine")
        files.append(Published(file.source, file.path, hashlib.sha256(b"engine").hexdigest()))
    monkeypatch.setattr(gnuspeech.GnuSpeech, "files", tuple(files))
    row = attacks(None)["gnuspeech-large-child"]
    assert isinstance(row, gnuspeech.GnuSpeech)
    return replace(row, engines=Engines(tmp_path))


def test_gnuspeech_hears_its_text_by_standard_input(
    speaker: gnuspeech.GnuSpeech, tmp_path: Path
) -> None:
    speech = Speech(text="Hello; $(rm x)")
    wave = speaker.generate(speech, np.random.default_rng(0))
    assert wave.shape == (16_000,)
    assert np.abs(np.fft.rfft(wave)).argmax() == 200
    given = json.loads((tmp_path / "root/usr/bin/node.json").read_text())
    assert given["stdin"] == "Hello; $(rm x)"
    driver, engine, voice_name, tempo, semitones, seed = given["arguments"]
    assert Path(driver).name == "gnuspeech_driver.mjs"
    assert Path(driver).is_file()
    assert engine.endswith("wasm/gnuspeech.js")
    assert voice_name == "large_child"
    assert 0.9 <= float(tempo) <= 1.1
    assert -6.0 <= float(semitones) <= -2.0
    speaker.generate(speech, np.random.default_rng(1))
    other = json.loads((tmp_path / "root/usr/bin/node.json").read_text())
    assert other["arguments"][-1] != seed


def test_an_altered_gnuspeech_is_not_run(speaker: gnuspeech.GnuSpeech, tmp_path: Path) -> None:
    (tmp_path / "npm" / speaker.files[1].path).write_bytes(b"altered")
    with pytest.raises(AttackError, match="wanted; remove it and fetch it again"):
        speaker.generate(Speech(text="Hello."), np.random.default_rng(0))
    assert not (tmp_path / "root/usr/bin/node.json").exists()
