"""Files that no recording should be: damaged, lying, enormous, or something else altogether."""

import struct

import numpy as np

from audio_files import encoded, tone, video, wav


def header(*, n_channels: int = 1, rate_hz: int = 16_000, n_data_bytes: int = 32_000) -> bytes:
    """A 16-bit wav of 32,000 zero bytes with a header of one's choice."""
    align = 2 * n_channels & 0xFFFF
    form = struct.pack(
        "<IHHIIHH", 16, 1, n_channels, rate_hz, rate_hz * align & 0xFFFFFFFF, align, 16
    )
    data = b"data" + struct.pack("<I", n_data_bytes) + bytes(32_000)
    return (
        b"RIFF" + struct.pack("<I", min(n_data_bytes + 36, 0xFFFFFFFF)) + b"WAVEfmt " + form + data
    )


def with_sample(value: float) -> bytes:
    samples = tone(1.0).copy()
    samples[0, 100] = value
    return wav(samples, subtype="FLOAT")


def endless_flac() -> bytes:
    """A flac of a second whose header says 2**36 - 1 samples."""
    data = bytearray(encoded(tone(1.0), ".flac"))
    data[21] |= 0x0F
    data[22:26] = b"\xff" * 4
    return bytes(data)


NOISE = np.random.default_rng(0).bytes(200_000)
# What it is: its bytes, and the remedy that a refusal names.
UNUSABLE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty; .* record it again"),
    "text": (b"I am a sound.\n" * 50, "text, not audio; give a recording"),
    "web page": (b"<!DOCTYPE html><html></html>", "web page.*download the recording"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "noise": (NOISE, "headerless samples a wav header"),
    "raw 16-bit": ((tone(3.0)[0] * 20_000).astype("<i2").tobytes(), "a wav header"),
    "raw float": (tone(3.0)[0].tobytes(), "a wav header"),
    "zeros": (bytes(100_000), "convert it to wav or flac"),
    "header alone": (encoded(tone(1.0), ".flac")[:42], "copy the file again|convert it"),
    "no samples": (wav(np.zeros((1, 0))), "copy the file again"),
    "one sample": (
        wav(tone(1.0)[:, :1]),
        "0.00 s .* at least 0.2 s needed; pass a smaller minimum_s",
    ),
    "too short": (wav(tone(0.1)), "0.10 s of audio.*pass a smaller minimum_s"),
    "video only": (video(1.0, sound=None), "without an audio track.*export the sound"),
    "nan": (with_sample(np.nan), "not numbers.*export it again as 16-bit wav"),
    "infinite": (with_sample(np.inf), "not numbers.*export it again as 16-bit wav"),
    "wrong scale": (with_sample(20_000), "reach 2e.04; full scale is 1: divide"),
    "65 channels": (header(n_channels=65), "65 channels; 1 to 64 are wanted: check its header"),
    "1000 channels": (header(n_channels=1000), "1000 channels.*export the channels"),
    "65535 channels": (header(n_channels=65_535), "choose another file|export the channels"),
    "1 Hz": (header(rate_hz=1), "sampled at 1 Hz; .* convert it to 16 kHz wav"),
    "2 GHz": (header(rate_hz=2_000_000_000), "convert it"),
    "header says a gigabyte": (
        header(n_data_bytes=1 << 30),
        "cut off after 1.00 s .* copy the file again",
    ),
    "header says 10 to the 11 samples": (
        endless_flac(),
        "cut off after 1.00 s .* copy the file again",
    ),
}
