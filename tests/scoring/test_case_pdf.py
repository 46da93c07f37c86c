"""Does the PDF of a case say what its HTML says, and need nothing else?"""

from io import BytesIO
from typing import Any

import pypdf
import pytest

from cases import CARD, NASTY, scored, whole
from unheard.detectors.card import Result
from unheard.scoring import case_pdf
from unheard.scoring.case_blocks import Bullets, Commands, Facts, Picture, Table, Text
from unheard.scoring.case_content import sections
from unheard.scoring.spectrogram import SmallSpectrogram
from voice import silence, voice


def read(case: dict[str, Any], picture: SmallSpectrogram | None = None) -> pypdf.PdfReader:
    return pypdf.PdfReader(BytesIO(case_pdf.render(case, picture)))


def text_of(document: pypdf.PdfReader) -> str:
    """All words, whatever their spaces: lines are broken where pages are narrow."""
    return "".join("".join(page.extract_text().split()) for page in document.pages)


def words_of(case: dict[str, Any]) -> list[str]:
    """Everything that its sections say."""
    said: list[str] = []
    for section in sections(case, with_sound=True):
        said.append(section.title)
        for block in section.blocks:
            match block:
                case Text(words, _) | Picture(words):
                    said.append(words)
                case Bullets(lines) | Commands(lines):
                    said += lines
                case Facts(rows):
                    said += [word for row in rows.items() for word in row]
                case Table():
                    said += [cell for row in (block.head, *block.rows) for cell in row]
    return said


@pytest.fixture(scope="module")
def picture() -> SmallSpectrogram:
    picture = SmallSpectrogram()
    picture.push(voice(3))
    return picture


def test_it_says_all_that_the_sections_say(picture: SmallSpectrogram) -> None:
    case = whole(scored(voice(3)))
    document = read(case, picture)
    text = text_of(document)
    for words in words_of(case):
        assert "".join(words.split()) in text, words
    assert document.metadata
    assert document.metadata.title == f"{case['words']['headline']}: call.wav"
    assert len(document.pages[0].images) == 1
    assert document.outline


def test_lines_end_between_words(picture: SmallSpectrogram) -> None:
    case = whole(scored(voice(3)))
    written = {word for page in read(case, picture).pages for word in page.extract_text().split()}
    (facts,) = sections(case, with_sound=True)[-1].blocks
    assert isinstance(facts, Facts)
    said = {word for text in facts.rows.values() for word in text.split()}
    assert said <= written


def test_its_fonts_are_inside_and_it_does_nothing(picture: SmallSpectrogram) -> None:
    document = read(whole(scored(voice(2))), picture)
    for page in document.pages:
        for font in page["/Resources"]["/Font"].values():  # type: ignore[index]
            descriptor = font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"]
            assert "/FontFile2" in descriptor.get_object()
        assert "/Annots" not in page
    content = case_pdf.render(whole(scored(voice(2))), picture)
    assert not [
        word for word in (b"/JavaScript", b"/Launch", b"/URI", b"/EmbeddedFile") if word in content
    ]


def test_names_without_letters_are_spelt_by_number() -> None:
    case = whole(scored(voice(2)))
    case["audio"]["name"] = f"会議 {NASTY}"
    text = text_of(read(case))
    assert "\\u4f1a\\u8b70" in text
    assert "".join(NASTY.split()) in text


def test_a_recording_without_a_verdict_and_many_tests_can_be_written() -> None:
    case = whole(scored(silence(2)))
    line = CARD.results[0]
    results: list[Result] = [line.model_copy(update={"group": f"kind {n}"}) for n in range(80)]
    case["detector"]["results"] = [result.model_dump() for result in results]
    document = read(case)
    assert "digitalsilence" in text_of(document)
    assert len(document.pages) > 3
    assert sum("wrong (95 %)" in page.extract_text() for page in document.pages) > 1
