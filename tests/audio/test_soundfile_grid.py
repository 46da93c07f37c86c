"""Whatever libsndfile writes: do we read what libsndfile reads, or refuse it by name?"""

import io
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile

from audio_files import tone
from unheard import audio
from unheard.errors import AudioError

LEFT_OUT = {"RAW", "SD2"}  # headerless; two files of which the second has no name in memory
NAMED = {"AVR", "HTK", "SVX", "MAT4", "MAT5", "MPC2K", "PAF", "PVF", "SDS", "IRCAM", "WVE", "XI"}
RESAMPLED = {("OGG", "OPUS")}  # libsndfile gives the rate before coding, FFmpeg that of the codec
FORMATS = sorted(set(soundfile.available_formats()) - LEFT_OUT)


def written(kind: str) -> Iterator[tuple[str, bytes, np.ndarray]]:
    """A second of a tone in each coding and byte order of a format, and what soundfile reads."""
    rate_hz = 8_000 if kind == "WVE" else 16_000
    for subtype in soundfile.available_subtypes(kind):
        for endian in ("FILE", "LITTLE", "BIG", "CPU"):
            if not soundfile.check_format(kind, subtype, endian):
                continue
            file = io.BytesIO()
            wave = tone(1.0, rate_hz)[0]
            try:
                soundfile.write(file, wave, rate_hz, format=kind, subtype=subtype, endian=endian)
                samples, rate_hz = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")
            except soundfile.SoundFileError:
                continue  # libsndfile itself cannot
            yield f"{subtype} {endian}", file.getvalue(), audio.resample(samples, rate_hz)


@pytest.mark.parametrize("kind", FORMATS)
def test_samples_are_those_of_libsndfile_or_refused_by_name(kind: str) -> None:
    for name, data, wanted in written(kind):
        if kind in NAMED:
            with pytest.raises(AudioError, match=r"(of which nothing can be read|not audio of a)"):
                audio.read(data)
            continue
        got = audio.read(data).samples
        if kind == "OGG":  # FFmpeg leaves out the last, incomplete block of a vorbis
            assert 0 <= len(wanted) - len(got) <= 256, name
            got, wanted = got[:-200], wanted[: len(got) - 200]
        tolerance = 2e-3 if (kind, name.split()[0]) in RESAMPLED else 1e-5
        np.testing.assert_allclose(got, np.clip(wanted, -1, 1), atol=tolerance, err_msg=name)


def test_a_part_of_a_coding_that_cannot_seek_is_that_of_the_whole() -> None:
    file = io.BytesIO()
    soundfile.write(file, tone(3.0)[0], 16_000, format="WAV", subtype="G721_32")
    whole = audio.read(file.getvalue()).samples
    part = audio.read(file.getvalue(), start_s=1.2, length_s=0.5).samples
    np.testing.assert_array_equal(part, whole[19_200:27_200])
