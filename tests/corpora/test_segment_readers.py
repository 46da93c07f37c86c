"""Do segment labels of HAD and LlamaPartialSpoof become stretches? Are wrong ones refused?"""

from pathlib import Path

import pytest

from layouts_wild import had, llama_partial_spoof
from unheard.corpora.had import Had
from unheard.corpora.llama_partial_spoof import LlamaPartialSpoof
from unheard.data.segment_labels import Stretch, read_stretches
from unheard.errors import CorpusError


def test_fake_pieces_of_had_become_stretches(tmp_path: Path) -> None:
    had(tmp_path)
    fake, human = Had().clips(tmp_path, "test")
    assert read_stretches(fake.notes["segments"]) == (Stretch(0.1, 0.3, False),)
    assert read_stretches(human.notes["segments"]) == ()


def test_audio_of_had_is_found_where_the_archives_were_unpacked(tmp_path: Path) -> None:
    had(tmp_path)
    place = tmp_path / "HAD/HAD_train"
    (place / "train/conbine").rename(place / "conbine")
    (place / "train").rmdir()
    fake, _ = Had().clips(tmp_path, "train")
    assert (tmp_path / fake.path).is_file()
    inside, _ = Had().clips(tmp_path / "HAD", "train")
    assert (tmp_path / "HAD" / inside.path).is_file()


def test_pieces_of_llama_partial_spoof_become_stretches_and_its_names_are_read(
    tmp_path: Path,
) -> None:
    llama_partial_spoof(tmp_path)
    human, whole, faded = LlamaPartialSpoof().clips(tmp_path, "R01TTS.0.a")
    assert read_stretches(human.notes["segments"]) == ()
    assert read_stretches(whole.notes["segments"]) == (Stretch(0.0, 0.5, False),)
    assert read_stretches(faded.notes["segments"]) == (Stretch(0.097, 0.3, False),)
    assert (faded.attack, faded.speaker) == (
        "cosyvoice-partial-cf",
        "llama_partial_spoof/1272",
    )
    (pasted,) = LlamaPartialSpoof().clips(tmp_path, "R01TTS.0.b")
    assert read_stretches(pasted.notes["segments"]) == (Stretch(0.0, 0.3, False),)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("HAD_dev_1 0.00-0.50-T 0", "0 fake pieces and the key 0"),
        ("HAD_dev_1 0.00-0.50-F 1", "1 fake pieces and the key 1"),
        ("HAD_dev_1 0.00-0.50-X 1", "'0.00-0.50-X' after 0 s is no next piece"),
        ("HAD_dev_1 0.00-0.50-T/0.20-0.60-F 0", "'0.20-0.60-F' after 0.5 s is no next piece"),
        ("HAD_dev_1 0.00-nan-T 1", "is no next piece"),
        ("HAD_dev_1 0.00-0.50-T", "2 columns, 3 wanted"),
    ],
)
def test_lines_of_had_that_do_not_fit_are_refused(tmp_path: Path, line: str, wrong: str) -> None:
    had(tmp_path)
    (tmp_path / "HAD/HAD_dev/HAD_dev_label.txt").write_text(f"{line}\n")
    with pytest.raises(CorpusError, match=wrong):
        list(Had().clips(tmp_path, "dev"))


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("dev-clean_1_2_3_4 0.5 spoof 0.0-0.5-bonafide", "is spoof and has 0 spoofed pieces"),
        ("dev-clean_1_2_3_4 0.5 bonafide", "3 columns, 4 or more wanted"),
    ],
)
def test_lines_of_llama_partial_spoof_that_do_not_fit_are_refused(
    tmp_path: Path, line: str, wrong: str
) -> None:
    llama_partial_spoof(tmp_path)
    (tmp_path / "label_R01TTS.0.b.txt").write_text(f"{line}\n")
    with pytest.raises(CorpusError, match=wrong):
        list(LlamaPartialSpoof().clips(tmp_path, "R01TTS.0.b"))
