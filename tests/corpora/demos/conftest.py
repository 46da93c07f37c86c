"""Two laboratories with a page each, as git repositories, and the catalogue that knows them."""

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unheard.corpora.demos.catalogue import Catalogue, Chosen, Page, Rule
from unheard.corpora.demos.cutting import WINDOW_S, cut, decode
from unheard.types import FloatArray

GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main")


def git(*words: str | Path) -> bytes:
    return subprocess.run([*GIT, *words], check=True, capture_output=True).stdout


def voice(seed: int, seconds: float, rate_hz: int = 16_000) -> FloatArray:
    """A glide of harmonics with pauses, another one for each seed."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate_hz)
    knots = np.linspace(0, seconds, max(4, round(seconds * 5)))
    time = np.arange(n) / rate_hz
    pitch_hz = np.interp(time, knots, rng.uniform(90, 260, knots.size))
    loudness = np.interp(time, knots, rng.uniform(0.0, 0.1, knots.size))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    weights = np.interp(time[None] + np.arange(12)[:, None], knots, rng.uniform(0, 1, knots.size))
    tones = sum(weights[k] * np.sin((k + 1) * phase) for k in range(12))
    return np.asarray(loudness * tones / 4 + 1e-3 * rng.standard_normal(n), np.float32)


@pytest.fixture(name="voice", scope="session")
def voice_fixture() -> Callable[..., FloatArray]:
    return voice


@dataclass(frozen=True)
class Pages:
    mirrors: Path
    pack: Path
    catalogue: Catalogue


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    root = tmp_path_factory.mktemp("pages")
    files = {
        "lab/vocoder-demo": {
            "gt/a.wav": voice(1, 5.0, 22_050),
            "gt/b.flac": voice(2, 2.0),
            "out/a.wav": voice(3, 3.2, 24_000),
            "out/rest.ogg": voice(4, 2.5),
            "out/short.wav": voice(5, 0.3),
            "logo/x.wav": voice(6, 2.0),
        },
        "other/tts": {"wavs/1.wav": voice(7, 4.5), "wavs/2.wav": voice(8, 2.0)},
    }
    commits = {name: _repository(root / "mirrors", name, some) for name, some in files.items()}
    pages = {
        "lab/vocoder-demo": _page("lab/vocoder-demo", commits, "train", "0", "MIT"),
        "other/tts": _page("other/tts", commits, "eval", "", "none stated"),
    }
    rules = {
        "lab/vocoder-demo": (
            Rule("lab/vocoder-demo", "^gt/", "bonafide", "human", "human", "vctk", "en", "", ""),
            Rule("lab/vocoder-demo", "^logo/", "skip", "", "", "", "", "", ""),
            Rule("lab/vocoder-demo", ".", "spoof", "gan:v1", "vocoder-gan", "vctk", "en", "", ""),
        ),
        "other/tts": (
            Rule("other/tts", r"1\.wav", "spoof", "talker", "tts-ar", "", "de", r"(\d)\.", ""),
            Rule("other/tts", r"2\.wav", "bonafide", "human", "human", "", "de", r"(\d)\.", ""),
        ),
    }
    listed = [("lab/vocoder-demo", name) for name in ("gt/a.wav", "gt/b.flac", "out/a.wav")]
    listed += [("other/tts", "wavs/1.wav"), ("other/tts", "wavs/2.wav")]
    chosen: dict[str, list[Chosen]] = {}
    for repo, path in listed:
        chosen.setdefault(repo, []).append(_chosen(root, repo, path, pages[repo].part))
    catalogue = Catalogue(
        pages, rules, {repo: tuple(some) for repo, some in chosen.items()}, copies={}, excluded={}
    )
    return Pages(root / "mirrors", root / "pack", catalogue)


def _page(repo: str, commits: dict[str, str], part: str, fold: str, licence: str) -> Page:
    return Page(repo, commits[repo], repo.partition("/")[0], part, fold, licence, "2024", "A demo")


def _repository(mirrors: Path, name: str, files: dict[str, FloatArray]) -> str:
    """A bare repository as OWNER+NAME, whose newest commit lacks what the pinned one has."""
    work = mirrors.parent / "work" / name
    rates = {"gt/a.wav": 22_050, "out/a.wav": 24_000}
    for path, samples in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(work / path, samples, rates.get(path, 16_000))
    git("init", "-q", work)
    git("-C", work, "add", ".")
    git("-C", work, "commit", "-qm", "one")
    pinned = git("-C", work, "rev-parse", "HEAD").decode().strip()
    git("-C", work, "rm", "-rq", ".")
    git("-C", work, "commit", "-qm", "all gone", "--allow-empty")
    bare = mirrors / name.replace("/", "+")
    git("clone", "-q", "--bare", work, bare)
    git("-C", bare, "config", "uploadpack.allowFilter", "true")
    return pinned


def _chosen(root: Path, repo: str, path: str, part: str) -> Chosen:
    work = root / "work" / repo
    blob = git("-C", work, "rev-parse", f"HEAD~1:{path}").decode().strip()
    decoded = decode(git("-C", work, "cat-file", "blob", blob), path)
    clip = cut(decoded.samples, WINDOW_S[part])
    levels = np.clip(np.rint(clip * 32768.0), -32768, 32767).astype(np.int16)
    target = root / "pack" / "clips" / part / f"{blob[:16]}.flac"
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not as the builder writes it: a pack of another encoder must do.
    soundfile.write(target, levels, 16_000, compression_level=0.0)
    return Chosen(
        repo=repo,
        path=path,
        blob=blob,
        container=path.rpartition(".")[2],
        original_rate_hz=decoded.rate_hz,
        original_s=round(decoded.samples.size / 16_000, 3),
        sha256=hashlib.sha256(target.read_bytes()).hexdigest(),
        pcm_sha256=hashlib.sha256(levels.astype("<i2").tobytes()).hexdigest(),
    )
