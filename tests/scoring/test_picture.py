"""Is the one drawing of a verdict a whole file in every format, with each score at its time?"""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdf
import pytest
from matplotlib.image import imread

from audio_files import wav
from unheard.scoring.picture import draw, standalone
from unheard.scoring.spectrogram import SmallSpectrogram
from unheard.scoring.timeline_svg import HEIGHT, PLAIN_HEIGHT, svg
from voice import SOUNDS, scorer, verdict_of, voice

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("sound", SOUNDS)
def test_every_verdict_can_be_drawn(tmp_path: Path, sound: str) -> None:
    samples = SOUNDS[sound]
    file = tmp_path / "a.wav"
    file.write_bytes(wav(samples[None] if samples.size else np.zeros((1, 1600))))
    picture = tmp_path / "new" / "a.png"
    draw(scorer().samples(samples, name="a.wav"), file, picture)
    height, width, _ = imread(picture).shape
    assert width == 2000
    assert height > 2 * PLAIN_HEIGHT
    assert [path.name for path in picture.parent.iterdir()] == ["a.png"]


def test_the_picture_has_the_colour_of_the_decision(tmp_path: Path) -> None:
    verdict, file = verdict_of(voice(4), tmp_path)
    counts = {}
    for name, score in (("high", 3.0), ("low", -3.0)):
        windows = tuple(replace(window, score=score) for window in verdict.windows)
        picture = draw(replace(verdict, windows=windows), file, tmp_path / f"{name}.png")
        red, green, _ = np.moveaxis(imread(picture)[-2 * HEIGHT :, :, :3], 2, 0)
        counts[name] = ((red - green > 0.2).sum(), (green - red > 0.2).sum())
    assert counts["high"][1] > 10 * counts["high"][0]
    assert counts["low"][0] > 10 * counts["low"][1]


def test_an_svg_file_needs_no_style_sheet_and_a_pdf_has_one_page(tmp_path: Path) -> None:
    verdict, file = verdict_of(voice(2), tmp_path)
    text = draw(verdict, file, tmp_path / "a.svg").read_text()
    drawing = ET.fromstring(text)
    style = drawing.find(f"{SVG}style")
    assert style is not None
    styled = set(re.findall(r"\.([\w-]+)", style.text or ""))
    used = {name for each in drawing.iter() for name in each.get("class", "").split()}
    assert used - {"along", "spectrum", "time", "times", "plain", "bar", "segment"} <= styled
    assert "var(" not in text
    assert len(pypdf.PdfReader(draw(verdict, file, tmp_path / "a.pdf")).pages) == 1


def test_names_and_warnings_in_the_title_are_never_markup() -> None:
    verdict = replace(scorer().samples(voice(2)), source="<b>&.wav", warnings=("a < b",) * 3)
    lines = [each.text for each in ET.fromstring(standalone(verdict.to_dict())).iter(f"{SVG}text")]
    assert any(line and line.startswith("<b>&.wav, scored by") for line in lines)
    assert lines.count("a < b") == 3


def test_segments_are_drawn_where_they_are() -> None:
    picture = SmallSpectrogram()
    picture.push(voice(4))
    verdict = scorer().samples(voice(4)).to_dict()
    assert 'class="segment' not in svg(verdict, picture)
    verdict["segments"] = [
        {"start_s": 0.0, "end_s": 1.0, "score": 1.0, "decision": "bonafide"},
        {"start_s": 1.0, "end_s": 4.0, "score": -2.0, "decision": "spoof"},
    ]
    drawing = ET.fromstring(svg(verdict, picture))
    found = {
        each.get("class"): (each.get("x"), each.get("width")) for each in drawing.iter(f"{SVG}rect")
    }
    assert found["segment bonafide"] == ("0", "250")
    assert found["segment spoof"] == ("250", "750")
