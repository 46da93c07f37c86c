"""Synthetic copies of the corpora of spoofed speech that are not of the ASVspoof challenges."""

from collections.abc import Callable
from pathlib import Path

from audio_files import encoded, tone, video
from corpus_layout import TONE_S, Expected, text, tones

MLAAD_HEADER = (
    "path|original_file|language|is_original_language|duration|training_data|model_name|"
    "architecture|transcript"
)
FAKEAVCELEB_HEADER = "source,target1,target2,method,category,type,race,gender,path,"


def in_the_wild(root: Path) -> Expected:
    text(
        root / "release_in_the_wild/meta.csv",
        "file,speaker,label",
        "0.wav,Alec Guinness,spoof",
        "1.wav,Alec Guinness,spoof",
        "4.wav,Christopher Hitchens,bona-fide",
    )
    tones(root, *(f"release_in_the_wild/{number}.wav" for number in (0, 1, 4)))
    return Expected({"all": (1, 2)})


def fake_or_real(root: Path) -> Expected:
    norm = "wav_16k.wav_norm.wav_mono.wav_silence.wav"
    tones(
        root,
        "for-original/training/real/file1.wav",
        "for-original/training/fake/file1.wav",
        f"for-norm/testing/real/file1044.{norm}",
        f"for-norm/testing/fake/file7.{norm}",
        "for-2seconds/validation/real/file3.wav",
        "for-2seconds/validation/fake/file3.wav",
    )
    mp3(root, "for-original/training/fake/file1.mp3")
    return Expected(
        {
            "for-original/training": (1, 2),
            "for-norm/testing": (1, 1),
            "for-2sec/validation": (1, 1),
        }
    )


def mlaad(root: Path) -> Expected:
    book = "en_US/by_book/female/judy_bieber/ozma_of_oz"
    for folder, language, original in (
        ("fake/en/tts_models_en_ljspeech_vits", "en", f"{book}/wavs/ozma_of_oz_01_f000001.wav"),
        ("fake/ja/kokoro", "ja", f"{book}/wavs/ozma_of_oz_01_f000001.wav"),
    ):
        text(
            root / folder / "meta.csv",
            MLAAD_HEADER,
            f'./{folder}/a.wav|{original}|{language}|True|0.5|lj|m/a|vits|She said: "Begin.',
            f"./{folder}/b.wav|{original}|{language}|True|0.5|lj|m/a|vits|And no mark here.",
            f'./{folder}/c.wav|{original}|{language}|True|0.5|lj|m/a|vits|"At the end" he said',
        )
        tones(root, *(f"{folder}/{name}.wav" for name in "abc"))
    text(root / "real" / book / "metadata.csv", "ozma_of_oz_01_f000001|To My Readers|To my readers")
    tones(root, f"real/{book}/wavs/ozma_of_oz_01_f000001.wav")
    return Expected({"all": (1, 6)})


def wavefake(root: Path) -> Expected:
    tones(
        root,
        "generated_audio/ljspeech_melgan/LJ001-0001_gen.wav",
        "generated_audio/ljspeech_hifiGAN/LJ001-0001_gen.wav",
        "generated_audio/jsut_parallel_wavegan/BASIC5000_0001_gen.wav",
        "generated_audio/common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech/gen_0.wav",
        "real_audio/LJSpeech-1.1/wavs/LJ001-0001.wav",
        "real_audio/jsut_ver1.1/basic5000/wav/BASIC5000_0001.wav",
    )
    text(root / "real_audio/LJSpeech-1.1/metadata.csv", "LJ001-0001|Printing|Printing")
    text(root / "real_audio/jsut_ver1.1/basic5000/transcript_utf8.txt", "BASIC5000_0001:水を")
    return Expected({"all": (2, 4)})


def diffssd(root: Path) -> Expected:
    text(
        root / "train_val_test_splits.csv",
        "filename,set,label",
        "real_speech/ljspeech/LJ001-0001.wav,train,0",
        "generated_speech/grad_tts/sentence_0.wav,train,1",
        "real_speech/ljspeech/LJ001-0002.wav,val,0",
        "generated_speech/xtts_v2/speaker_84/sentence_1.wav,val,1",
        "real_speech/librispeech/dev-clean/84/121123/84-121123-0000.flac,test,0",
        "generated_speech/playht/speaker_84/sentence_0_british.mp3,test,1",
        "generated_speech/unit_speech/speaker_84/sentence_0.wav,test,1",
    )
    tones(
        root,
        "real_speech/LJSpeech-1.1/wavs/LJ001-0001.wav",
        "real_speech/LJSpeech-1.1/wavs/LJ001-0002.wav",
        "real_speech/LibriSpeech/dev-clean/84/121123/84-121123-0000.flac",
        "generated_speech/grad_tts/sentence_0.wav",
        "generated_speech/xtts_v2/speaker_84/sentence_1.wav",
        "generated_speech/unit_speech/speaker_84/sentence_0.wav",
    )
    mp3(root, "generated_speech/playht/speaker_84/sentence_0_british.mp3")
    return Expected({"train": (1, 1), "val": (1, 1), "test": (1, 2)})


def spoofceleb(root: Path) -> Expected:
    parts = {"train": "id10001", "development": "id10310", "evaluation": "id10270"}
    for number, (part, speaker) in enumerate(parts.items(), start=1):
        files = [f"{attack}/{speaker}/x-00002-006.flac" for attack in ("a00", f"a{number:02d}")]
        rows = [f"{file},{speaker},{file[:3]}" for file in files]
        text(root / f"spoofceleb/metadata/{part}.csv", "file,speaker,attack", *rows)
        tones(root, *(f"spoofceleb/flac/{part}/{file}" for file in files))
    return Expected(dict.fromkeys(parts, (1, 1)))


def codecfake_xie(root: Path) -> Expected:
    places = {"train": "train", "dev": "dev", "C1": "test/C1", "C7": "test/C7", "A3": "A3_fake"}
    fakes = {
        "train": ("F01_SSB13650058.wav fake 1", "F06_p272_103.wav fake 6"),
        "dev": ("F02_SSB13650058.wav fake 2",),
        "C1": ("F01_p272_103.wav fake 1",),
        "C7": ("F07_SSB13650058.wav fake 7",),
        "A3": ("100038.wav fake 3",),
    }
    for part, place in places.items():
        rows = ("SSB13650058.wav real 0", *fakes[part])
        text(root / f"label/{part}.txt", *rows)
        tones(root, *(f"{place}/{row.split()[0]}" for row in rows))
    return Expected({part: (1, len(rows)) for part, rows in fakes.items()})


def codecfake_wu(root: Path) -> Expected:
    tones(
        root,
        "encodec_24khz/encodec_24khz+p272_103.wav",
        "encodec_24khz/encodec_24khz+p226_001.wav",
        "encodec_24khz/encodec_24khz+p227_001.wav",
        "SpeechTokenizer/SpeechTokenizer+p272_103.wav",
        "genuine/genuine+p272_103.wav",
        "genuine/p226_001.wav",
        "genuine/p227_001.wav",
        "valle/sample_1.wav",
        "notes/spoken.wav",
    )
    return Expected({"train": (1, 2), "dev": (1, 1), "eval": (1, 2)}, extra=("notes/spoken.wav",))


def fakeavceleb(root: Path) -> Expected:
    rows = (
        ("id00076,-,-,real,A", "RealVideo-RealAudio,African,men", "00109.mp4"),
        ("id00076,-,-,rtvc,B", "RealVideo-FakeAudio,African,men", "00109_fake.mp4"),
        ("id00863,-,-,fsgan,C", "FakeVideo-RealAudio,Asian (East),men", "00069_3.mp4"),
        ("id00863,id02561,-,faceswap-wav2lip,D", "FakeVideo-FakeAudio,Asian (East),men", "7.mp4"),
        ("id00863,id02561,-,wav2lip,D", "FakeVideo-FakeAudio,Asian (East),men", "7.mp4"),
    )
    lines = []
    for who, what, name in rows:
        folder = f"FakeAVCeleb/{what.replace(',', '/')}/{who.partition(',')[0]}"
        lines.append(f"{who},{what},{name},{folder}")
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / name).write_bytes(video(TONE_S, sound=tone(TONE_S, 48_000)))
    text(root / "FakeAVCeleb/meta_data.csv", FAKEAVCELEB_HEADER, *lines)
    return Expected(
        {
            "RealVideo-RealAudio": (1, 0),
            "RealVideo-FakeAudio": (0, 1),
            "FakeVideo-RealAudio": (1, 0),
            "FakeVideo-FakeAudio": (0, 1),
        }
    )


def had(root: Path) -> Expected:
    for part, names in (
        ("train", ("HAD_train_fake_00000001", "HAD_train_real_00000001")),
        ("dev", ("HAD_dev_fake_00000001", "HAD_dev_real_00000001")),
        ("test", ("HAD_test_00000001", "HAD_test_00000002")),
    ):
        text(
            root / f"HAD/HAD_{part}/HAD_{part}_label.txt",
            f"{names[0]} 0.00-0.10-T/0.10-0.30-F/0.30-0.50-T 0",
            f"{names[1]} 0.00-0.50-T 1",
        )
        place = {"train": "train/conbine", "dev": "conbine", "test": "test/test"}[part]
        tones(root, *(f"HAD/HAD_{part}/{place}/{name}.wav" for name in names))
    return Expected({"train": (1, 1), "dev": (1, 1), "test": (1, 1)})


def llama_partial_spoof(root: Path) -> Expected:
    human, utterance = "dev-clean_1462_170145_000020_000002", "1272_128104_000007_000001"
    whole, faded = (f"dev01-cosyvoice-{how}_{utterance}" for how in ("full", "partial-cf"))
    pasted = f"dev01-cosyvoice-partial-cp_{utterance}"
    text(
        root / "label_R01TTS.0.a.txt",
        f"{human} 0.5000 bonafide 0.0000-0.5000-bonafide",
        f"{whole} 0.5000 spoof 0.0000-0.5000-spoof",
        f"{faded} 0.5000 spoof 0.0000-0.0970-bonafide 0.0970-0.3000-spoof 0.3000-0.5000-bonafide",
    )
    text(
        root / "label_R01TTS.0.b.txt",
        f"{pasted} 0.5000 spoof 0.0000-0.2000-spoof 0.2000-0.3000-spoof 0.3000-0.5000-bonafide",
    )
    tones(root, *(f"R01TTS.0.a/{name}.wav" for name in (human, whole, faded)))
    tones(root, f"R01TTS.0.b/{pasted}.wav")
    return Expected({"R01TTS.0.a": (1, 2), "R01TTS.0.b": (0, 1)})


def mp3(root: Path, name: str) -> None:
    """Write half a second of sound as .mp3."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(encoded(tone(TONE_S), ".mp3"))


LAYOUTS: dict[str, Callable[[Path], Expected]] = {
    "codecfake_wu": codecfake_wu,
    "codecfake_xie": codecfake_xie,
    "diffssd": diffssd,
    "fake_or_real": fake_or_real,
    "fakeavceleb": fakeavceleb,
    "had": had,
    "in_the_wild": in_the_wild,
    "llama_partial_spoof": llama_partial_spoof,
    "mlaad": mlaad,
    "purdue": diffssd,
    "spoofceleb": spoofceleb,
    "wavefake": wavefake,
}
