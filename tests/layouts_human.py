"""Synthetic copies of corpora of human speech, awkward as the real ones, and of a table."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from corpus_layout import TONE_S, Expected, text, tones

SPEAKERS = (
    "; Some pipe(|) separated metadata about all LibriVox readers",
    ";ID  |SEX| SUBSET           |MINUTES| NAME",
    "84   | F | dev-clean        | 8.02  | Christie Nowak",
    "60   | M | train-clean-100  | 20.18 | | CBW Simon",
)
VOICE_COLUMNS = (
    "client_id\tpath\tsentence_id\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale"
)


def mp3(path: Path) -> None:
    """Write half a second of sound as MP3."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    wave = (9000 * np.sin(np.arange(int(TONE_S * 16_000)) / 10)).astype(np.int16)
    with av.open(str(path), "w") as file:
        track = file.add_stream("libmp3lame", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16p", layout="mono")
        frame.sample_rate = 16_000
        file.mux(track.encode(frame))
        file.mux(track.encode(None))


def librispeech(root: Path) -> Expected:
    base = root / "LibriSpeech"
    text(base / "SPEAKERS.TXT", *SPEAKERS)
    for part, speaker, chapter in (
        ("dev-clean", "84", "121123"),
        ("train-clean-100", "60", "121082"),
    ):
        folder, name = base / part / speaker / chapter, f"{speaker}-{chapter}"
        text(folder / f"{name}.trans.txt", f"{name}-0000 GO DO YOU HEAR", f"{name}-0001 BUT IN")
        tones(folder, f"{name}-0000.flac", f"{name}-0001.flac")
    return Expected({"dev-clean": (2, 0), "train-clean-100": (2, 0)})


def ljspeech(root: Path) -> Expected:
    base = root / "LJSpeech-1.1"
    text(
        base / "metadata.csv",
        'LJ001-0001|"Printing, in 1455|"Printing, in fourteen fifty-five',
        'LJ001-0002|in being "comparatively modern.|in being "comparatively modern.',
    )
    tones(base / "wavs", "LJ001-0001.wav", "LJ001-0002.wav")
    return Expected({"all": (2, 0)})


def vctk(root: Path) -> Expected:
    base = root / "VCTK-Corpus-0.92"
    text(
        base / "speaker-info.txt",
        "ID  AGE  GENDER  ACCENTS  REGION COMMENTS ",
        "p225  23  F    English    Southern  England",
        "p280  25  F    Unknown    France (mic2 files unavailable)",
        "p315  18  M    American   New England (Text unavailable)",
    )
    for sentence in ("p225/p225_001", "p280/p280_001"):
        text(base / f"txt/{sentence}.txt", "Please call Stella.")
    names = ("p225_001_mic1", "p225_001_mic2", "p280_001_mic1", "p315_001_mic1", "s5_001_mic1")
    tones(base / "wav48_silence_trimmed", *(f"{n.partition('_')[0]}/{n}.flac" for n in names))
    return Expected({"mic1": (4, 0), "mic2": (1, 0)})


def vctk_before(root: Path) -> Expected:
    base = root / "VCTK-Corpus"
    text(
        base / "speaker-info.txt",
        "ID  AGE  GENDER  ACCENTS  REGION ",
        "225  23  F    English    Southern  England",
        "376  22  M    Indian",
    )
    text(base / "txt/p225/p225_001.txt", "Please call Stella.")
    tones(base / "wav48", "p225/p225_001.wav", "p376/p376_001.wav")
    (base / "wav48/p376/p376_295.raw").write_bytes(b"\0" * 64)
    return Expected({"wav48": (2, 0)})


def common_voice(root: Path) -> Expected:
    release = root / "cv-corpus-17.0-2024-03-15"
    for language, accent in (("en", "Scottish English"), ("zh-CN", "")):
        folder = release / language
        cells = ["2", "0", "twenties", "female_feminine", accent, language]
        rows = {
            name: "\t".join([f"{number}f2e", f"common_voice_{language}_{number}.mp3", "id"])
            + f'\t"Where to?" {name}\t'
            + "\t".join(cells)
            for number, name in enumerate(("train", "dev", "test", "more"))
        }
        for part in ("train", "dev", "test"):
            text(folder / f"{part}.tsv", VOICE_COLUMNS, rows[part])
        text(folder / "validated.tsv", VOICE_COLUMNS, *rows.values())
        for number in range(5):
            mp3(folder / f"clips/common_voice_{language}_{number}.mp3")
    extra = (
        f"{release.name}/{language}/clips/common_voice_{language}_4.mp3"
        for language in ("en", "zh-CN")
    )
    return Expected(dict.fromkeys(("train", "dev", "test", "validated"), (2, 0)), tuple(extra))


def m_ailabs(root: Path) -> Expected:
    ozma = root / "en_US/by_book/female/judy_bieber/ozma_of_oz"
    text(
        ozma / "metadata.csv",
        'ozma_01_f000001|"Well," said 2 hens|"Well," said two hens',
        "ozma_01_f000002|No.|No.",
    )
    text(ozma / "metadata_mls.json", "{}")
    tones(ozma / "wavs", "ozma_01_f000001.wav", "ozma_01_f000002.wav")
    quijote = root / "es_ES/by_book/mix/don_quijote"
    text(
        quijote / "metadata_mls.json",
        '{"quijote_01_f000001.wav": {"original": "Nº 1.", "clean": "Número uno."}}',
    )
    tones(quijote / "wavs", "quijote_01_f000001.wav")
    tones(root / "uk_UK/by_book/male/shepel/kobzar/wavs", "kobzar_01_f000001.wav")
    return Expected({"en_US": (2, 0), "es_ES": (1, 0), "uk_UK": (1, 0)})


def jsut(root: Path) -> Expected:
    base = root / "jsut_ver1.1"
    text(base / "basic5000/transcript_utf8.txt", "BASIC5000_0001:水を:買う。", "BASIC5000_0002:木")
    tones(base / "basic5000/wav", "BASIC5000_0001.wav", "BASIC5000_0002.wav")
    text(base / "repeat500/transcript_utf8.txt", "REPEAT500_set1_001:水。")
    tones(base / "repeat500/wav", "REPEAT500_set1_001.wav")
    return Expected({"basic5000": (2, 0), "repeat500": (1, 0)})


def table(root: Path) -> Expected:
    text(root / "meta.csv", "path,label", "clips/1.wav,real", 'clips/2.wav,"fake"')
    tones(root, "clips/1.wav", "clips/2.wav", "clips/3.wav")
    return Expected({"eval": (1, 1)}, ("clips/3.wav",))


LAYOUTS: dict[str, Callable[[Path], Expected]] = {
    "common_voice": common_voice,
    "jsut": jsut,
    "librispeech": librispeech,
    "ljspeech": ljspeech,
    "m_ailabs": m_ailabs,
    "table": table,
    "vctk": vctk,
}
