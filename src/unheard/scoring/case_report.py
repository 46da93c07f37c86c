"""A case report: a verdict on one HTML page with all inside, as PDF, and the same as JSON.

It names the recording by its hash, the detector by its own, when and how it was asked, the
score of each part, why to doubt it, and how to repeat it. docs/page.md says how to read it;
`unheard.scoring.case_content` says what stands in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unheard import __version__, audio
from unheard.files import in_one_step, open_regular, spelt
from unheard.scoring import case_pdf
from unheard.scoring.case_blocks import Block, Bullets, Commands, Facts, Section, Table, Text
from unheard.scoring.case_content import answer, caution, sections, subtitle
from unheard.scoring.parts import track_number
from unheard.scoring.picture import STYLE
from unheard.scoring.plain_words import headline, meaning
from unheard.scoring.spectrogram import SmallSpectrogram
from unheard.scoring.timeline_svg import svg
from unheard.scoring.verdict import Verdict

if TYPE_CHECKING:
    from unheard.detectors.card import Card

__all__ = ["about", "case", "render", "write"]

Json = dict[str, Any]

_REPORTS = ("report_html", "report_pdf")


def about(card: Card) -> Json:
    """Return what a reader must know of a detector, as JSON: a card without its settings."""
    fields = card.model_dump(mode="json", exclude={"provenance", "files", "base", "format"})
    provenance = card.provenance.model_dump(
        mode="json", include={"recipe", "revision", "seed", "families", "material"}
    )
    return {**fields, "detector": card.detector.kind, **provenance}


def case(result: Mapping[str, Any], card: Card) -> Json:
    """Return the JSON of a case: a result, in words too, with the detector that gave it.

    Args:
        result: "verdict" as `Verdict.to_dict()` gives it; "audio" with name, bytes and sha256;
            "scored_at", ISO 8601; if known "elapsed_s", "request_id" and "settings".
        card: Of the detector.
    """
    verdict = result["verdict"]
    return {
        "unheard": __version__,
        **{name: value for name, value in result.items() if name not in _REPORTS},
        "words": {"headline": headline(verdict), "meaning": meaning(verdict)},
        "detector": about(card),
    }


def render(case: Mapping[str, Any], picture: SmallSpectrogram | None = None) -> str:
    """Return a case as one HTML page that needs nothing else and asks for nothing.

    Args:
        case: As `case` gives it.
        picture: Spectrogram of the recording; without one only the scores are drawn.
    """
    verdict, name = case["verdict"], escape(case["audio"]["name"])
    drawing = svg(verdict, picture)
    with_sound = picture is not None and bool(picture.envelope()[0].size)
    body = "\n".join(
        [
            f'<header><p class="kind">Report on a recording</p><h1>{name}</h1>'
            f"<p>{escape(subtitle(case))}</p></header>",
            f'<section id="verdict" class="verdict {verdict["decision"] or "none"}">'
            f"<h2>{escape(headline(verdict))}</h2>\n"
            f"{''.join(map(_block, answer(case)))}</section>",
            f'<section id="caution">{"".join(map(_block, caution(case)))}</section>',
            *(_section(section, drawing) for section in sections(case, with_sound=with_sound)),
        ]
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(headline(verdict))}: {name}</title>\n"
        f"<style>\n{STYLE.read_text()}</style></head>\n"
        f'<body class="report"><main>\n{body}\n</main>\n'
        f'<script type="application/json" id="case">{_json(case)}</script></body></html>\n'
    )


def write(
    verdict: Verdict,
    source: Path,
    file: Path,
    *,
    detector: Path,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report of a recording as HTML and as PDF, and next to them the same as JSON.

    Args:
        verdict: Of the recording.
        source: The recording.
        file: The report, ending in ".html" or ".pdf"; all are written in one step.
        detector: The bundle that gave the verdict.
        settings: Of the scoring, as far as the verdict does not have them.

    Returns:
        The report.

    Raises:
        AudioError: If the recording cannot be read.
        BundleError: If the bundle's card cannot be read.
    """
    from unheard.detectors import bundle

    with open_regular(source) as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    picture = SmallSpectrogram()
    with audio.open_stream(
        source, channel=verdict.channel, track=track_number(verdict.track)
    ) as stream:
        encoding = asdict(stream.encoding)
        for chunk in stream:
            picture.push(chunk)
    result = {
        "verdict": verdict.to_dict(),
        "audio": {
            "name": spelt(Path(verdict.source).name),
            "bytes": source.stat().st_size,
            "sha256": sha256,
            "encoding": encoding,
        },
        "scored_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": dict(settings or {}),
    }
    whole = case(result, bundle.read_card(detector))
    written = {
        ".html": render(whole, picture).encode(),
        ".pdf": case_pdf.render(whole, picture),
        ".json": _json(whole).encode(),
    }
    for suffix, content in written.items():
        with in_one_step(file.with_suffix(suffix)) as unfinished:
            unfinished.write_bytes(content)
    return file


def _json(case: Mapping[str, Any]) -> str:
    """Return a case as JSON text that may stand inside HTML too."""
    return json.dumps(case, indent=2, allow_nan=False).replace("<", "\\u003c") + "\n"


def _section(section: Section, drawing: str) -> str:
    content = "\n".join(_block(block, drawing) for block in section.blocks)
    return f'<section id="{section.name}"><h2>{escape(section.title)}</h2>\n{content}</section>'


def _block(block: Block, drawing: str = "") -> str:
    match block:
        case Text(words, "heading"):
            return f"<h3>{escape(words)}</h3>"
        case Text(words, kind):
            mark = f' class="{kind}"' if kind else ""
            return f"<p{mark}>{escape(words)}</p>"
        case Bullets(lines):
            return _elements("ul", (f"<li>{escape(line)}</li>" for line in lines))
        case Facts(rows):
            return _elements(
                "dl",
                (
                    f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
                    for name, value in rows.items()
                ),
            )
        case Commands(lines):
            return f"<pre>{escape(chr(10).join(lines))}</pre>"
        case Table():
            return _table(block)
        case _:
            return f"<figure>{drawing}<figcaption>{escape(block.caption)}</figcaption></figure>"


def _elements(tag: str, inside: Iterable[str]) -> str:
    return f"<{tag}>{''.join(inside)}</{tag}>"


def _table(table: Table) -> str:
    """Return a table whose cells know their column: on a narrow screen a row is a small card."""
    classes = [' class="words"'] * table.n_words + [""] * (len(table.head) - table.n_words)
    top = "".join(
        f'<th role="columnheader" scope="col"{kind}>{escape(cell)}</th>'
        for kind, cell in zip(classes, table.head, strict=True)
    )
    marks = [f' data-start="{start}" data-end="{end}"' for start, end in table.times_s]
    lines = "\n".join(
        f'<tr role="row"><th role="rowheader" scope="row" class="words"{mark}>'
        f"{escape(row[0])}</th>"
        + "".join(
            f'<td role="cell" data-head="{escape(name)}"{kind}>{escape(cell)}</td>'
            for kind, name, cell in zip(classes[1:], table.head[1:], row[1:], strict=True)
        )
        + "</tr>"
        for mark, row in zip(marks or [""] * len(table.rows), table.rows, strict=True)
    )
    text = (
        f'<table role="table"><thead role="rowgroup"><tr role="row">{top}</tr></thead>\n'
        f'<tbody role="rowgroup">{lines}</tbody></table>'
    )
    if not table.summary:
        return text
    return f"<details><summary>{escape(table.summary)}</summary>{text}</details>"
