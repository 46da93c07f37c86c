"""Is every recording that cannot be used refused, in words that say what to do?"""

import io
import os
from pathlib import Path

import av
import numpy as np
import pytest

from audio_files import FORMATS, encoded, pipe, tone, wav
from hostile_audio import UNUSABLE
from unheard import audio
from unheard.errors import AudioError


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_recordings_are_refused_with_the_remedy(name: str) -> None:
    data, remedy = UNUSABLE[name]
    with pytest.raises(AudioError, match=f"^{name}.wav: .*{remedy}"):
        audio.read(data, name=f"{name}.wav")


@pytest.mark.parametrize("name", sorted(UNUSABLE.keys() - {"one sample", "too short"}))
def test_unusable_streams_are_refused_too(name: str) -> None:
    data, _ = UNUSABLE[name]
    if name == "header says a gigabyte":
        return  # through a pipe nobody knows whether more was to come
    with (
        pytest.raises(AudioError, match=r"^a pipe: .*[;:] "),
        audio.open_stream(pipe(data), name="a pipe") as stream,
    ):
        list(stream)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".aiff", ".webm", ".mka", ".m4a"])
def test_a_file_that_was_cut_off_is_refused(suffix: str) -> None:
    data = encoded(tone(4.0), suffix)
    with pytest.raises(AudioError, match=r"(cut off|without its index) .*(copy|convert|repair)"):
        audio.read(data[: len(data) // 2])


@pytest.mark.parametrize("suffix", [".aac", ".m4a", ".flac"])
def test_what_is_mostly_damage_is_refused(suffix: str) -> None:
    rng = np.random.default_rng(0)
    data = bytearray(encoded(tone(4.0, 48_000), suffix, 48_000))
    for at in range(2_000, len(data) - 3_000, 37):
        data[at] = rng.integers(256)
    with pytest.raises(AudioError, match=r"bad packets and \d+ good ones; .* copy the file again"):
        audio.read(bytes(data))


def test_a_flac_whose_header_counts_other_channels_than_its_frames_is_refused() -> None:
    data = bytearray(encoded(tone(4.0), ".flac"))
    for more in range(1, 8):
        data[20] = data[20] & ~0x0E | more << 1
        with pytest.raises(AudioError, match=r"damaged from 0\.00 s on; copy the file again"):
            audio.read(bytes(data))


@pytest.mark.parametrize("size", [1 << 40, (1 << 63) - 1, (1 << 64) - 1])
def test_a_box_of_an_mp4_that_claims_all_bytes_there_are_is_refused(
    size: int, tmp_path: Path
) -> None:
    data = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0\0\0\1free" + size.to_bytes(8) + bytes(99)
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(AudioError, match="without its index"):
            audio.read(source)


@pytest.mark.parametrize("n_bytes", [30, 38, 54])
def test_a_header_that_is_cut_off_is_refused_without_a_traceback(
    n_bytes: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clip.aiff"
    path.write_bytes(encoded(tone(1.0), ".aiff")[:n_bytes])
    with pytest.raises(AudioError, match=r"[;:] "):
        audio.read(path)
    assert not capfd.readouterr().err


def test_an_mp4_with_its_index_in_front_may_not_be_cut_off_either(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("aac", rate=48_000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(tone(4.0, 48_000), format="fltp", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert audio.read(path).duration_s > 3.9
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"of the 4.0. s that its header promises; copy"):
        audio.read(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_damage_gets_past_audio_error(suffix: str) -> None:
    rng = np.random.default_rng(0)
    whole = encoded(tone(1.0, 48_000), suffix, 48_000)
    for _ in range(12):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 20)):
            data[at] = rng.integers(256)
        for at in rng.integers(0, min(200, len(data)), rng.integers(0, 4)):
            data[at] = rng.integers(256)
        start = int(rng.integers(0, len(data)))
        del data[start : start + int(rng.integers(0, 3000))]
        try:
            samples = audio.read(bytes(data)).samples
        except AudioError:
            continue
        assert np.isfinite(samples).all()
        assert abs(samples).max() <= 1


PLAYLISTS = {
    "ffconcat": "ffconcat version 1.0\nfile '{}'\n",
    "concat": "file '{}'\n",
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
    "pls": "[playlist]\nFile1={}\n",
    "asx": '<asx version="3.0"><entry><ref href="{}"/></entry></asx>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\na={}\n",
    "dash": '<?xml version="1.0"?><MPD><BaseURL>{}</BaseURL></MPD>',
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("suffix", ["mp3", "wav", "m3u8", "txt"])
def test_what_refers_to_another_file_is_not_followed(
    kind: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.wav").write_bytes(wav(tone(1.0)))
    path = tmp_path / f"list.{suffix}"
    monkeypatch.chdir(tmp_path)
    for target in ("secret.wav", tmp_path / "secret.wav", (tmp_path / "secret.wav").as_uri()):
        path.write_text(PLAYLISTS[kind].format(target))
        for source in (path, path.read_bytes(), pipe(path.read_bytes())):
            with pytest.raises(AudioError, match=r"give the audio files themselves|give a record"):
                audio.read(source)


def test_an_address_is_only_a_missing_file() -> None:
    with pytest.raises(AudioError, match="no such file; check the path"):
        audio.read("http://127.0.0.1:9/clip.mp3")


def test_paths_that_cannot_be_opened_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AudioError, match=r"gone.wav: no such file; check the path"):
        audio.read(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match="a folder; name the recordings in it"):
        audio.read(tmp_path)
    with pytest.raises(AudioError, match="no such file; check the path"):
        audio.read("a\0b")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("Permission denied")

    (tmp_path / "locked.wav").touch()
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(AudioError, match="not permitted to read it; change its permissions"):
        audio.read(tmp_path / "locked.wav")


class Failing(io.BytesIO):
    """A disk that fails after a while."""

    def readinto(self, buffer: object) -> int:
        return self._fail(super().readinto(buffer))  # type: ignore[arg-type]

    def read(self, n: int | None = -1) -> bytes:
        data = super().read(n)
        self._fail(len(data))
        return data

    def _fail(self, n: int) -> int:
        if self.tell() > 100_000:
            raise OSError("input/output error")
        return n


@pytest.mark.parametrize("suffix", [".mp3", ".ogg"])
def test_a_source_that_fails_half_way_is_refused(suffix: str) -> None:
    data = encoded(tone(20.0, 48_000), suffix, 48_000)
    assert len(data) > 110_000
    with pytest.raises(AudioError, match=r"input/output error\); check where it comes from"):
        audio.read(Failing(data))


@pytest.mark.parametrize(
    ("part", "remedy"),
    [
        ({"start_s": 5.0}, "0.00 s of audio after 5 s, at least 0.2 s needed"),
        ({"start_s": 0.9}, "0.10 s of audio after 0.9 s"),
        ({"start_s": -1.0}, "seconds from the beginning, 0 or more"),
        ({"start_s": float("nan")}, "seconds from the beginning, 0 or more"),
        ({"length_s": 0.0}, "more than 0 s is wanted, or None for all"),
    ],
)
@pytest.mark.parametrize("suffix", [".wav", ".mp3"])
def test_parts_that_are_not_there_are_refused(
    part: dict[str, float], remedy: str, suffix: str
) -> None:
    with pytest.raises(AudioError, match=remedy):
        audio.read(encoded(tone(1.0), suffix), **part)  # type: ignore[arg-type]


def test_more_than_memory_should_hold_is_not_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unheard.audio.recording.LONGEST_READ_S", 1.0)
    data = wav(tone(1.5))
    with pytest.raises(AudioError, match="read parts with start_s and length_s, or use open_str"):
        audio.read(data)
    assert audio.read(data, length_s=1.0).duration_s == 1.0
    with audio.open_stream(data) as stream:
        assert sum(map(len, stream)) == 24_000
