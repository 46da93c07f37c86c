"""Speak a text with the RHVoice library, in a process of its own that may crash alone.

    python rhvoice_driver.py LIBRARY DATA VOICE RATE PITCH < text > samples

DATA holds the folders languages and voices; RATE and PITCH are 1 for the voice's own. Samples are
16-bit, little-endian, preceded by their rate as one 32-bit number.

Debian's `RHVoice-test` finds its voices in one fixed folder only and needs a sound server's
libraries, so it cannot be used unpacked. Standard library alone, so that it starts at once.
"""

import ctypes
import struct
import sys

__all__ = ["main", "speak"]

_SET_RATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_PLAY = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p)


class _Start(ctypes.Structure):
    """RHVoice_init_params, as RHVoice.h of version 1.8 lays it out."""

    _fields_ = (
        ("data_path", ctypes.c_char_p),
        ("config_path", ctypes.c_char_p),
        ("resource_paths", ctypes.c_void_p),
        ("set_sample_rate", _SET_RATE),
        ("play_speech", _PLAY),
        ("unused_callbacks", ctypes.c_void_p * 7),
        ("options", ctypes.c_uint),
    )


class _Manner(ctypes.Structure):
    """RHVoice_synth_params."""

    _fields_ = (
        ("voice_profile", ctypes.c_char_p),
        ("absolute_rate", ctypes.c_double),
        ("absolute_pitch", ctypes.c_double),
        ("absolute_volume", ctypes.c_double),
        ("relative_rate", ctypes.c_double),
        ("relative_pitch", ctypes.c_double),
        ("relative_volume", ctypes.c_double),
        ("punctuation_mode", ctypes.c_int),
        ("punctuation_list", ctypes.c_char_p),
        ("capitals_mode", ctypes.c_int),
        ("flags", ctypes.c_int),
    )


def speak(library: str, data: str, manner: tuple[str, float, float], text: bytes) -> bytes:
    """Return the rate and the samples of a text.

    Args:
        library: Path of libRHVoice.
        data: Folder of languages and voices.
        manner: Voice, relative rate, relative pitch.
        text: UTF-8.

    Raises:
        RuntimeError: If the library finds no data, no such voice, or cannot speak the text.
    """
    rate_hz = [0]
    samples = bytearray()

    def set_rate(rate: int, _: object) -> int:
        rate_hz[0] = rate
        return 1

    def play(block: int, count: int, _: object) -> int:
        samples.extend(ctypes.string_at(block, 2 * count))
        return 1

    library_ = ctypes.CDLL(library)
    for name in ("RHVoice_new_tts_engine", "RHVoice_new_message"):
        getattr(library_, name).restype = ctypes.c_void_p
    start = _Start(data.encode(), b"/nonexistent", None, _SET_RATE(set_rate), _PLAY(play))
    engine = ctypes.c_void_p(library_.RHVoice_new_tts_engine(ctypes.byref(start)))
    if not engine:
        raise RuntimeError(f"RHVoice found no voices in {data}")
    voice, rate, pitch = manner
    how = _Manner(voice.encode(), 0, 0, 0, rate, pitch, 1)
    message = ctypes.c_void_p(
        library_.RHVoice_new_message(engine, text, len(text), 0, ctypes.byref(how), None)
    )
    if not message or not library_.RHVoice_speak(message):
        raise RuntimeError(f"RHVoice could not speak with the voice {voice}")
    return struct.pack("<i", rate_hz[0]) + bytes(samples)


def main() -> None:
    """Read the text from standard input and write rate and samples to standard output."""
    library, data, voice, rate, pitch = sys.argv[1:]
    manner = (voice, float(rate), float(pitch))
    sys.stdout.buffer.write(speak(library, data, manner, sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
