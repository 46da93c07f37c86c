"""Recordings are found with speaker, language and text, and nothing that is not speech."""

from pathlib import Path

import numpy as np
import pytest

from unheard import audio
from unheard.audio.codecs import encode
from unheard.corpora.open import speech
from unheard.corpora.open.speech import Recording, catalogue, joined, load, stamp_lines
from unheard.errors import AudioError, CorpusError

SHARE = "root/usr/share"
TONE = (0.3 * np.sin(np.arange(16_000) / 5)).astype(np.float32)


def put(cache: Path, path: str, content: bytes | str = b"audio") -> Path:
    target = cache / SHARE / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return target


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    russian = "festival/voices/russian/msu_ru_nsh_clunits"
    put(tmp_path, f"{russian}/etc/txt.done.data", '( ru_0001 "Прядь вол+ос." )\n( ru_9 "нет" )\n')
    put(tmp_path, f"{russian}/wav/ru_0001.wav")
    game = "games/fillets-ng"
    put(
        tmp_path,
        f"{game}/script/airplane/dialogs_cs.lua",
        'dialogId("let-m-oko", "font_small", "This is \\"an\\" eye.")\n'
        'dialogStr("To je \\"oko\\".")\n'
        'dialogId("let-hs-x", "font_big", "x")\ndialogStr("Strašidlo.")\n',
    )
    for name in ("let-m-oko", "let-hs-x", "let-v-unwritten"):
        put(tmp_path, f"{game}/sound/airplane/cs/{name}.ogg")
    put(tmp_path, f"{game}/sound/airplane/en/let-m-oko.ogg")
    asterisk = "asterisk/sounds"
    for name in ("en_US_f_Allison/vm-saved", "en_US_f_Allison/beep", "en_US_f_Allison/silence/1"):
        put(tmp_path, f"{asterisk}/{name}.g722")
    put(tmp_path, f"{asterisk}/es_MX_f_Allison/vm-saved.g722")
    stamp = "tuxpaint/stamps/animals/cat"
    put(tmp_path, f"{stamp}.txt", "A small cat sits ($.25).\nfr.utf8=Un petit chat (assis).\n")
    for name in (f"{stamp}_desc_fr.ogg", f"{stamp}_desc_ml.ogg", f"{stamp}.ogg"):
        put(tmp_path, name)
    put(tmp_path, "ktuberling/sounds/en/egypt_camel.ogg")
    put(tmp_path, "ktuberling/sounds/wa/egypt_camel.ogg")
    return tmp_path


def test_recordings_carry_speaker_language_and_text(cache: Path) -> None:
    carried = {r.id: (r.speaker, r.language, r.text) for r in catalogue(cache)}
    assert carried == {
        "festvox-ru/ru_0001": ("festvox-ru-nsh", "ru", "Прядь волос."),
        "fillets-cs/airplane/let-m-oko": ("fillets-cs-m", "cs", 'To je "oko".'),
        "asterisk-en/vm-saved": ("asterisk-allison", "en", ""),
        "asterisk-es/vm-saved": ("asterisk-allison", "es", ""),
        "tuxpaint-fr/animals/cat": ("tuxpaint-fr", "fr", "Un petit chat."),
        "ktuberling-en/egypt_camel": ("ktuberling-en", "en", "camel"),
    }


def test_captions_are_texts_of_every_language_they_come_in(cache: Path) -> None:
    assert stamp_lines(cache) == {"en": ["A small cat sits."], "fr": ["Un petit chat."]}


def test_an_empty_cache_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="Build again with a working package archive"):
        catalogue(tmp_path)


def test_g722_is_decoded_at_its_own_rate(tmp_path: Path) -> None:
    wav = encode(TONE, "g722")
    raw = wav[wav.index(b"data") + 8 :]
    put(tmp_path, "a.g722", raw)
    recording = Recording("a", (f"{SHARE}/a.g722",), "s", "en", "x", "p")
    decoded = load(tmp_path, recording)
    assert decoded.size == pytest.approx(TONE.size, abs=64)
    spectrum = np.abs(np.fft.rfft(decoded[:16_000]))
    assert abs(np.argmax(spectrum) - 16_000 / (2 * np.pi * 5)) <= 1


def test_an_empty_g722_file_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.g722", b"")
    with pytest.raises(AudioError, match="fetch the package again"):
        load(tmp_path, Recording("a", (f"{SHARE}/a.g722",), "s", "en", "x", "p"))


def test_words_are_joined_in_order_with_pauses(tmp_path: Path) -> None:
    words = []
    for n in range(7):
        audio.write(tmp_path / f"{n}.wav", TONE)
        words.append((Recording(f"w/{n}", (f"{n}.wav",), "s", "en", "x", "p", f"word {n}."), 1.0))
    lists = list(joined(words))
    assert [r.text for r in lists] == ["word 0, word 1, word 2.", "word 3, word 4, word 5."]
    samples = load(tmp_path, lists[0])
    least, most = (3.0 + 2 * pause for pause in speech.PAUSE_S)
    assert least <= samples.size / 16_000 <= most + 0.01
    np.testing.assert_array_equal(samples, load(tmp_path, lists[0]))


def test_words_of_two_speakers_are_never_joined() -> None:
    words = [(Recording(str(n), ("x",), f"s{n % 2}", "en", "x", "p"), 1.0) for n in range(4)]
    assert list(joined(words)) == []
