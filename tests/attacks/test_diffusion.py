"""Does diffusion noise and denoise as documented, learn, resume, and see no test clips?"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import synthetic_corpus
import tiny_generators
from unheard.attacks import Speech
from unheard.attacks.diffusion import Diffusion
from unheard.attacks.diffusion_model import SIZES, DiffusionConfig, MelDiffusion, denoised, load
from unheard.attacks.latent_diffusion import AudioLdm
from unheard.attacks.mel import Mel
from unheard.data.clip import Manifest
from unheard.errors import AttackError, RecipeError
from unheard.training.diffusion import Training, train
from unheard.types import FloatArray

# diffusers takes seconds to import, and many more on a machine that is busy.
pytestmark = pytest.mark.timeout(400)

CONFIG = DiffusionConfig(mel=Mel(n_mels=16), widths=(8, 8))
TRAINING = Training(n_steps=6, batch_clips=2, n_frames=16, log_every=2, save_every=2)


def tone(n_samples: int = 9_001) -> FloatArray:
    time_s = np.arange(n_samples) / 16_000
    wave = np.sin(2 * np.pi * 220 * time_s) + 0.1 * np.random.default_rng(0).normal(size=n_samples)
    return (0.2 * wave).astype(np.float32)


def copy(row: Diffusion | AudioLdm, seed: int = 0) -> FloatArray:
    return row.generate(Speech(tone()), np.random.default_rng(seed))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return synthetic_corpus.corpus(tmp_path_factory.mktemp("corpus"), duration_s=0.5)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_generators.diffusion(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def audioldm(tmp_path_factory: pytest.TempPathFactory) -> AudioLdm:
    row = tiny_generators.ready("audioldm", tmp_path_factory.mktemp("audioldm"))
    assert isinstance(row, AudioLdm)
    return row


def test_denoising_is_ddim_from_a_partly_noised_start() -> None:
    """Against the formulas, by hand: alphas of a linear schedule, three steps from 0.3 of it."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    scheduler = DDIMScheduler(num_train_timesteps=100, beta_schedule="linear", clip_sample=False)
    clean = torch.linspace(-1, 1, 6).reshape(1, 1, 2, 3)
    actual = denoised(
        clean,
        lambda noised, levels: torch.tanh(noised) + levels.reshape(-1, 1, 1, 1) / 100,
        scheduler,
        strength=0.3,
        n_steps=3,
        generator=torch.Generator().manual_seed(5),
    )
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 100))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(5))
    x = math.sqrt(kept[29]) * clean + math.sqrt(1 - kept[29]) * noise
    for level, following in ((29, kept[19]), (19, kept[9]), (9, 1.0)):
        predicted = torch.tanh(x) + level / 100
        start = (x - math.sqrt(1 - kept[level]) * predicted) / math.sqrt(kept[level])
        x = math.sqrt(following) * start + math.sqrt(1 - following) * predicted
    torch.testing.assert_close(actual, x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("strength", "n_steps"),
    [(0.1, 5), (0.5, 5), (0.5, 1), (1.0, 20), (0.3, 20), (0.3, 151), (0.1, 60), (1.0, 501)],
)
def test_the_first_step_is_at_the_strength_and_there_are_as_many_as_asked_for(
    strength: float, n_steps: int
) -> None:
    levels: list[int] = []

    def predict(noised: Tensor, level: Tensor) -> Tensor:
        levels.append(int(level))
        return noised

    denoised(
        torch.zeros(1, 1, 4, 4),
        predict,
        MelDiffusion(CONFIG).scheduler(),
        strength=strength,
        n_steps=n_steps,
        generator=torch.Generator(),
    )
    assert len(levels) == n_steps
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == pytest.approx(strength * 1000 - 1, abs=3)
    assert levels[-1] == pytest.approx(strength * 1000 / n_steps - 1, abs=2)


@pytest.mark.parametrize(
    ("strength", "n_steps", "message"),
    [
        (0.0, 5, "strength=0: give a share above 0"),
        (1.5, 5, r"strength=1\.5: give a share above 0, up to 1"),
        (0.3, 0, "n_steps=0, .* 300 levels: give at least 1 step"),
        (0.01, 11, "n_steps=11, .* 10 levels: give at least 1 step and no more than levels"),
    ],
)
def test_a_strength_or_steps_that_cannot_be_are_refused(
    model: str, strength: float, n_steps: int, message: str
) -> None:
    with pytest.raises(AttackError, match=message):
        copy(Diffusion(model, strength=strength, n_steps=n_steps))


def test_a_model_is_not_asked_beyond_what_it_was_trained_for() -> None:
    weak = MelDiffusion(replace(CONFIG, strongest=0.4))
    with pytest.raises(AttackError, match=r"strength=0\.5, .* trained up to 0\.4; set a lower"):
        weak.reconstruct(torch.zeros(20, 16), strength=0.5, n_steps=2, generator=torch.Generator())


@pytest.mark.parametrize("n_frames", [1, 16, 37])
def test_spectrograms_of_any_length_come_back_as_long(n_frames: int) -> None:
    logs = torch.randn(n_frames, 16)
    restored = MelDiffusion(CONFIG).reconstruct(
        logs, strength=0.2, n_steps=2, generator=torch.Generator()
    )
    assert restored.shape == logs.shape
    assert torch.isfinite(restored).all()


def test_nothing_noised_and_nothing_taken_away_is_the_recording() -> None:
    """At the lowest level a model that sees no noise leaves its input, in its own units."""
    diffusion = MelDiffusion(CONFIG)
    diffusion.mean.fill_(-3.0)
    diffusion.deviation.fill_(0.2)  # so that normalised values are far from [-1, 1]
    logs = torch.randn(24, 16) - 3
    restored = diffusion.reconstruct(logs, strength=0.001, n_steps=1, generator=torch.Generator())
    assert (restored - logs).abs().mean() < 0.1


def test_griffin_lim_starts_from_the_phases_that_are_asked_for(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[FloatArray] = []

    def spoken(self: Mel, logs: FloatArray, phases: FloatArray) -> FloatArray:
        started.append(phases)
        return tone(len(logs) * self.n_hop).astype(np.float64)

    monkeypatch.setattr(Mel, "spoken", spoken)
    row = Diffusion(model, n_steps=2)
    for attack, seed in ((row, 0), (row, 1), (replace(row, phases="source"), 0)):
        copy(attack, seed)
    wave = np.pad(tone(), (0, -tone().size % 256)).astype(np.float64)
    turned = np.exp(1j * started[2]) - np.exp(1j * Mel(n_mels=16).phases(wave))
    assert np.median(np.abs(turned)) < 1e-6
    assert started[0].shape == started[1].shape == started[2].shape
    assert not np.array_equal(started[0], started[1])
    assert np.abs(started[0].mean() - np.pi) < 0.1


def test_a_vocoder_speaks_what_it_was_trained_on_and_nothing_else(
    model: str, tmp_path: Path
) -> None:
    vocoder = tiny_generators.hifi_gan(tmp_path / "fits", n_mels=16, hop=(16, 16))
    row = Diffusion(model, n_steps=2, vocoder=str(vocoder))
    assert row.weights() == (model, str(vocoder))
    assert not np.array_equal(copy(row), copy(Diffusion(model, n_steps=2)))
    other = tiny_generators.hifi_gan(tmp_path / "other", n_mels=20, hop=(16, 16))
    with pytest.raises(AttackError, match=r"n_mels 20, and it is 16; set mel\.n_mels=20, or give"):
        copy(Diffusion(model, n_steps=2, vocoder=str(other)))


def test_a_folder_without_a_whole_model_is_refused(model: str, tmp_path: Path) -> None:
    with pytest.raises(AttackError, match=r"holds no whole diffusion model .* train one with"):
        copy(Diffusion(str(tmp_path)))
    config = json.loads(Path(model, "diffusion.json").read_text())
    config["config"]["widths"] = [8, 16]
    (tmp_path / "diffusion.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(Path(model, "model.safetensors").read_bytes())
    with pytest.raises(AttackError, match=r"no whole diffusion model \(RuntimeError\)"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": (12,)}, "give multiples of 8"),
        ({"widths": (8, 8, 8, 8)}, r"mel\.n_mels=24 cannot be halved 3 times .* multiple of 16"),
        ({"strongest": 0.0}, "give a share above 0"),
    ],
)
def test_a_config_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        replace(DiffusionConfig(mel=Mel(n_mels=24), widths=(8, 8)), **change)  # type: ignore[arg-type]


def test_the_small_model_is_small_and_both_sizes_take_one_spectrogram() -> None:
    n_weights = sum(weight.numel() for weight in MelDiffusion(SIZES["small"]).parameters())
    assert 1e6 < n_weights < 3e6
    assert SIZES["full"].mel == SIZES["small"].mel


def test_training_lowers_the_loss_and_writes_what_can_be_loaded(
    corpus: Manifest, tmp_path: Path
) -> None:
    lines: list[str] = []
    long = replace(TRAINING, n_steps=60, batch_clips=4, log_every=20, n_warm_up=5, rate=3e-3)
    folder = train(corpus, tmp_path / "run", CONFIG, long, say=lines.append)
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in log] == [20, 40, 60]
    assert log[-1]["loss"] < 0.93 * log[0]["loss"]
    assert sum("of 60, loss" in line for line in lines) == 3
    assert copy(Diffusion(str(folder), n_steps=2)).shape == tone().shape
    assert load(folder).config == CONFIG


def test_bands_are_normalised_by_those_of_the_clips(corpus: Manifest, tmp_path: Path) -> None:
    diffusion = load(train(corpus, tmp_path / "run", CONFIG, replace(TRAINING, n_steps=1)))
    assert (diffusion.deviation > 0.01).all()
    human = corpus.part("train").where(corpus.part("train").column("bonafide").astype(bool))
    assert len(human) == 6
    assert -5 < diffusion.mean.mean() < 1
    assert diffusion.mean.std() > 0.05


def test_an_interrupted_run_resumes_to_the_same_weights(corpus: Manifest, tmp_path: Path) -> None:
    whole = load(train(corpus, tmp_path / "whole", CONFIG, TRAINING))
    train(corpus, tmp_path / "parts", CONFIG, replace(TRAINING, n_steps=4))
    with (tmp_path / "parts" / "log.jsonl").open("a") as log:
        log.write('{"step": 6, "loss": 1.0}\n')  # a step after the last checkpoint
    lines: list[str] = []
    folder = train(corpus, tmp_path / "parts", CONFIG, TRAINING, say=lines.append)
    assert any("4 of 6 steps are done" in line for line in lines)
    logged = (folder / "log.jsonl").read_text()
    steps = [json.loads(line)["step"] for line in logged.splitlines()]
    assert steps == [2, 4, 6]
    load.cache_clear()
    parts = load(folder)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name


def test_another_run_in_the_folder_is_not_resumed(corpus: Manifest, tmp_path: Path) -> None:
    short = replace(TRAINING, n_steps=2)
    train(corpus, tmp_path, CONFIG, short)
    with pytest.raises(AttackError, match=r"a run of other settings or clips; .* --start-over"):
        train(corpus, tmp_path, CONFIG, replace(short, seed=1))
    train(corpus, tmp_path, CONFIG, replace(short, seed=1), start_over=True)


def test_only_bona_fide_clips_of_training_parts_are_trained_on(tmp_path: Path) -> None:
    manifest = synthetic_corpus.corpus(tmp_path / "data", duration_s=0.5)
    for clip in manifest:
        if not clip.bonafide or clip.part != "train":
            manifest.file(clip).unlink()
    train(manifest, tmp_path / "run", CONFIG, replace(TRAINING, n_steps=2))


@pytest.mark.parametrize("part", ["dev", "eval_in", "test"])
def test_a_part_for_choosing_or_testing_is_refused(
    corpus: Manifest, tmp_path: Path, part: str
) -> None:
    with pytest.raises(AttackError, match=f"part '{part}' is not for training: .* begin with"):
        train(corpus, tmp_path, CONFIG, TRAINING, parts=("train", part))


def test_training_that_cannot_be_is_refused(corpus: Manifest, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="n_frames is 18; give a multiple of 4"):
        train(corpus, tmp_path, CONFIG, replace(TRAINING, n_frames=18))
    with pytest.raises(RecipeError, match="batch_clips is 0; give 1 or more"):
        replace(TRAINING, batch_clips=0)
    spoofed = corpus.where(~corpus.column("bonafide").astype(bool))
    with pytest.raises(AttackError, match="no bona fide clip in train; a generator learns from"):
        train(spoofed, tmp_path, CONFIG, TRAINING)


def test_audioldm_depends_on_prompt_strength_and_seed(audioldm: AudioLdm) -> None:
    usual = copy(audioldm)
    for other in (replace(audioldm, prompt="a b"), replace(audioldm, strength=0.6)):
        assert not np.array_equal(usual, copy(other))
    assert not np.array_equal(usual, copy(audioldm, seed=1))


def test_audioldm_gives_what_its_autoencoder_and_vocoder_do_when_no_noise_is_added(
    audioldm: AudioLdm, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import AutoencoderKL
    from transformers import SpeechT5HifiGan

    from unheard.attacks import diffusion_model

    def unchanged(clean: Tensor, *_: object, **__: object) -> Tensor:
        return clean

    monkeypatch.setattr(diffusion_model, "denoised", unchanged)
    folder = Path(audioldm.source)
    level = 0.08 / np.sqrt(np.mean(tone().astype(float) ** 2))
    logs = torch.from_numpy(audioldm.mel.of(tone() * level)).float()
    n_frames = len(logs)
    assert n_frames == 57
    padded = torch.nn.functional.pad(logs.T, (0, 3), mode="replicate").T[None, None]
    with torch.no_grad():
        vae = AutoencoderKL.from_pretrained(folder / "vae")
        latents = vae.encode(padded).latent_dist.mode()
        spectrogram = vae.decode(latents).sample[0, 0, :n_frames]
        vocoder = SpeechT5HifiGan.from_pretrained(folder / "vocoder").eval()
        spoken = vocoder(spectrogram).numpy()[: tone().size]
    assert np.corrcoef(spoken, copy(audioldm))[0, 1] > 0.999


def test_another_pipeline_or_part_of_one_is_refused(audioldm: AudioLdm, tmp_path: Path) -> None:
    with pytest.raises(AttackError, match="class None, 'AudioLDMPipeline' wanted; give the folder"):
        copy(replace(audioldm, source=str(tmp_path)))
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "AudioLDMPipeline"}))
    whole = Path(audioldm.source)
    for part in ("vae", "unet", "scheduler", "tokenizer", "vocoder"):
        (tmp_path / part).symlink_to(whole / part)
    with pytest.raises(AttackError, match="lacks text_encoder; fetch the whole pipeline again"):
        copy(replace(audioldm, source=str(tmp_path)))
    (tmp_path / "text_encoder").symlink_to(whole / "text_encoder")
    (tmp_path / "vae").unlink()
    (tmp_path / "vae").mkdir()
    with pytest.raises(AttackError, match=r"cannot be loaded \(\w+: .*; fetch the whole pipeline"):
        copy(replace(audioldm, source=str(tmp_path)))
