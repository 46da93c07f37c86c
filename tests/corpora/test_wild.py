"""The traps of the spoof corpora in the wild, on copies of their layouts."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from audio_files import encoded, tone
from corpus_layout import TONE_S, text, tones
from layouts_wild import FAKEAVCELEB_HEADER, LAYOUTS, MLAAD_HEADER
from unheard import audio
from unheard.corpora import CORPORA, corpus_named
from unheard.corpora.codecfake_xie import voice
from unheard.corpora.corpus import parts_of
from unheard.corpora.importing import import_corpus
from unheard.data.clip import Clip, Manifest
from unheard.errors import CorpusError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "unpacked"


def clips(name: str, root: Path, *parts: str) -> dict[str, Clip]:
    corpus = CORPORA[name]
    listed = [c for part in parts or parts_of(corpus, root) for c in corpus.clips(root, part)]
    return {clip.id: clip for clip in listed}


def test_a_hyphen_in_bona_fide_loses_no_human_clip(root: Path) -> None:
    LAYOUTS["in_the_wild"](root)
    by_id = clips("in_the_wild", root)
    assert by_id["in_the_wild/4.wav"].bonafide
    assert by_id["in_the_wild/4.wav"].speaker == "in_the_wild/Christopher Hitchens"
    assert by_id["in_the_wild/0.wav"].attack == "unknown"


@pytest.mark.parametrize(
    ("name", "table", "old", "new", "remedy"),
    [
        ("in_the_wild", "release_in_the_wild/meta.csv", "bona-fide", "true", "check that this"),
        ("diffssd", "train_val_test_splits.csv", "train,1", "train,fake", "check that this is"),
        ("diffssd", "train_val_test_splits.csv", "train,1", "train,0", "contradict.*fetch the"),
        ("diffssd", "train_val_test_splits.csv", "train,1", "dev,1", "train, val or test wanted"),
        ("spoofceleb", "spoofceleb/metadata/train.csv", ",a01", ",spoof", "a01 to a23 wanted"),
        ("codecfake_xie", "label/train.txt", "fake 1", "spoofed! 1", "check that this is"),
        ("codecfake_xie", "label/train.txt", "fake 1", "fake 12", "1 to 7 wanted; fetch label"),
        ("codecfake_xie", "label/train.txt", "real 0", "real 3", "contradict.*fetch label"),
        ("fakeavceleb", "FakeAVCeleb/meta_data.csv", "B,RealVideo-FakeAudio", "B,Fake", "type"),
        ("fakeavceleb", "FakeAVCeleb/meta_data.csv", "_fake.mp4", "_fake.wav", "table of the vid"),
    ],
)
def test_a_wrong_word_in_a_table_names_its_line(
    root: Path, name: str, table: str, old: str, new: str, remedy: str
) -> None:
    LAYOUTS[name](root)
    before = (root / table).read_text()
    number = next(i for i, line in enumerate(before.splitlines(), 1) if old in line)
    (root / table).write_text(before.replace(old, new, 1))
    with pytest.raises(CorpusError, match=rf"{os.path.basename(table)}:{number}: .*{remedy}"):
        clips(name, root)


def test_every_variant_of_fake_or_real_is_a_part_of_its_own(root: Path) -> None:
    LAYOUTS["fake_or_real"](root)
    by_id = clips("fake_or_real", root)
    assert Counter(clip.notes["variant"] for clip in by_id.values()) == {
        "for-original": 3,
        "for-norm": 2,
        "for-2sec": 2,
    }
    assert "fake_or_real/for-original/training/fake/file1.mp3" in by_id
    assert "fake_or_real/for-original/training/fake/file1.wav" in by_id


@pytest.mark.parametrize(
    ("folder", "part", "variant"),
    [
        ("for-norm", "training", "for-norm"),
        ("for-rerecorded", "training", "for-rerec"),
        ("mine", "training", "unknown"),
    ],
)
def test_a_variant_of_fake_or_real_may_be_the_root(
    root: Path, folder: str, part: str, variant: str
) -> None:
    tones(root, f"{folder}/training/real/1.wav", f"{folder}/training/fake/2.wav")
    by_id = clips("fake_or_real", root / folder)
    assert {(clip.part, clip.notes["variant"]) for clip in by_id.values()} == {(part, variant)}


def test_a_variant_in_the_folder_of_its_archive_is_read(root: Path) -> None:
    tones(
        root, "for-rerec/for-rerecorded/testing/real/1.wav", "for-norm/for-norm/testing/fake/1.wav"
    )
    assert {clip.path for clip in clips("fake_or_real", root).values()} == {
        "for-rerec/for-rerecorded/testing/real/1.wav",
        "for-norm/for-norm/testing/fake/1.wav",
    }


def test_unreadable_files_of_for_original_are_reported_and_skipped(
    root: Path, tmp_path: Path
) -> None:
    folder = root / "for-original/training"
    tones(folder, "real/file1.wav", "fake/file2.wav")
    (folder / "fake/file3.mp3").write_bytes(encoded(tone(TONE_S), ".mp3"))
    (folder / "fake/file16643.mp3").write_bytes(b"")
    (folder / "real/file9.wav").write_bytes(encoded(tone(TONE_S), ".mp3"))
    (folder / "real/file10.wav").write_bytes(b"RIFF and no more")
    (folder / "fake/file4.mp3").mkdir()
    imported = import_corpus("fake_or_real", root, tmp_path / "for.parquet", headers=True)
    assert imported.counts == {"for-original/training": (2, 2)}
    unreadable = sorted(os.path.basename(path) for path in imported.unreadable)
    assert unreadable == ["file10.wav", "file16643.mp3"]
    assert len(Manifest.read(imported.manifest)) == 4


def test_bare_quotation_marks_in_transcripts_lose_no_row(root: Path) -> None:
    LAYOUTS["mlaad"](root)
    by_id = clips("mlaad", root)
    assert len(by_id) == 7
    first = by_id["mlaad/en/tts_models_en_ljspeech_vits/a"]
    assert first.text == 'She said: "Begin.'
    assert (first.attack, first.family) == ("tts_models_en_ljspeech_vits", "neural TTS")
    assert first.notes["version"] == "unknown"
    assert first.notes["original_file"].endswith("ozma_of_oz_01_f000001.wav")
    assert by_id["mlaad/ja/kokoro/c"].language == "ja"


def test_the_version_of_mlaad_can_be_set(root: Path) -> None:
    LAYOUTS["mlaad"](root)
    first = next(corpus_named("mlaad", {"version": "5"}).clips(root, "all"))
    assert first.notes["version"] == "5"


def test_a_path_of_mlaad_with_a_misspelt_language_is_read_next_to_its_table(root: Path) -> None:
    row = "./fake/zh/tts/x.wav|o.wav|zh-cn|True|1|d|m|griffin|t"
    text(root / "fake/zh-cn/griffin_lim/meta.csv", MLAAD_HEADER, row)
    (clip,) = clips("mlaad", root).values()
    assert clip.path == "fake/zh-cn/griffin_lim/x.wav"
    assert (clip.language, clip.family) == ("zh", "signal vocoder")


def test_human_speech_next_to_spoofed_clips_keeps_the_id_it_has_alone(root: Path) -> None:
    LAYOUTS["mlaad"](root / "m")
    LAYOUTS["wavefake"](root / "w")
    LAYOUTS["diffssd"](root / "d")
    human = {
        clip.id: clip
        for name, folder in (("mlaad", "m"), ("wavefake", "w"), ("diffssd", "d"))
        for clip in clips(name, root / folder).values()
        if clip.bonafide
    }
    alone = {
        **clips("m_ailabs", root / "m/real"),
        **clips("ljspeech", root / "w/real_audio"),
        **clips("jsut", root / "w/real_audio"),
    }
    assert alone.items() <= {i: _alone(clip, alone) for i, clip in human.items()}.items()
    assert human["librispeech/84-121123-0000"].speaker == "librispeech/84"
    assert human["ljspeech/LJ001-0001"].speaker == "ljspeech/lj"


def _alone(clip: Clip, alone: dict[str, Clip]) -> Clip:
    """The clip with what may differ when imported alone: path, part, text and codec."""
    other = alone.get(clip.id, clip)
    return replace(clip, path=other.path, part=other.part, text=other.text, codec=other.codec)


@pytest.mark.parametrize("name", ["real_speech_melgan", "bonafide", "ljspeech_melgan", "jsut_real"])
def test_every_clip_that_wavefake_generated_is_spoofed(root: Path, name: str) -> None:
    tones(root, f"generated_audio/{name}/LJ001-0001_gen.wav")
    (clip,) = clips("wavefake", root).values()
    assert not clip.bonafide
    assert clip.attack == name


def test_wavefake_names_vocoder_family_and_the_recording_a_clip_copies(root: Path) -> None:
    LAYOUTS["wavefake"](root)
    by_id = clips("wavefake", root)
    copied = by_id["wavefake/jsut_parallel_wavegan/BASIC5000_0001_gen"]
    assert (copied.family, copied.language) == ("neural vocoder", "ja")
    assert copied.source_clip in by_id
    assert by_id[copied.source_clip].bonafide
    assert by_id["wavefake/ljspeech_hifiGAN/LJ001-0001_gen"].family == "neural vocoder"
    talker = next(clip for clip in by_id.values() if "fastspeech2" in clip.attack)
    assert (talker.family, talker.source_clip) == ("neural TTS", "")
    assert talker.speaker == "ljspeech/lj"


def test_mp3_clips_of_diffssd_are_read(root: Path, tmp_path: Path) -> None:
    LAYOUTS["diffssd"](root)
    imported = import_corpus("diffssd", root, tmp_path / "d.parquet", headers=True)
    kept = {clip.id: clip for clip in Manifest.read(imported.manifest)}
    spoken = kept["diffssd/playht/speaker_84/sentence_0_british.mp3"]
    assert (spoken.attack, spoken.family, spoken.speaker) == ("playht", "unknown", "librispeech/84")
    assert kept["diffssd/grad_tts/sentence_0.wav"].family == "diffusion"
    assert kept["diffssd/xtts_v2/speaker_84/sentence_1.wav"].family == "neural TTS"


def test_the_purdue_set_is_diffssd(root: Path) -> None:
    LAYOUTS["purdue"](root)
    assert clips("purdue", root) == clips("diffssd", root)


def test_recordings_of_diffssd_that_were_not_fetched_are_missing(
    root: Path, tmp_path: Path
) -> None:
    LAYOUTS["diffssd"](root)
    (root / "real_speech").rename(tmp_path / "elsewhere")
    imported = import_corpus("diffssd", root, tmp_path / "d.parquet")
    assert imported.counts == {"train": (0, 1), "val": (0, 1), "test": (0, 2)}
    assert len(imported.missing) == 3


def test_attack_a00_of_spoofceleb_is_bona_fide(root: Path) -> None:
    LAYOUTS["spoofceleb"](root)
    by_id = clips("spoofceleb", root / "spoofceleb", "evaluation")
    assert {clip.attack for clip in by_id.values()} == {"-", "a03"}
    assert {clip.speaker for clip in by_id.values()} == {"voxceleb1/id10270"}


def test_the_first_line_of_a_codecfake_label_file_is_a_clip(root: Path) -> None:
    LAYOUTS["codecfake_xie"](root)
    by_id = clips("codecfake_xie", root, "train")
    first = by_id["codecfake_xie/train/SSB13650058"]
    assert (first.bonafide, first.speaker, first.language) == (True, "aishell3/SSB1365", "zh")
    last = by_id["codecfake_xie/train/F06_p272_103"]
    assert (last.attack, last.family, last.speaker) == ("F06", "neural codec", "vctk/p272")
    coded = by_id["codecfake_xie/train/F01_SSB13650058"]
    assert coded.source_clip == first.id


def test_codec_resynthesis_is_spoofed_in_both_corpora(root: Path) -> None:
    LAYOUTS["codecfake_xie"](root / "xie")
    LAYOUTS["codecfake_wu"](root / "wu")
    by_id = clips("codecfake_xie", root / "xie") | clips("codecfake_wu", root / "wu")
    codecs = [clip for clip in by_id.values() if clip.family == "neural codec"]
    assert not any(clip.bonafide for clip in codecs)
    assert {clip.attack for clip in codecs} >= {"F01", "F07", "encodec_24khz", "SpeechTokenizer"}


def test_language_models_of_codecfake_are_one_attack_for_each_part(root: Path) -> None:
    LAYOUTS["codecfake_xie"](root)
    clip = clips("codecfake_xie", root, "A3")["codecfake_xie/A3/100038"]
    assert (clip.attack, clip.family, clip.path) == ("A3", "unknown", "A3_fake/100038.wav")


@pytest.mark.parametrize(
    ("name", "other"), [("codecfake_xie", "codecfake_wu"), ("codecfake_wu", "codecfake_xie")]
)
def test_one_codecfake_given_as_the_other_is_refused(
    root: Path, tmp_path: Path, name: str, other: str
) -> None:
    LAYOUTS[other](root)
    with pytest.raises(CorpusError, match=f"import it as {other}"):
        import_corpus(name, root, tmp_path / "c.parquet")


def test_parts_of_codecfake_that_were_not_fetched_are_skipped(root: Path, tmp_path: Path) -> None:
    LAYOUTS["codecfake_xie"](root)
    text(root / "label/C2.txt", "SSB13650058.wav real 0")
    imported = import_corpus("codecfake_xie", root, tmp_path / "c.parquet")
    assert "C2" not in imported.counts
    assert imported.missing == ()


@pytest.mark.parametrize(
    ("name", "speaker"),
    [("F01_p272_103", "vctk/p272"), ("encodec_24khz+p272_103", "vctk/p272"), ("sample_1", "")],
)
def test_a_voice_is_known_by_the_name_of_its_file(name: str, speaker: str) -> None:
    assert voice(name)[0] == speaker


def test_speakers_of_codecfake_of_vctk_are_split_as_its_authors_split_them(root: Path) -> None:
    LAYOUTS["codecfake_wu"](root)
    by_id = clips("codecfake_wu", root)
    assert by_id["codecfake_wu/encodec_24khz/p226_001"].part == "dev"
    assert by_id["codecfake_wu/encodec_24khz/p227_001"].part == "eval"
    assert by_id["codecfake_wu/genuine/p272_103"].part == "train"
    coded = by_id["codecfake_wu/encodec_24khz/p272_103"]
    assert coded.source_clip == by_id["codecfake_wu/genuine/p272_103"].id
    talker = by_id["codecfake_wu/valle/sample_1"]
    assert (talker.part, talker.family) == ("eval", "neural TTS")


def test_clips_of_one_system_in_folders_of_their_own_have_ids_of_their_own(root: Path) -> None:
    tones(root, "valle/one/1.wav", "valle/two/1.wav", "genuine/p225/p225_001.wav")
    by_id = clips("codecfake_wu", root)
    assert {"codecfake_wu/valle/one/1", "codecfake_wu/valle/two/1"} <= set(by_id)
    assert by_id["codecfake_wu/genuine/p225/p225_001"].speaker == "vctk/p225"
    alone = clips("codecfake_wu", root / "genuine")
    assert [clip.attack for clip in alone.values()] == ["-"]


def _hub_table(path: Path, labels: list[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    sound = {"bytes": encoded(tone(TONE_S), ".flac"), "path": "x.flac"}
    codecs = ["genuine" if label == "genuine" else "encodec_24khz" for label in labels]
    columns = {"label": labels, "speaker_id": ["p272"] * len(labels), "codec_name": codecs}
    pq.write_table(pa.table({"audio": [sound] * len(labels)} | columns), path)


def test_codecfake_of_vctk_is_read_out_of_its_parquet_tables(root: Path, tmp_path: Path) -> None:
    _hub_table(root / "data/train-00000-of-00001.parquet", ["spoofing", "genuine"])
    imported = import_corpus("codecfake_wu", root, tmp_path / "c.parquet")
    manifest = Manifest.read(imported.manifest)
    assert imported.counts["train"] == (1, 1)
    for clip in manifest:
        assert audio.read(manifest.audio(clip)).duration_s == pytest.approx(TONE_S, abs=0.1)
        assert clip.bonafide == (clip.attack == "-")


def test_tables_that_are_not_of_codecfake_say_what_is_wrong(root: Path) -> None:
    table = root / "data/train-00000-of-00001.parquet"
    _hub_table(table, ["fake?"])
    with pytest.raises(CorpusError, match=r"row 0: label .fake\?..*check that this is"):
        clips("codecfake_wu", root)
    table.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(CorpusError, match=r"not a readable Parquet file.*git lfs pull"):
        clips("codecfake_wu", root)


def test_fakeavceleb_takes_the_sound_of_a_video(root: Path, tmp_path: Path) -> None:
    LAYOUTS["fakeavceleb"](root)
    imported = import_corpus("fakeavceleb", root, tmp_path / "f.parquet", headers=True)
    manifest = Manifest.read(imported.manifest)
    human = {clip.part for clip in manifest if clip.bonafide}
    assert human == {"RealVideo-RealAudio", "FakeVideo-RealAudio"}
    for clip in manifest:
        assert clip.path.endswith(".mp4")
        assert audio.read(manifest.audio(clip)).duration_s == pytest.approx(TONE_S, abs=0.1)


def test_a_video_listed_twice_is_one_clip_with_both_methods(root: Path) -> None:
    LAYOUTS["fakeavceleb"](root)
    (clip,) = clips("fakeavceleb", root, "FakeVideo-FakeAudio").values()
    assert clip.attack == "faceswap-wav2lip"
    assert clip.notes["method_also"] == "wav2lip"
    assert clip.notes["target1"] == "id02561"
    (cloned,) = clips("fakeavceleb", root, "RealVideo-FakeAudio").values()
    assert (cloned.attack, cloned.family) == ("rtvc", "neural TTS")


@pytest.mark.parametrize(
    ("header", "end"),
    [
        (FAKEAVCELEB_HEADER, "9.mp4,FakeAVCeleb/RealVideo-FakeAudio/African/men/id1"),
        (FAKEAVCELEB_HEADER.rstrip(","), "9.mp4,FakeAVCeleb/RealVideo-FakeAudio/African/men/id1"),
        (FAKEAVCELEB_HEADER.rstrip(","), "9.mp4"),
        (FAKEAVCELEB_HEADER + "filename", "FakeAVCeleb/RealVideo-FakeAudio/African/men/id1,9.mp4"),
    ],
)
def test_the_folder_of_a_video_is_found_however_its_column_is_called(
    root: Path, header: str, end: str
) -> None:
    row = f"id1,-,-,rtvc,B,RealVideo-FakeAudio,African,men,{end}"
    text(root / "meta_data.csv", header, row)
    (clip,) = clips("fakeavceleb", root, "RealVideo-FakeAudio").values()
    assert clip.path == "RealVideo-FakeAudio/African/men/id1/9.mp4"


def test_a_video_without_folder_or_columns_of_it_is_refused(root: Path) -> None:
    text(root / "meta_data.csv", "source,method,type,path", "id1,rtvc,RealVideo-FakeAudio,9.mp4")
    with pytest.raises(CorpusError, match=r"meta_data.csv:2: .*fetch the table again"):
        clips("fakeavceleb", root)
