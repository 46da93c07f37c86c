"""Speak a text with the SVOX Pico library, in a process of its own that may crash alone.

    python pico_driver.py LIBRARY ANALYSIS SIGNAL < text > samples

ANALYSIS and SIGNAL are the two lingware files of a voice. Samples are 16-bit, little-endian,
16 kHz.

Debian's `pico2wave` finds its voices in one fixed folder only, so it cannot be used unpacked.
Standard library alone, so that it starts at once.
"""

import ctypes
import sys

__all__ = ["main", "speak"]

_MEMORY_BYTES = 2_500_000
_NAME_BYTES = 32
_VOICE = b"voice"
_BUSY = 201


def speak(library: str, lingware: list[str], text: bytes) -> bytes:
    """Return the text as 16-bit samples.

    Args:
        library: Path of libttspico.
        lingware: Paths of the text analysis and the signal generation file of one voice.
        text: UTF-8.

    Raises:
        RuntimeError: If the library refuses a call; says which.
    """
    pico = ctypes.CDLL(library)
    memory = ctypes.create_string_buffer(_MEMORY_BYTES)
    system, engine = ctypes.c_void_p(), ctypes.c_void_p()
    _call(pico, "initialize", memory, ctypes.c_uint32(_MEMORY_BYTES), ctypes.byref(system))
    _call(pico, "createVoiceDefinition", system, _VOICE)
    for path in lingware:
        resource, name = ctypes.c_void_p(), ctypes.create_string_buffer(_NAME_BYTES)
        _call(pico, "loadResource", system, path.encode(), ctypes.byref(resource))
        _call(pico, "getResourceName", system, resource, name)
        _call(pico, "addResourceToVoiceDefinition", system, _VOICE, name)
    _call(pico, "newEngine", system, _VOICE, ctypes.byref(engine))
    return _spoken(pico, engine, text + b"\0")


def _spoken(pico: ctypes.CDLL, engine: ctypes.c_void_p, text: bytes) -> bytes:
    samples = bytearray()
    taken, got, kind = ctypes.c_int16(), ctypes.c_int16(), ctypes.c_int16()
    buffer = ctypes.create_string_buffer(1024)
    while text:
        piece = text[:4096]
        _call(pico, "putTextUtf8", engine, piece, ctypes.c_int16(len(piece)), ctypes.byref(taken))
        text = text[taken.value :]
        status = _BUSY
        while status == _BUSY:
            status = pico.pico_getData(
                engine, buffer, ctypes.c_int16(1024), ctypes.byref(got), ctypes.byref(kind)
            )
            samples += buffer.raw[: got.value]
    return bytes(samples)


def _call(pico: ctypes.CDLL, name: str, *arguments: object) -> None:
    status = getattr(pico, f"pico_{name}")(*arguments)
    if status != 0:
        raise RuntimeError(f"pico_{name} returned {status}")


def main() -> None:
    """Read the text from standard input and write the samples to standard output."""
    library, *lingware = sys.argv[1:]
    sys.stdout.buffer.write(speak(library, lingware, sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
