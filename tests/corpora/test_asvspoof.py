"""The ASVspoof corpora are read by their own columns, with the traps that other readers fell in."""

from pathlib import Path

import pytest

import layouts_asvspoof
from corpus_layout import text
from unheard.corpora import CORPORA
from unheard.data.clip import Clip
from unheard.errors import CorpusError

DF_KEYS = "keys/DF/CM/trial_metadata.txt"
LA_KEYS = "keys/LA/CM/trial_metadata.txt"
TRAIN_5 = "ASVspoof5_protocols/ASVspoof5.train.tsv"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("asvspoof2019_pa", "asvspoof2021_la", "asvspoof2021_df", "asvspoof5"):
        layouts_asvspoof.LAYOUTS[name](tmp_path)
    return tmp_path


def clips(name: str, root: Path, part: str) -> dict[str, Clip]:
    return {clip.id.split("/")[1]: clip for clip in CORPORA[name].clips(root, part)}


def test_pa_attacks_are_replay_in_an_environment(root: Path) -> None:
    spoof = clips("asvspoof2019_pa", root, "dev")["PA_D_0005401"]
    assert (spoof.attack, spoof.family, spoof.notes) == ("AB", "replay", {"environment": "aac"})
    assert spoof.path == "PA/ASVspoof2019_PA_dev/flac/PA_D_0005401.flac"
    assert spoof.speaker == "asvspoof2019_pa/PA_0079"


def test_a_subset_of_2021_is_a_part_and_the_usual_number_is_eval(root: Path) -> None:
    assert set(clips("asvspoof2021_la", root, "eval")) == {"LA_E_9332881", "LA_E_5085671"}
    assert set(clips("asvspoof2021_la", root, "progress")) == {"LA_E_5013670"}
    assert set(clips("asvspoof2021_la", root, "hidden")) == {"LA_E_1665632"}


def test_la_keys_give_codec_transmission_and_trim(root: Path) -> None:
    spoof = clips("asvspoof2021_la", root, "eval")["LA_E_9332881"]
    assert (spoof.bonafide, spoof.attack, spoof.family) == (False, "A07", "signal vocoder")
    assert (spoof.codec, spoof.speaker) == ("alaw", "asvspoof2021_la/LA_0009")
    assert spoof.notes == {"subset": "eval", "transmission": "ita_tx", "trim": "notrim"}
    hidden = clips("asvspoof2021_la", root, "hidden")["LA_E_1665632"]
    assert hidden.notes["trim"] == "trim"


def test_bonafide_as_the_name_of_an_attack_is_no_attack(root: Path) -> None:
    human = clips("asvspoof2021_la", root, "eval")["LA_E_5085671"]
    assert (human.bonafide, human.attack, human.family) == (True, "-", "-")


def test_df_keys_have_thirteen_columns(root: Path) -> None:
    by_name = clips("asvspoof2021_df", root, "eval")
    vcc, human = by_name["DF_E_2000013"], by_name["DF_E_2000058"]
    assert (vcc.attack, vcc.family, vcc.codec) == ("Task1-team20", "conversion", "low_m4a")
    assert vcc.language == ""
    assert vcc.notes == {
        "subset": "eval",
        "compression": "low_m4a",
        "source": "vcc2020",
        "trim": "notrim",
        "vocoder": "neural_vocoder_nonautoregressive",
        "task": "Task1",
        "team": "team20",
        "genders": "FF",
        "language": "E",
    }
    assert (human.bonafide, human.language, human.notes["vocoder"]) == (True, "en", "bonafide")
    progress = clips("asvspoof2021_df", root, "progress")["DF_E_2000011"]
    assert (progress.codec, progress.family) == ("none", "conversion")  # A14 converts a voice
    assert "task" not in progress.notes


def test_df_keys_of_eight_columns_are_read_too(root: Path) -> None:
    short = [" ".join(line.split()[:8]) for line in (root / DF_KEYS).read_text().splitlines()]
    whole = clips("asvspoof2021_df", root, "eval")
    text(root / DF_KEYS, *short)
    by_name = clips("asvspoof2021_df", root, "eval")
    assert by_name.keys() == whole.keys()
    assert by_name["DF_E_2000013"].attack == "Task1-team20"
    assert "vocoder" not in by_name["DF_E_2000013"].notes


def test_asvspoof5_is_space_separated_and_its_first_line_is_a_trial(root: Path) -> None:
    by_name = clips("asvspoof5", root, "train")
    assert list(by_name) == ["T_0000000001", "T_0000000002", "T_0000000003"]
    spoof = by_name["T_0000000002"]
    assert (spoof.bonafide, spoof.attack, spoof.speaker) == (False, "A14", "asvspoof5/T_0001")
    assert spoof.notes == {"gender": "F", "attack_tag": "AC1"}
    assert by_name["T_0000000001"].bonafide
    assert by_name["T_0000000001"].attack == "-"
    assert by_name["T_0000000001"].licence == "CC-BY-4.0"


def test_asvspoof5_gives_the_codec_and_the_clip_that_was_coded(root: Path) -> None:
    by_name = clips("asvspoof5", root, "eval")
    assert by_name["E_0000000001"].codec == "none"
    coded = by_name["E_0000000003"]
    assert (coded.codec, coded.source_clip) == ("C05", "asvspoof5/E_0000000001")
    assert coded.notes["codec_quality"] == "3"
    assert coded.path == "flac_E_eval/E_0000000003.flac"


def test_tables_of_asvspoof5_may_lie_in_the_root(root: Path) -> None:
    whole = clips("asvspoof5", root, "train")
    (root / TRAIN_5).rename(root / Path(TRAIN_5).name)
    assert clips("asvspoof5", root, "train") == whole


@pytest.mark.parametrize(
    ("name", "part", "file", "row", "message"),
    [
        (
            "asvspoof5",
            "train",
            TRAIN_5,
            "T_1 T_2 F AC1 A01 spoof",
            r"train.tsv:1: .* has 6 columns, 10 wanted; .*early release",
        ),
        (
            "asvspoof5",
            "train",
            TRAIN_5,
            "T_1 T_2 F - - - AC1 A01 fraud -",
            "label 'fraud'; one of 'bonafide'",
        ),
        (
            "asvspoof5",
            "train",
            TRAIN_5,
            "T_1 T_2 F - - - AC1 bonafide spoof -",
            r"tsv:1: the key says spoofed and the attack is '-'.*fetch the protocol again",
        ),
        (
            "asvspoof2021_df",
            "eval",
            DF_KEYS,
            "LA_1 DF_1 nocodec asvspoof A14 spoof notrim eval x -",
            "has 10 columns, 13 or 8 wanted; give the full keys",
        ),
        (
            "asvspoof2021_la",
            "eval",
            LA_KEYS,
            "LA_1 LA_E_1 alaw ita_tx A07 spoof notrim dev",
            "subset 'dev', one of eval, progress, hidden wanted; give the full keys",
        ),
        (
            "asvspoof2021_la",
            "eval",
            LA_KEYS,
            "LA_0007-alaw-ita_tx LA_E_5013670-alaw-ita_tx alaw ita_tx A07 target notrim eval",
            "label 'target'",  # the keys of speaker verification
        ),
        (
            "asvspoof2021_la",
            "eval",
            LA_KEYS,
            "version https://git-lfs.github.com/spec/v1",
            "Git LFS pointer and not the table itself; run `git lfs pull`",
        ),
    ],
)
def test_a_malformed_protocol_is_refused_with_its_line(
    root: Path, name: str, part: str, file: str, row: str, message: str
) -> None:
    text(root / file, row)
    with pytest.raises(CorpusError, match=message):
        list(CORPORA[name].clips(root, part))


@pytest.mark.parametrize("above", ["LA-keys-full/", "ASVspoof2021_LA_eval/"])
def test_keys_are_found_where_archives_unpack(root: Path, above: str) -> None:
    whole = clips("asvspoof2021_la", root, "eval")
    (root / above / "keys").mkdir(parents=True)
    (root / "keys/LA").rename(root / above / "keys/LA")
    assert clips("asvspoof2021_la", root, "eval") == whole


def test_audio_is_found_one_folder_further_down(root: Path) -> None:
    (root / "ASVspoof2021_LA_eval").rename(root / "inner")
    (root / "ASVspoof2021_LA_eval").mkdir()
    (root / "inner").rename(root / "ASVspoof2021_LA_eval/ASVspoof2021_LA_eval")
    assert all(
        (root / clip.path).is_file() for clip in clips("asvspoof2021_la", root, "eval").values()
    )


@pytest.mark.parametrize("name", sorted(layouts_asvspoof.LAYOUTS.keys() - {"folders"}))
def test_counts_add_up_to_what_is_known_of_the_whole(name: str) -> None:
    known = {
        "asvspoof2019_la": (12_483, 108_978),
        "asvspoof2019_pa": (28_890, 189_540),
        "asvspoof2021_la": (18_452, 163_114),
        "asvspoof2021_df": (22_617, 589_212),
        "asvspoof5": (188_819, 815_262),
        "partial_spoof": (12_483, 108_978),
    }
    lines = {
        "asvspoof2021_la": {"eval": 148_176, "progress": 16_464, "hidden": 16_926},
        "asvspoof2021_df": {"eval": 533_928, "progress": 59_325, "hidden": 18_576},
        "asvspoof5": {"train": 182_357, "dev": 140_950, "eval": 680_774},
    }
    published = CORPORA[name].published
    assert tuple(map(sum, zip(*published.values(), strict=True))) == known[name]
    for part, n_lines in lines.get(name, {}).items():
        assert sum(published[part]) == n_lines
