"""Is a stranger's file decoded as ours is, and held to its memory, time and silence?"""

import os
from pathlib import Path

import numpy as np
import pytest

from audio_files import encoded, tone
from hostile_audio import UNUSABLE, header
from unheard import audio
from unheard.service.decoding import Decoded, prepare
from unheard.service.limits import Limits, Refusal


@pytest.fixture(scope="module", autouse=True)
def server() -> None:
    prepare()


def decoded(path: Path, name: str = "clip", n_chunk: int = 1, **bounds: object) -> list[np.ndarray]:
    """All chunks of a file."""
    limits = Limits(**bounds)  # type: ignore[arg-type]
    with path.open("rb") as file, Decoded(file, name, limits, n_chunk=n_chunk) as chunks:
        return list(chunks)


@pytest.mark.parametrize("suffix", [".flac", ".m4a"])
def test_samples_are_those_of_the_file_to_the_bit(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    path.write_bytes(encoded(tone(3.0, 48_000, 2), suffix, 48_000))
    whole = audio.read(path)
    with path.open("rb") as file, Decoded(file, "clip", Limits(), n_chunk=20_000) as chunks:
        pieces = list(chunks)
        assert chunks.origin.rate_hz == 48_000
        assert chunks.origin.notes == whole.notes
        assert (chunks.encoding.n_tracks, chunks.encoding.n_channels) == (1, 2)
    assert all(len(piece) >= 20_000 for piece in pieces[:-1])
    np.testing.assert_array_equal(np.concatenate(pieces), whole.samples)


@pytest.mark.parametrize("name", sorted(UNUSABLE.keys() - {"one sample", "too short"}))
def test_hostile_files_are_refused_with_the_remedy(tmp_path: Path, name: str) -> None:
    data, remedy = UNUSABLE[name]
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(Refusal, match=f"^{name}.wav: .*{remedy}") as refused:
        decoded(path, f"{name}.wav")
    assert refused.value.status in (415, 422)


def test_a_decoder_that_gives_nothing_is_stopped() -> None:
    end, begin = os.pipe()
    with (
        os.fdopen(end, "rb") as silent,
        pytest.raises(Refusal, match=r"no audio for 0.2 s and was stopped; convert it to wav"),
        Decoded(silent, "clip", Limits(decode_stall_s=0.2), n_chunk=1) as chunks,
    ):
        list(chunks)
    os.close(begin)
    assert not chunks._process.is_alive()


def test_a_decoder_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        file.write(header(n_channels=8, rate_hz=44_100, n_data_bytes=1 << 30))
        file.truncate((1 << 30) + 44)  # a sparse file: 25 minutes in a block of the disk
    with pytest.raises(Refusal, match=r"more than 1 s of processor time; convert it .* or cut it"):
        decoded(path, decode_cpu_s=1)


def test_a_decoder_that_wants_too_much_memory_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "clip.flac"
    path.write_bytes(encoded(tone(60.0, 48_000), ".flac", 48_000))
    with pytest.raises(Refusal, match=r"more than 1 MB of memory|process that decoded it died"):
        decoded(path, n_chunk=16_000 * 60, decode_bytes=1 << 20)


def test_a_decoder_that_dies_costs_its_recording_alone(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(encoded(tone(60.0), ".wav"))
    with path.open("rb") as file, Decoded(file, "clip", Limits(), n_chunk=16_000) as chunks:
        iterator = iter(chunks)
        next(iterator)
        chunks._process.kill()
        with pytest.raises(Refusal, match=r"decoded it died \(exit code -9\); convert it to wav"):
            list(iterator)
    assert decoded(path)


def test_a_decoder_may_not_write(tmp_path: Path) -> None:
    from unheard.service import decoding

    path = tmp_path / "written"
    child = os.fork()
    if not child:
        decoding._confine(Limits())
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            path.write_bytes(b"x")
        except OSError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
