"""The bona fide recordings of the open corpus: where they lie, who speaks, what is said.

Every set named here was checked to be human speech. Left out: sound effects and tones, roles of
the dialogues that are not one of the two leads (voice effects, speakers unknown), and what is in a
folder for silence. Words shorter than a clip are joined, in the order of their file names, with
natural pauses: word lists, used in training and development parts only.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unheard import audio
from unheard.errors import AudioError, CorpusError
from unheard.types import FloatArray

__all__ = ["Recording", "catalogue", "joined", "load", "speech_bounds", "stamp_lines"]

_SHARE = "root/usr/share"
_NOT_SPEECH = re.compile(r"beep|tone|monkeys$|^silence|ring|congestion")
_ASTERISK = {
    "en_US_f_Allison": ("en", "asterisk-allison", "CC-BY-SA-3.0"),
    "es_MX_f_Allison": ("es", "asterisk-allison", "CC-BY-SA-3.0"),
    "it_IT_m_Carlo": ("it", "asterisk-carlo", "CC-BY-3.0"),
    "ru_RU_f_IvrvoiceRU": ("ru", "asterisk-ivrvoice", "CC-BY-3.0"),
}
_STAMP_LANGUAGES = ("be", "bg", "ca", "da", "el", "en", "es", "fr", "lt", "nl", "ro", "ru")
_WORD_LANGUAGES = (
    "ca", "da", "de", "el", "en", "fr", "gl", "lt", "nn", "ru", "sl", "uk",
)  # fmt: skip
PAUSE_S = (0.12, 0.35)
JOINED_S = 3.0
"""Words are joined until they hold at least this much speech."""


@dataclass(frozen=True)
class Recording:
    """One human utterance, or a list of words by one speaker.

    Attributes:
        id: Unique and stable: package and path inside it.
        paths: Files under the cache, more than one if words are joined.
        speaker: Who speaks; one name for all that may be the same person.
        language: ISO 639-1 code.
        licence: Licence of the recording.
        package: Debian package that it comes from.
        text: What is said; "" if unknown.
    """

    id: str
    paths: tuple[str, ...]
    speaker: str
    language: str
    licence: str
    package: str
    text: str = ""


def catalogue(cache: Path) -> list[Recording]:
    """Return every recording of the packages that are unpacked in the cache, sorted by id.

    Raises:
        CorpusError: If there is none.
    """
    recordings = sorted(
        [*_festvox(cache), *_fillets(cache), *_asterisk(cache), *_stamps(cache), *_words(cache)],
        key=lambda recording: recording.id,
    )
    if not recordings:
        raise CorpusError(
            f"{cache / 'root'}: no recordings; were the packages fetched? Build again with a "
            "working package archive"
        )
    return recordings


def load(cache: Path, recording: Recording) -> FloatArray:
    """Return a recording, shape [T] float32 at 16 kHz; joined words with pauses between them."""
    pieces = [_decode(cache / path) for path in recording.paths]
    if len(pieces) == 1:
        return pieces[0]
    seed = int.from_bytes(recording.id.encode()[-8:], "little")
    rng = np.random.default_rng(seed)
    parts: list[FloatArray] = []
    for piece in pieces:
        start, end = speech_bounds(piece)
        margin = audio.SAMPLE_RATE_HZ // 25
        word = piece[max(0, start - margin) : end + margin]
        gap = round(rng.uniform(*PAUSE_S) * audio.SAMPLE_RATE_HZ)
        parts += [word, np.zeros(gap, np.float32)]
    return np.concatenate(parts[:-1])


def speech_bounds(samples: FloatArray, *, below_peak_db: float = 35.0) -> tuple[int, int]:
    """Return the first and the last sample of speech, by energy in frames of 10 ms.

    Args:
        samples: Shape [T] at 16 kHz.
        below_peak_db: Frames this far under the loudest one are silence.

    Returns:
        Start and end as sample indices; (0, 0) if there is nothing but silence.
    """
    frame = audio.SAMPLE_RATE_HZ // 100
    n_frames = samples.size // frame
    energy = np.square(samples[: n_frames * frame], dtype=np.float64).reshape(-1, frame).mean(1)
    if n_frames == 0 or energy.max() < 1e-10:
        return 0, 0
    loud = np.flatnonzero(energy > energy.max() * 10 ** (-below_peak_db / 10))
    return int(loud[0]) * frame, (int(loud[-1]) + 1) * frame


def joined(short: Iterable[tuple[Recording, float]]) -> Iterator[Recording]:
    """Yield lists of words made of recordings that are too short by themselves.

    Args:
        short: Recordings, and the seconds of speech in each.
    """
    by_voice: dict[tuple[str, str], list[tuple[Recording, float]]] = defaultdict(list)
    for recording, speech_s in short:
        by_voice[recording.speaker, recording.language].append((recording, speech_s))
    for words in by_voice.values():
        group: list[Recording] = []
        length_s = 0.0
        for recording, speech_s in words:
            group.append(recording)
            length_s += speech_s
            if length_s >= JOINED_S:
                yield _join(group)
                group, length_s = [], 0.0


def stamp_lines(cache: Path) -> dict[str, list[str]]:
    """Return the captions of the drawing stamps by language: texts that need not be recorded."""
    lines: dict[str, set[str]] = defaultdict(set)
    for path in sorted((cache / _SHARE / "tuxpaint/stamps").rglob("*.txt")):
        for language, text in _captions(path).items():
            if len(text) >= 12:
                lines[language].add(text)
    return {language: sorted(texts) for language, texts in lines.items()}


def _join(group: list[Recording]) -> Recording:
    texts = [recording.text.rstrip(".!?") for recording in group]
    return replace(
        group[0],
        id=f"{group[0].id}+{len(group)}",
        paths=tuple(path for recording in group for path in recording.paths),
        text=", ".join(texts) + "." if all(texts) else "",
    )


def _decode(path: Path) -> FloatArray:
    if path.suffix == ".g722":
        return _decode_g722(path)
    return audio.read(path, minimum_s=0.0).samples


def _decode_g722(path: Path) -> FloatArray:
    """G.722 without a container: the decoder is given the format, and gives 16 kHz by itself."""
    import av

    encoded = path.read_bytes()
    if not encoded:
        raise AudioError(f"{path}: an empty file; fetch the package again")
    decoder = av.CodecContext.create("g722", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.layout = "mono"
    decoder.sample_rate = audio.SAMPLE_RATE_HZ
    blocks = [frame.to_ndarray().ravel() for frame in decoder.decode(av.Packet(encoded))]
    return np.concatenate(blocks).astype(np.float32) / 32768.0


def _relative(cache: Path, path: Path) -> str:
    return path.relative_to(cache).as_posix()


def _festvox(cache: Path) -> Iterator[Recording]:
    base = cache / _SHARE / "festival/voices/russian/msu_ru_nsh_clunits"
    script = base / "etc/txt.done.data"
    if not script.is_file():
        return
    for name, text in re.findall(r'\(\s*(\S+)\s+"([^"]*)"', script.read_text("utf-8")):
        path = base / "wav" / f"{name}.wav"
        if path.is_file():
            yield Recording(
                f"festvox-ru/{name}",
                (_relative(cache, path),),
                "festvox-ru-nsh",
                "ru",
                "BSD-like",
                "festvox-ru",
                text.replace("+", ""),
            )


def _fillets(cache: Path) -> Iterator[Recording]:
    base = cache / _SHARE / "games/fillets-ng"
    for language in ("cs", "nl"):
        texts: dict[str, str] = {}
        for script in sorted(base.glob(f"script/*/dialogs_{language}.lua")):
            texts |= _dialogue(script)
        for path in sorted(base.glob(f"sound/*/{language}/*.ogg")):
            role = re.search(r"(?:^|-)([mv])-", path.stem)
            if role and path.stem in texts:
                yield Recording(
                    f"fillets-{language}/{path.parts[-3]}/{path.stem}",
                    (_relative(cache, path),),
                    f"fillets-{language}-{role.group(1)}",
                    language,
                    "GPL-2",
                    f"fillets-ng-data-{language}",
                    texts[path.stem],
                )


def _dialogue(script: Path) -> dict[str, str]:
    pattern = r'dialogId\("([^"]+)".*?\)\s*dialogStr\("((?:[^"\\]|\\.)*)"\)'
    entries = re.findall(pattern, script.read_text("utf-8"), re.S)
    return {name: re.sub(r"\\(.)", r"\1", text) for name, text in entries}


def _asterisk(cache: Path) -> Iterator[Recording]:
    for folder, (language, speaker, licence) in _ASTERISK.items():
        base = cache / _SHARE / "asterisk/sounds" / folder
        for path in sorted(base.rglob("*.g722")):
            inside = path.relative_to(base)
            if inside.parts[0] == "silence" or _NOT_SPEECH.search(path.stem):
                continue
            yield Recording(
                f"asterisk-{language}/{inside.with_suffix('').as_posix()}",
                (_relative(cache, path),),
                speaker,
                language,
                licence,
                f"asterisk-core-sounds-{language}-g722",
            )


def _stamps(cache: Path) -> Iterator[Recording]:
    base = cache / _SHARE / "tuxpaint/stamps"
    for path in sorted(base.rglob("*_desc*.ogg")):
        stem, _, language = path.stem.partition("_desc")
        language = language.lstrip("_") or "en"
        if language not in _STAMP_LANGUAGES:
            continue
        yield Recording(
            f"tuxpaint-{language}/{(path.parent.relative_to(base) / stem).as_posix()}",
            (_relative(cache, path),),
            f"tuxpaint-{language}",
            language,
            "GPL-2",
            "tuxpaint-stamps-default",
            _captions(path.with_name(f"{stem}.txt")).get(language, ""),
        )


def _captions(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    captions: dict[str, str] = {}
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines()):
        language, mark, text = line.partition(".utf8=")
        if not mark:
            language, text = ("en", line) if number == 0 else ("", "")
        spoken = re.sub(r"\s*\([^)]*\)", "", text).strip()
        if language and spoken:
            captions.setdefault(language, spoken)
    return captions


def _words(cache: Path) -> Iterator[Recording]:
    base = cache / _SHARE / "ktuberling/sounds"
    for language in _WORD_LANGUAGES:
        for path in sorted((base / language).glob("*.*")):
            if path.suffix not in (".ogg", ".opus", ".wav") or not path.is_file():
                continue
            word = re.sub(r"^[a-z]+_(?=[a-z])|\d+$", "", path.stem).replace("_", " ").strip()
            yield Recording(
                f"ktuberling-{language}/{path.stem}",
                (_relative(cache, path),),
                f"ktuberling-{language}",
                language,
                "GPL-2+",
                "ktuberling-data",
                word if language == "en" else "",
            )
