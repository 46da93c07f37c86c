"""The example clips can be scored from a checkout, and the notice lists each of them."""

from pathlib import Path

import numpy as np
import pytest

from unheard import audio

EXAMPLES = Path(__file__).parents[2] / "examples"
CLIPS = sorted(path for path in EXAMPLES.iterdir() if path.suffix in audio.AUDIO_SUFFIXES)


def notice_rows() -> dict[str, list[str]]:
    """Cells of the table in the notice, by file."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (EXAMPLES / "NOTICE.md").read_text("utf-8").splitlines()
        if line.startswith(("| human-", "| spoof-"))
    ]
    return {row[0]: row[1:] for row in rows}


def test_both_labels_and_several_formats_are_there() -> None:
    assert {path.name.partition("-")[0] for path in CLIPS} == {"human", "spoof"}
    assert len({path.suffix for path in CLIPS}) >= 5


@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.name)
def test_an_example_is_readable_speech_of_a_few_seconds(path: Path) -> None:
    wave = audio.read(path)
    assert 3.0 <= wave.duration_s <= 8.0
    assert -30 < 20 * np.log10(wave.samples.std()) < -10
    assert np.mean(np.abs(wave.samples) > 0.999) < 1e-3


def test_the_notice_lists_source_licence_and_label_of_each() -> None:
    listed = notice_rows()
    assert set(listed) == {path.name for path in CLIPS}
    for name, (label, what, clip, package, licence) in listed.items():
        assert label.startswith("bona fide" if name.startswith("human") else "spoofed, ")
        assert what
        assert clip
        assert package
        assert "GPL" not in licence


def test_examples_stay_small() -> None:
    assert sum(path.stat().st_size for path in EXAMPLES.iterdir()) < 600_000
