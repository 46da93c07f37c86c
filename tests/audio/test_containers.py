"""Are recordings read whole, however they are wrapped, joined and coded, or what is lost named?"""

import io
import struct
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from audio_files import encoded, pipe, tone, wav
from unheard import audio
from unheard.errors import AudioError
from unheard.types import FloatArray

RATE_HZ = audio.SAMPLE_RATE_HZ


def notes_of(source: audio.Source, **settings: object) -> tuple[float, str]:
    """Seconds that are read, and the notes on it as one text."""
    with audio.open_stream(source, **settings) as stream:  # type: ignore[arg-type]
        n_samples = sum(map(len, stream))
        return n_samples / RATE_HZ, "; ".join(stream.origin.notes)


def sized(data: bytes, n_bytes: int) -> bytes:
    """A wav whose header says that its data has this size."""
    at = data.index(b"data") + 4
    return data[:at] + struct.pack("<I", n_bytes) + data[at + 4 :]


def by_sndfile(samples: FloatArray, kind: str, subtype: str, rate_hz: int = RATE_HZ) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples.T, rate_hz, format=kind, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("n_bytes", [300, 20_000])
def test_a_tag_in_front_of_a_wav_is_skipped(n_bytes: int) -> None:
    size = bytes([n_bytes >> 21 & 127, n_bytes >> 14 & 127, n_bytes >> 7 & 127, n_bytes & 127])
    tagged = b"ID3\x03\x00\x00" + size + bytes(n_bytes) + wav(tone(1.0))
    for source in (tagged, pipe(tagged)):
        np.testing.assert_array_equal(
            audio.read(source).samples, audio.read(wav(tone(1.0))).samples
        )


def mp3(duration_s: float, *, counted: bool = True) -> bytes:
    options = {} if counted else {"write_xing": "0"}
    return encoded(tone(duration_s, 48_000), ".mp3", 48_000, options=options)


@pytest.mark.parametrize("first", [mp3(2.0), mp3(0.3, counted=False)], ids=["counted", "not"])
def test_joined_mp3_files_are_read_to_the_end(first: bytes) -> None:
    rest = mp3(2.0, counted=False)
    seconds, notes = notes_of(first + rest)
    assert seconds == pytest.approx(notes_of(first)[0] + notes_of(rest)[0], abs=0.1)
    assert "damaged" not in notes
    assert ("several files were joined" in notes) == (b"Xing" in first or b"Info" in first)


def test_what_changes_its_rate_on_the_way_is_read_until_then_and_the_rest_counted() -> None:
    data = encoded(tone(1.0, 48_000), ".aac", 48_000) + encoded(tone(2.0, 44_100), ".aac", 44_100)
    seconds, notes = notes_of(data)
    assert seconds == pytest.approx(1.0, abs=0.05)
    assert "2.0 s of it were not read: the rate changes from 48000 to 44100 Hz" in notes


@pytest.mark.parametrize("other", [("VORBIS", 8_000), ("OPUS", 16_000)])
def test_a_chained_ogg_of_another_coding_is_counted(other: tuple[str, int]) -> None:
    first = by_sndfile(tone(1.0), "OGG", "VORBIS")
    later = by_sndfile(tone(3.0, other[1]), "OGG", other[0], other[1])
    seconds, notes = notes_of(first + later)
    assert seconds == pytest.approx(1.0, abs=0.05)
    assert "3.0 s of it were not read: they are a later part of the file" in notes
    assert "damaged" not in notes
    assert notes_of(first + first)[0] == pytest.approx(2.0, abs=0.05)


def test_an_ogg_without_its_end_says_so() -> None:
    data = encoded(tone(4.0, 48_000), ".ogg", 48_000)
    assert notes_of(data)[1] == ""
    assert "no end mark: it may be cut off" in notes_of(data[: len(data) // 2])[1]


@pytest.mark.parametrize("n_bytes", [0, 0xFFFFFFFF])
def test_a_wav_that_does_not_say_how_long_it_is_is_read_to_its_end(n_bytes: int) -> None:
    data = sized(wav(tone(2.0)), n_bytes)
    for whole in (data, data[:4] + bytes(4) + data[8:]):
        assert notes_of(whole) == (2.0, "")
        assert notes_of(pipe(whole)) == (2.0, "")


def test_an_rf64_that_does_not_say_how_long_it_is_is_read_to_its_end() -> None:
    data = by_sndfile(tone(2.0), "RF64", "PCM_16")
    at = data.index(b"ds64") + 8
    for source in (data[:at] + bytes(24) + data[at + 24 :], data):
        assert notes_of(source) == (2.0, "")
        assert notes_of(pipe(source)) == (2.0, "")
    with pytest.raises(AudioError, match=r"cut off after 0\.9. s of the 2\.00 s"):
        audio.read(data[:30_000])


def test_sound_behind_the_length_of_a_wav_is_counted() -> None:
    seconds, notes = notes_of(sized(wav(tone(2.0)), 32_000))
    assert seconds == 1.0
    assert "1.0 s of it were not read: they lie behind the length" in notes
    assert notes_of(wav(tone(2.0)) + b"LIST" + struct.pack("<I", 4) + b"INFO") == (2.0, "")


def test_float_samples_beyond_full_scale_are_blamed_on_nobody() -> None:
    loud = wav(4 * tone(1.0), subtype="FLOAT")
    for source in (loud, pipe(loud)):
        assert "reach 2 times full scale and were cut off at full scale here" in notes_of(source)[1]
    assert notes_of(wav(tone(1.0), subtype="FLOAT"))[1] == ""


def test_files_without_what_says_how_they_are_coded_are_named() -> None:
    mp4 = encoded(tone(1.0, 48_000), ".mp4", 48_000)
    webm = encoded(tone(1.0, 48_000), ".webm", 48_000)
    for data, what in [
        (mp4[: mp4.index(b"moov") - 4], r"mp4 without its index \(moov\).*; let its recorder"),
        (webm[webm.index(b"\x1f\x43\xb6\x75") :], "piece of a webm or mkv .*; join the pieces"),
    ]:
        for source in (data, pipe(data)):
            with pytest.raises(AudioError, match=what):
                audio.read(source)


# suffix: FFmpeg's container, encoder
FURTHER = {
    ".avi": ("avi", "pcm_s16le"),
    ".ts": ("mpegts", "aac"),
    ".mpg": ("mpeg", "mp2"),
    ".flv": ("flv", "aac"),
    ".ac3": ("ac3", "ac3"),
    ".eac3": ("eac3", "eac3"),
    ".wv": ("wv", "wavpack"),
    ".mp2": ("mp2", "mp2"),
    ".mpga": ("mp3", "libmp3lame"),
    ".weba": ("webm", "libopus"),
    ".3g2": ("3g2", "aac"),
    ".oga": ("oga", "flac"),
    ".m4v": ("mp4", "aac"),
}


def muxed(container: str, encoder: str, waves: list[FloatArray], rate_hz: int = 48_000) -> bytes:
    """A file with an audio track for each wave [T]."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        streams: list[Any] = [
            output.add_stream(encoder, rate=rate_hz, layout="mono") for _ in waves
        ]
        for stream, wave in zip(streams, waves, strict=True):
            planes = np.ascontiguousarray(wave[None], np.float32)
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate_hz, 0
            resampler = av.AudioResampler(stream.format.name, "mono", rate_hz, stream.frame_size)
            for part in (*resampler.resample(frame), *resampler.resample(None), None):
                output.mux(stream.encode(part))
    return file.getvalue()


@pytest.mark.parametrize("suffix", FURTHER)
def test_further_containers_give_the_tone_that_went_in(suffix: str) -> None:
    recording = audio.read(muxed(*FURTHER[suffix], [tone(2.0, 48_000)[0]]))
    assert recording.duration_s == pytest.approx(2.0, abs=0.1)
    assert not any("damaged" in note for note in recording.notes)
    truth = tone(2.0)[0]
    window = np.lib.stride_tricks.sliding_window_view(recording.samples[:18_000], 16_000)
    best = np.max(window @ truth[:16_000]) / np.sum(truth[:16_000] ** 2)
    assert best == pytest.approx(1, abs=0.05)
    assert suffix in audio.AUDIO_SUFFIXES


@pytest.mark.parametrize(
    ("suffix", "kind", "subtype"),
    [
        (".voc", "VOC", "PCM_16"),
        (".aifc", "AIFF", "ULAW"),
        (".nist", "NIST", "PCM_16"),
        (".sph", "NIST", "ULAW"),
        (".rf64", "RF64", "PCM_16"),
        (".snd", "AU", "ULAW"),
    ],
)
def test_containers_of_libsndfile_are_read_from_file_and_pipe(
    suffix: str, kind: str, subtype: str
) -> None:
    data = by_sndfile(tone(1.0), kind, subtype)
    for source in (data, pipe(data)):
        np.testing.assert_allclose(audio.read(source).samples, tone(1.0)[0], atol=0.02)
    assert suffix in audio.AUDIO_SUFFIXES


def test_the_default_track_is_read_and_the_others_named() -> None:
    waves = [0.5 * tone(1.0, 48_000)[0], 0.1 * tone(1.0, 48_000)[0]]
    data = muxed("matroska", "aac", waves)
    first, notes = audio.read(data), notes_of(data)[1]
    assert "track 1 of 2 was scored, not track 2" in notes
    with audio.open_stream(data, track=2) as stream:
        second = np.concatenate(list(stream))
        assert stream.n_tracks == 2
        assert not stream.origin.notes
    assert np.std(second) == pytest.approx(np.std(first.samples) / 5, rel=0.05)
    with pytest.raises(AudioError, match="track 3 is asked for, it has 2 with sound; give a lower"):
        audio.open_stream(data, track=3)


def test_what_a_writer_puts_down_for_a_track_without_a_name_is_no_name() -> None:
    notes = notes_of(muxed("mp4", "aac", [tone(1.0, 48_000)[0]] * 2))[1]
    assert "track 1 of 2 was scored, not track 2;" in notes


def amr(container: str, encoder: str, rate_hz: int, options: dict[str, str]) -> bytes:
    """Two seconds of a tone, six of silence, two of a tone."""
    beep = tone(2.0, rate_hz)[0]
    wave = np.concatenate([beep, np.zeros(6 * rate_hz, np.float32), beep])
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(encoder, rate=rate_hz, options=options)
        stream.layout = "mono"
        levels = np.rint(wave * 32_767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(levels, format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate_hz, 0
        for part in (frame, None):
            output.mux(stream.encode(part))
    return file.getvalue()


def test_pauses_coded_as_no_data_are_sound_of_known_length() -> None:
    data = amr("amr", "libopencore_amrnb", 8_000, {"dtx": "1"})
    assert len(data) < 0.7 * len(amr("amr", "libopencore_amrnb", 8_000, {}))
    seconds, notes = notes_of(data)
    assert seconds == pytest.approx(10.0, abs=0.05)
    assert "damaged" not in notes
    assert "coded pauses" in notes
    samples = audio.read(data).samples
    assert np.std(samples[3 * RATE_HZ : 7 * RATE_HZ]) < 0.02 < np.std(samples[9 * RATE_HZ :])


@pytest.mark.parametrize("container", ["ogg", "webm"])
def test_coded_pauses_of_opus_are_sound_of_known_length(container: str) -> None:
    beep = tone(1.0, 48_000)[0]
    wave = np.concatenate([beep, np.zeros(4 * 48_000, np.float32), beep])
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        options = {"dtx": "1", "application": "voip"}
        stream: Any = output.add_stream("libopus", rate=48_000, layout="mono", options=options)
        for start in range(0, wave.size, 960):
            part = np.ascontiguousarray(wave[None, start : start + 960])
            frame = av.AudioFrame.from_ndarray(part, format="flt", layout="mono")
            frame.sample_rate, frame.pts = 48_000, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    seconds, notes = notes_of(file.getvalue())
    assert seconds == pytest.approx(6.0, abs=0.05)
    assert "s of it hold no sound data: coded pauses of the sender" in notes
    assert "damaged" not in notes


def ogg_page(packets: list[bytes], *, flags: int, samples: int, number: int) -> bytes:
    """An Ogg page of packets that each end in it; samples are those until its end."""
    laces = b"".join(b"\xff" * (len(p) // 255) + bytes([len(p) % 255]) for p in packets)
    head = b"OggS\0" + struct.pack("<BqIII", flags, samples, 7, number, 0) + bytes([len(laces)])
    page = bytearray(head + laces + b"".join(packets))
    checksum = 0
    for byte in page:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = checksum << 1 & 0xFFFFFFFF ^ (0x04C11DB7 if checksum >> 31 else 0)
    page[22:26] = struct.pack("<I", checksum)
    return bytes(page)


def speex(n_per_packet: int) -> bytes:
    """One second of speech frames, four without speech, one of speech, in narrow band."""
    words = (8_000, 0, 4, 1, -1, 160, 1, n_per_packet, 0, 0, 0)
    head = b"Speex   " + b"1.2".ljust(20, b"\0") + struct.pack("<13i", 1, 80, *words)
    comment = struct.pack("<I", 4) + b"test" + struct.pack("<I", 0)
    n_frames = 160 * n_per_packet
    # A frame of 160 bits of mode 3; frames of five zero bits, and the end: 0, then ones.
    frames = [b"\x18" + np.random.default_rng(n).bytes(19) for n in range(n_per_packet)]
    bits = "00000" * n_per_packet + "0"
    bits += "1" * (-len(bits) % 8)
    pause = int(bits, 2).to_bytes(len(bits) // 8, "big")
    packets = [b"".join(frames)] * (50 // n_per_packet) + [pause] * (200 // n_per_packet)
    packets += [b"".join(frames)] * (50 // n_per_packet)
    pages = [ogg_page([head], flags=2, samples=0, number=0)]
    pages.append(ogg_page([comment], flags=0, samples=0, number=1))
    for index, packet in enumerate(packets):
        last = 4 if index == len(packets) - 1 else 0
        samples = (index + 1) * n_frames
        pages.append(ogg_page([packet], flags=last, samples=samples, number=index + 2))
    return b"".join(pages)


@pytest.mark.parametrize("n_per_packet", [1, 2])
def test_coded_pauses_of_speex_are_sound_of_known_length(n_per_packet: int) -> None:
    seconds, notes = notes_of(speex(n_per_packet))
    assert seconds == pytest.approx(6.0, abs=0.05)
    assert notes == "4.0 s of it hold no sound data: coded pauses of the sender"
    samples = audio.read(speex(n_per_packet)).samples
    loud, pause = np.std(samples[: RATE_HZ // 2]), np.std(samples[2 * RATE_HZ : 4 * RATE_HZ])
    assert pause < 0.05 * loud


def without_packets(data: bytes, container: str, from_s: float, until_s: float) -> bytes:
    """The same file without the packets of a stretch, as a sender that pauses leaves them out."""
    file = io.BytesIO()
    source: Any = av.open(io.BytesIO(data))
    with source, av.open(file, "w", format=container) as output:
        stream = output.add_stream_from_template(source.streams.audio[0])
        packets = [p for p in source.demux(source.streams.audio[0]) if p.pts is not None]
        zero = min(packet.pts for packet in packets)
        for packet in packets:
            if not from_s <= float((packet.pts - zero) * packet.time_base) < until_s:
                packet.stream = stream
                output.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("container", ["webm", "matroska", "mpegts", "mp4"])
def test_gaps_in_time_stamps_are_kept_as_silence(container: str) -> None:
    encoder = "libopus" if container == "webm" else "aac"
    whole = muxed(container, encoder, [tone(6.0, 48_000)[0]])
    gapped = without_packets(whole, container, 2.0, 4.0)
    seconds, notes = notes_of(gapped)
    assert seconds == pytest.approx(6.0, abs=0.15)
    assert "2.0 s of it hold no sound data: its time stamps leave them out" in notes
    assert "damaged" not in notes
    samples, truth = audio.read(gapped).samples, audio.read(whole).samples
    assert np.std(samples[round(2.2 * RATE_HZ) : round(3.8 * RATE_HZ)]) < 1e-3
    first, n_samples, most_late = round(4.5 * RATE_HZ), RATE_HZ, 480
    late = [
        np.corrcoef(samples[first + by : first + by + n_samples], truth[first:][:n_samples])[0, 1]
        for by in range(-most_late, most_late)
    ]
    assert max(late) > 0.98


def test_tracks_that_begin_on_the_way_do_not_end_the_reading() -> None:
    one, more = (muxed("mpegts", "mp2", [tone(2.0, 48_000)[0]] * n_tracks) for n_tracks in (1, 6))
    with audio.open_stream(pipe(5 * one + more), name="a pipe") as stream:
        assert sum(map(len, stream)) > 9.5 * RATE_HZ


def test_a_track_that_begins_late_keeps_its_place() -> None:
    whole = muxed("mp4", "aac", [tone(4.0, 48_000)[0]])
    late = without_packets(whole, "mp4", 0.0, 2.0)
    assert notes_of(late)[0] == pytest.approx(4.0, abs=0.15)


def test_no_data_frames_of_wide_band_amr_have_their_length() -> None:
    nothing = b"\x7c"
    assert notes_of(b"#!AMR-WB\n" + 150 * nothing) == (
        3.0,
        "3.0 s of it hold no sound data: coded pauses of the sender",
    )
