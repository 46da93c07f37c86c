"""Recordings of strangers, decoded in a process of their own.

Each recording gets a fresh process, forked from a small server that has the decoders loaded and
no detector, keys or uploads. It is handed an opened file and no name, may not write, and has its
memory, processor time and silence bounded. It answers in plain bytes, never in pickles, so that one
that is taken over by a hostile file can send nothing but numbers and a text.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Iterator
from dataclasses import astuple
from multiprocessing import forkserver, reduction
from multiprocessing.connection import Connection
from typing import BinaryIO

import numpy as np

from unheard import audio
from unheard.errors import AudioError
from unheard.service.limits import Limits, Refusal
from unheard.types import FloatArray

__all__ = ["Decoded", "prepare"]

_PRELOAD = ["unheard.service.decoding", "unheard.cli.app", "soundfile", "soxr", "av"]
"""What the server of processes imports once; the command line, since a process that Python starts
imports the program again."""

_OPENED, _AUDIO, _END, _NOT_AUDIO, _UNUSABLE = b"O", b"A", b"E", b"N", b"U"
_MOST_MESSAGE_BYTES = 256 << 20
_MOST_NOTES = 20
_LONGEST_NOTE = 500
_LONGEST_FORMAT = 40
_PAGE_BYTES = resource.getpagesize()
_LOCK = threading.Lock()


def prepare() -> None:
    """Start the server of processes, so that the first recording need not wait for it.

    It stays until this process ends. A recording is decoded without it, too, but slower.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(_PRELOAD)
    forkserver.ensure_running()


class Decoded:
    """Chunks of a recording at 16 kHz, float32 [n], as `audio.open_stream` gives them.

    A context manager and an iterator that runs once; leaving it ends the process.

    Attributes:
        encoding: How it is kept in its file; known after the first chunk, or `open`.
        origin: What is known of it, for the warnings of a verdict; known at the end.
    """

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        limits: Limits,
        *,
        n_chunk: int,
        channel: str = "mix",
        track: int | None = None,
    ) -> None:
        """Start to decode.

        Args:
            file: An opened file of the system's, at any position.
            name: What messages call it.
            limits: What its process may take.
            n_chunk: Samples that a chunk has at least, but for the last.
            channel: As `audio.open_stream` takes it.
            track: As `audio.open_stream` takes it.
        """
        self.encoding = audio.Encoding()
        self.origin = audio.Origin()
        self._name = name
        self._limits = limits
        context = multiprocessing.get_context("forkserver")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, name, limits, n_chunk, channel, track)
        self._process = context.Process(target=_work, args=arguments, daemon=True)
        with _LOCK:
            self._process.start()
        theirs.close()
        with contextlib.suppress(OSError):  # the process is gone: the first chunk will say so
            reduction.send_handle(self._pipe, file.fileno(), self._process.pid)

    def __enter__(self) -> Decoded:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        with _LOCK:
            self._process.kill()
            self._process.join()

    def open(self) -> None:
        """Wait until it is opened; it need not be called before the chunks are taken.

        Raises:
            Refusal: If it is not audio, or not fit to be scored.
        """
        if not self.encoding.n_tracks:
            _, content = self._message()
            self.encoding = _encoding(content)

    def __iter__(self) -> Iterator[FloatArray]:
        self.open()
        while True:
            kind, content = self._message()
            if kind == _END:
                self.origin = _origin(content)
                return
            yield np.frombuffer(content, np.float32)

    def _message(self) -> tuple[bytes, bytes]:
        """Return kind and content of the next message, which is no refusal."""
        message = self._receive()
        kind, content = message[:1], message[1:]
        if kind in {_OPENED, _AUDIO, _END}:
            return kind, content
        not_audio = kind == _NOT_AUDIO
        raise Refusal(
            415 if not_audio else 422,
            "not_audio" if not_audio else "unusable_audio",
            content.decode(errors="replace"),
        )

    def _receive(self) -> bytes:
        try:
            if not self._pipe.poll(self._limits.decode_stall_s):
                raise Refusal(
                    422,
                    "decoding_stalled",
                    f"{self._name}: decoding gave no audio for {self._limits.decode_stall_s:g} s "
                    "and was stopped; convert it to wav or flac",
                )
            return self._pipe.recv_bytes(_MOST_MESSAGE_BYTES)
        except (EOFError, OSError):
            raise self._died() from None

    def _died(self) -> Refusal:
        with _LOCK:
            self._process.kill()
            self._process.join()
        if self._process.exitcode == -signal.SIGXCPU:
            cause = f"decoding took more than {self._limits.decode_cpu_s} s of processor time"
        else:
            cause = f"the process that decoded it died (exit code {self._process.exitcode})"
        return Refusal(
            422, "decoding_failed", f"{self._name}: {cause}; convert it to wav or flac, or cut it"
        )


def _encoding(content: bytes) -> audio.Encoding:
    """Read how the other process says that a recording is kept: two short texts, three numbers."""
    container, codec, *layout = json.loads(content)
    rate_hz, n_channels, n_tracks = map(int, layout)
    container, codec = (str(text)[:_LONGEST_FORMAT] for text in (container, codec))
    return audio.Encoding(container, codec, rate_hz, n_channels, n_tracks)


def _origin(content: bytes) -> audio.Origin:
    """Read what the other process knows of a recording: a number, a truth value, and texts."""
    rate_hz, cut_off, notes = json.loads(content)
    texts = tuple(str(note)[:_LONGEST_NOTE] for note in notes[:_MOST_NOTES])
    return audio.Origin(int(rate_hz), bool(cut_off), texts)


def _work(
    pipe: Connection, name: str, limits: Limits, n_chunk: int, channel: str, track: int | None
) -> None:
    """Decode the one file whose handle comes through a pipe; runs in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    file = os.fdopen(reduction.recv_handle(pipe), "rb")
    _confine(limits)
    kind = _NOT_AUDIO
    with contextlib.suppress(ConnectionError):  # nobody listens any more
        try:
            with audio.open_stream(file, name=name, channel=channel, track=track) as stream:
                kind = _UNUSABLE
                pipe.send_bytes(_OPENED + json.dumps(astuple(stream.encoding)).encode())
                for chunk in audio.gathered(stream, n_chunk):
                    pipe.send_bytes(_AUDIO + np.asarray(chunk, np.float32).tobytes())
                origin = stream.origin
                known = origin.rate_hz, origin.cut_off, origin.notes
                pipe.send_bytes(_END + json.dumps(known).encode())
        except AudioError as error:
            pipe.send_bytes(kind + str(error).encode(errors="replace")[:2000])
        except MemoryError:
            text = f"{name}: decoding wants more than {limits.decode_bytes >> 20} MB of memory"
            pipe.send_bytes(_UNUSABLE + f"{text}; convert it to wav or flac".encode())


def _confine(limits: Limits) -> None:
    """Bound what this process may take, for good."""
    with open("/proc/self/statm", "rb") as statm:
        held_bytes = int(statm.read().split()[0]) * _PAGE_BYTES
    most_bytes = held_bytes + limits.decode_bytes
    spent = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = limits.decode_cpu_s + int(spent.ru_utime + spent.ru_stime)
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
