"""What a case report says, as sections of plain blocks: HTML and PDF are written of the same.

From the JSON of a case, so that what was kept can be written again.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from unheard.detectors.card_text import in_training
from unheard.scoring.case_blocks import (
    Block,
    Bullets,
    Commands,
    Facts,
    Picture,
    Section,
    Table,
    Text,
)
from unheard.scoring.error_rates import ErrorRate, error_rates, like_this_one, mistakes
from unheard.scoring.plain_words import (
    NO_PROOF,
    NO_SEGMENTS,
    RULES,
    SAYS,
    meaning,
    more_like,
    reliability,
    segment_rates,
    where_sentence,
)
from unheard.scoring.verdict import clock, percent

__all__ = ["answer", "caution", "sections", "subtitle"]

Case = Mapping[str, Any]

_SETTINGS = {"minimum_speech_s": "Least speech for a verdict", "hop_s": "Distance between parts"}
_OPTIONS = {"minimum_speech_s": "--min-speech", "hop_s": "--hop"}
_GLOSSARY = {
    "Score": "How much better the recording fits human than synthetic speech, as a natural "
    "logarithm: 0 is alike, +2.3 ten times better, \u22122.3 ten times worse.",
    "Rule": "Says from which score on a recording is called human or synthetic, and what lies "
    "between is left undecided.",
    "Detector": "The program's trained part. It knows the speech that it was trained on, and no "
    "other.",
    "Kinds of synthesis": "tts: speech made of text. vc: the voice of one person made that of "
    "another. vocoder, codec: speech rebuilt by the last stage of such systems.",
    "SHA-256": "A fingerprint of a file. If it is the same, the file is the same, to the bit.",
    "95 %": "Measured again on as many other recordings of the kind, the true share would lie "
    "within such bounds 19 times in 20.",
}
_LISTEN = 3
_SHORT_TABLE = 12


def sections(case: Case, *, with_sound: bool) -> list[Section]:
    """Return the sections of a report that follow its headline, in order; none is empty.

    Args:
        case: As `unheard.scoring.case_report.case` gives it.
        with_sound: Whether waveform and spectrogram are drawn.
    """
    written: dict[tuple[str, str], Iterable[Block]] = {
        ("picture", "Along the recording"): [_picture(with_sound)],
        ("question", "What was asked"): _question(case),
        ("meaning", "What the verdict means"): _meaning(case["verdict"]),
        ("rates", "How often such a verdict is wrong"): _rates(case),
        ("warnings", "Reasons to doubt it"): _warnings(case["verdict"]),
        ("segments", "Segments"): _segments(case["verdict"]),
        ("parts", "Part by part"): _parts(case["verdict"]),
        ("experts", "What each expert said"): _experts(case["verdict"]),
        ("detector", "What is known of the detector"): _known(case["detector"]),
        ("tests", "Its tests"): _tests(case["detector"]),
        ("recording", "The recording"): [_recording(case)],
        ("asked", "How it was scored"): [_asked(case)],
        ("again", "How to repeat it"): _again(case),
        ("words", "Words used here"): [Facts(_GLOSSARY)],
    }
    made = [Section(*names, tuple(blocks)) for names, blocks in written.items()]
    return [section for section in made if section.blocks]


def answer(case: Case) -> list[Text]:
    """Return what stands below the headline of a verdict: the shortest true answer."""
    verdict = case["verdict"]
    first = meaning(verdict)[0] if verdict["score"] is None else _where(verdict)
    n = len(verdict["warnings"])
    doubts = {0: [], 1: [Text("There is a reason to doubt it.")]}
    return [
        Text(first, "segments"),
        *doubts.get(n, [Text(f"There are {n} reasons to doubt it.")]),
    ]


def _where(verdict: Case) -> str:
    """Return which stretches are called synthetic, as a sentence; else where to listen first."""
    if sentence := where_sentence(verdict):
        return sentence
    if verdict.get("segments"):
        return "It is called synthetic from beginning to end."
    scored = [window for window in verdict["windows"] if window["score"] is not None]
    if len(scored) < 2:
        return "It was scored as one piece."
    lowest = min(scored, key=lambda window: float(window["score"]))
    span = f"{clock(lowest['start_s'])} to {clock(lowest['end_s'])}"
    return f"The part most like synthetic speech: {span}."


def _meaning(verdict: Case) -> Iterator[Block]:
    """Say what the verdict means, but for the sentence that stands below the headline."""
    yield from (Text(line) for line in meaning(verdict) if line != _where(verdict))


def caution(case: Case) -> list[Text]:
    """Return what stands close to every verdict: how often it is wrong, and that it is no proof."""
    measured = [Text(mistakes(case))] if case["verdict"]["score"] is not None else []
    return [*measured, Text(NO_PROOF)]


def subtitle(case: Case) -> str:
    """Return when a case was scored, and by what."""
    return (
        f"Scored {_when(case['scored_at'])} by Unheard {case['unheard']} "
        f"with the detector {_detector(case['verdict'])}"
    )


def _picture(with_sound: bool) -> Picture:
    drawn = ("Waveform, spectrogram and " if with_sound else "") + "score of each part"
    return Picture(
        f"{drawn[0].upper()}{drawn[1:]} over time. A score is the natural logarithm of how many "
        "times better a part fits human than synthetic speech. Dashed lines: where the decision "
        "changes. Grey: too little speech to score."
    )


def _question(case: Case) -> Iterator[Block]:
    verdict = case["verdict"]
    yield Text(
        "Is the speech in this recording that of a person, or was it made by a machine? The "
        "recording was compared with human and with synthetic speech that the detector was "
        "trained on. Who speaks, whether the words are true, and whether the recording was cut "
        "was not asked, and is not answered."
    )
    heard = {"channel": verdict.get("channel", "mix"), "track": verdict.get("track", "default")}
    rows = {
        "Rule": RULES[verdict["operating_point"]],
        "Held before listening": f"{percent(verdict['spoof_prior'])} that it is synthetic",
        "Channel": "all mixed" if heard["channel"] == "mix" else heard["channel"],
    }
    if heard["track"] != "default":
        rows["Track"] = heard["track"]
    yield Facts(rows)


def _rates(case: Case) -> Iterator[Block]:
    yield Text(mistakes(case))
    rows = [_rate(rate) for rate in error_rates(case)]
    if rows:
        yield _rate_table(rows)
    special = list(like_this_one(case))
    if special:
        yield Text("Recordings like this one", "heading")
    for what, rates in special:
        if rates:
            yield Text(f"This one is {what}. Tests on such recordings:")
            yield _rate_table(map(_rate, rates))
        else:
            yield Text(
                f"This one is {what}. The detector was not tested on such recordings apart from "
                "others: expect it to be wrong more often than above."
            )
    if case["verdict"]["score"] is not None:
        yield Text(reliability(case["detector"]))


def _rate_table(rows: Iterable[tuple[str, ...]]) -> Table:
    return Table(("share of", "measured on", "share (95 %)", "recordings"), tuple(rows), n_words=2)


def _rate(rate: ErrorRate) -> tuple[str, ...]:
    interval = ""
    if rate.interval:
        interval = f" ({100 * rate.interval[0]:.1f} to {100 * rate.interval[1]:.1f})"
    return rate.of, rate.protocol, f"{100 * rate.value:.1f} %{interval}", f"{rate.n:,}"


def _warnings(verdict: Case) -> Iterator[Block]:
    if verdict["warnings"]:
        yield Bullets(tuple(f"{line[0].upper()}{line[1:]}." for line in verdict["warnings"]))
    else:
        yield Text("The recording itself gave none. The limits of the detector hold all the same.")


def _segments(verdict: Case) -> Iterator[Block]:
    segments = verdict.get("segments")
    if verdict["windows"] and segments is None:
        yield Text(NO_SEGMENTS)
    if not segments or len(segments) < 2:
        return
    rows = tuple(
        (
            f"{clock(segment['start_s'])} to {clock(segment['end_s'])}",
            SAYS[segment["decision"]],
            _number(segment["score"]),
        )
        for segment in segments
    )
    times_s = tuple((segment["start_s"], segment["end_s"]) for segment in segments)
    yield Table(("time", "decision", "score"), rows, n_words=2, times_s=times_s)


def _parts(verdict: Case) -> Iterator[Block]:
    windows = verdict["windows"]
    scored = [window for window in windows if window["score"] is not None]
    if not windows:
        return
    lowest = sorted(scored, key=lambda window: float(window["score"]))[:_LISTEN]
    if len(scored) > 1:
        times = ", ".join(clock(window["start_s"]) for window in lowest)
        yield Text(f"Most like synthetic speech, to be listened to first: from {times}.")
    low, high = verdict["thresholds"]
    rows = tuple(
        (
            f"{clock(window['start_s'])} to {clock(window['end_s'])}",
            more_like(window["score"], low, high),
            _number(window["score"]),
            f"{window['speech_s']:.1f} s",
        )
        for window in windows
    )
    times_s = tuple((window["start_s"], window["end_s"]) for window in windows)
    folded = f"All {len(rows)} parts" if len(rows) > _SHORT_TABLE else ""
    head = ("time", "more like", "score", "speech in it")
    yield Table(head, rows, n_words=2, summary=folded, times_s=times_s)


def _experts(verdict: Case) -> Iterator[Block]:
    if not verdict["experts"]:
        return
    yield Text(
        "The detector is a mixture: these are the detectors in it, and how much each counted."
    )
    rows = tuple(
        (expert["name"], _number(expert["score"]), f"{100 * expert['weight']:.0f} %")
        for expert in verdict["experts"]
    )
    yield Table(("expert", "score", "weight"), rows)


def _known(detector: Case) -> Iterator[Block]:
    limits = [line.rstrip(".") for line in detector["limits"]]
    limits.append("Kinds of synthesis, languages and channels that are not named here: unknown")
    yield Text("Not good for", "heading")
    yield Bullets(tuple(f"{line}." for line in limits))
    if detector.get("segments"):
        yield Text(segment_rates(detector["segments"]))
    counts = [
        sum(line[name] for line in detector["material"]) for name in ("n_bonafide", "n_spoof")
    ]
    if any(counts):
        corpora = ", ".join(sorted({line["corpus"] for line in detector["material"]}))
        kinds = ", ".join(sorted(detector["families"])) or "not recorded"
        yield Text("Trained and tuned on", "heading")
        yield Text(
            f"{counts[0]:,} recordings of people and {counts[1]:,} synthetic ones, from "
            f"{corpora}. Kinds of synthesis: {kinds}."
        )


def _tests(detector: Case) -> Iterator[Block]:
    rows = tuple(
        (
            line["protocol"],
            line["group"] + (f", language {line['language']}" if line["language"] else ""),
            in_training(line["protocol"], line["group"], detector["families"]),
            f"{line['n_bonafide']:,}",
            f"{line['n_spoof']:,}",
            f"{100 * line['eer']:.1f} % ({100 * line['eer_low']:.1f} to "
            f"{100 * line['eer_high']:.1f})",
        )
        for line in detector["results"]
        if not line["condition"]
    )
    if rows:
        head = ("test", "kind of synthesis", "trained on it", "human", "synthetic", "wrong (95 %)")
        yield Text(
            "Wrong: share of recordings on each side that it gets wrong when made to err as often "
            "on one side as on the other (equal error rate).",
            "small",
        )
        folded = f"All {len(rows)} lines" if len(rows) > _SHORT_TABLE else ""
        yield Table(head, rows, n_words=3, summary=folded)


def _recording(case: Case) -> Facts:
    verdict, audio = case["verdict"], case["audio"]
    length = f"{clock(verdict['duration_s'])} ({verdict['duration_s']:.2f} s)"
    rows = {
        "Name": audio["name"],
        "SHA-256": audio["sha256"],
        "Size": f"{audio['bytes']:,} bytes",
    }
    if encoding := audio.get("encoding"):
        rate = 8e-3 * audio["bytes"] / max(verdict["duration_s"], 1e-3)
        tracks = f", {encoding['n_tracks']} tracks" if encoding["n_tracks"] > 1 else ""
        n_channels = encoding["n_channels"]
        channels = "1 channel" if n_channels == 1 else f"{n_channels} channels"
        rows |= {
            "Container": encoding["container"] or "not known",
            "Coded as": encoding["codec"] or "not known",
            "Sound": f"{encoding['rate_hz']:,} Hz, {channels}{tracks}",
            "Rate": f"{rate:,.0f} kbit/s, the whole file over its length",
        }
    return Facts(rows | {"Length": length, "Speech in it": f"{verdict['speech_s']:.1f} s"})


def _asked(case: Case) -> Facts:
    verdict, settings = case["verdict"], case.get("settings", {})
    detector, (low, high) = verdict["detector"], verdict["thresholds"]
    facts = {
        "Score": f"{_number(verdict['score'])} (natural logarithm of a likelihood ratio)",
        "Decision rule": verdict["operating_point"],
        "Thresholds": f"synthetic below {low:+.3f}, human from {high:+.3f}",
        "Probability of spoof before listening": percent(verdict["spoof_prior"]),
        **{_SETTINGS[name]: f"{value:g} s" for name, value in settings.items() if value},
        "Detector": _detector(verdict),
        "SHA-256 of its bundle.json": detector["sha256"],
        "Program": f"Unheard {case['unheard']}",
        "Time": _when(case["scored_at"]),
    }
    if case.get("request_id"):
        facts["Request"] = case["request_id"]
    return Facts(facts)


def _again(case: Case) -> Iterator[Block]:
    verdict, settings = case["verdict"], case.get("settings", {})
    name = shlex.quote(case["audio"]["name"])
    options = [f"--spoof-prior {verdict['spoof_prior']:g}"]
    if verdict["operating_point"] == "threshold":
        options.append(f"--threshold={verdict['thresholds'][0]!r}")
    else:
        options.append(f"--operating-point {verdict['operating_point']}")
    options += [
        f"{_OPTIONS[name]} {value:g}" for name, value in settings.items() if value is not None
    ]
    for option, usual in (("channel", "mix"), ("track", "default")):
        if verdict.get(option, usual) != usual:
            options.append(f"--{option} {verdict[option]}")
    yield Text(
        "The first two commands must print the hashes above; BUNDLE is the folder of the "
        f"detector. The third then gives the same score, up to rounding, with Unheard "
        f"{case['unheard']}."
    )
    yield Commands(
        (
            f"sha256sum {name}",
            "sha256sum BUNDLE/bundle.json",
            f"unheard score {name} --detector BUNDLE {' '.join(options)}",
        )
    )


def _detector(verdict: Case) -> str:
    return f"{verdict['detector']['name']} {verdict['detector']['version']}"


def _when(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _number(score: float | None) -> str:
    return "none" if score is None else f"{score:+.2f}"
