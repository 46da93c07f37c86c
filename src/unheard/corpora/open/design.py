"""Which clip is made by which generator, from what, for which part: drawn by seed, before any work.

Rules that keep the parts apart: a speaker, a recording, a voice and a text each belong to one part
(the two evaluation parts may share speakers, never recordings or texts). Spoofed clips are drawn as
companions of bona fide clips of the same part and language, so that every language of a part has
both labels.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np

from unheard.attacks import Attack
from unheard.corpora.open.sizes import EXTRA_PARTS, PARTS_OF_SPEAKER, Size, parts_of_voice, shares
from unheard.corpora.open.speech import Recording, joined
from unheard.corpora.open.texts import SENTENCES
from unheard.data.clip import BONAFIDE_ATTACK

__all__ = ["SHORTEST_SPEECH_S", "Planned", "plan", "text_key"]

SHORTEST_SPEECH_S = 1.6
"""Recordings with less speech are joined to word lists, or left out."""

_SHORTEST_TEXT = 28
_LONGEST_TEXT = 85
_TIMES = 4
"""How often one family may speak as the companion of one recording."""

_NATURAL_SHARE = 4
"""How many natural utterances are taken for one word list, while there are."""


@dataclass(frozen=True)
class Planned:
    """One clip to be made.

    Attributes:
        id: As in `Clip.id`.
        part: Part of the corpus.
        recording: The bona fide clip itself, the source of a copy, or the companion of a text.
        attack: Name of the generator; "-" for bona fide.
        text: What a generator of kind "text" is to say; what a recording says, if known.
        copy: Whether the recording is the source.
    """

    id: str
    part: str
    recording: Recording
    attack: str = BONAFIDE_ATTACK
    text: str = ""
    copy: bool = False


def plan(
    recordings: Iterable[tuple[Recording, float]],
    attacks: Mapping[str, Attack],
    lines: Mapping[str, list[str]],
    size: Size,
    seed: int,
) -> list[Planned]:
    """Return what is to be made, bona fide clips first, in a fixed order.

    Args:
        recordings: The catalogue, with the seconds of speech in each recording.
        attacks: Generators by name, installed or not.
        lines: Further texts by language.
        size: How many clips of each part.
        seed: Another seed draws other clips.
    """
    by_part = _assign(recordings, size.speakers or PARTS_OF_SPEAKER)
    texts = _Texts(by_part, lines)
    planned: list[Planned] = []
    for part, wanted in size.bonafide.items():
        chosen = _spread(texts.own(part, by_part[part]), wanted, f"{seed}/{part}")
        planned += [Planned(r.id, part, r, text=r.text) for r in chosen]
    companions = defaultdict(list)
    for clip in planned:
        companions[clip.part].append(clip.recording)
    for part, wanted in {**size.spoof, **size.extra}.items():
        base = companions[EXTRA_PARTS.get(part, part)]
        for family, share in shares(part).items():
            usable = [
                a
                for a in attacks.values()
                if a.family == family
                and a.free
                and a.name.startswith(size.systems or "")
                and part in parts_of_voice(a.name, a.family, a.kind)
            ]
            planned += _family(part, base, usable, texts, round(share * wanted), seed)
    return planned


def text_key(text: str) -> str:
    """Return a text reduced to its letters and digits: two texts with one key say the same."""
    return re.sub(r"\W+", "", text.casefold())


def _assign(
    recordings: Iterable[tuple[Recording, float]], speakers: Mapping[str, tuple[str, ...]]
) -> dict[str, list[Recording]]:
    """Recordings long enough, and word lists, by part."""
    by_part: dict[str, list[Recording]] = defaultdict(list)
    short: list[tuple[Recording, float]] = []
    for recording, speech_s in recordings:
        parts = speakers.get(recording.speaker, ())
        if speech_s >= SHORTEST_SPEECH_S and parts:
            by_part[parts[_number(recording.id) % len(parts)]].append(recording)
        elif len(parts) == 1 and speech_s > 0.2:
            short.append((recording, speech_s))
    for word_list in joined(short):
        by_part[speakers[word_list.speaker][0]].append(word_list)
    return by_part


class _Texts:
    """Which part owns which text."""

    def __init__(
        self, by_part: Mapping[str, list[Recording]], lines: Mapping[str, list[str]]
    ) -> None:
        self._owner: dict[str, str] = {}
        spoken: dict[str, set[str]] = defaultdict(set)
        pool: dict[str, dict[str, str]] = defaultdict(dict)
        for part in sorted(by_part):
            for recording in by_part[part]:
                spoken[recording.language].add(part)
                if recording.text:
                    key = text_key(recording.text)
                    self._owner.setdefault(key, part)
                    pool[recording.language][key] = recording.text
        for language, parts in spoken.items():
            for text in (*SENTENCES.get(language, ()), *lines.get(language, ())):
                key = text_key(text)
                pool[language][key] = text
                self._owner.setdefault(key, sorted(parts)[_number(key) % len(parts)])
        self._pool: dict[tuple[str, str], list[str]] = defaultdict(list)
        for language, texts in pool.items():
            for key in sorted(texts, key=_number):
                if len(texts[key]) >= _SHORTEST_TEXT and not texts[key].count(",") > 3:
                    self._pool[self._owner[key], language].append(texts[key])
        self._next: Counter[tuple[str, str, str]] = Counter()

    def own(self, part: str, recordings: list[Recording]) -> list[Recording]:
        """The recordings of a part whose texts, if known, belong to it."""
        return [r for r in recordings if not r.text or self._owner[text_key(r.text)] == part]

    def give(self, part: str, recording: Recording, family: str, *, matched: bool) -> str:
        """A text for a companion: the recording's own, else the next of the part's pool."""
        if matched and len(recording.text) >= _SHORTEST_TEXT:
            return _shortened(recording.text)
        pool = self._pool[part, recording.language]
        if not pool:
            return ""
        place = self._next[part, recording.language, family]
        self._next[part, recording.language, family] += 1
        return _shortened(pool[(place + _number(family)) % len(pool)])


def _family(
    part: str, base: list[Recording], attacks: list[Attack], texts: _Texts, wanted: int, seed: int
) -> list[Planned]:
    """Clips of one family: recordings in turn, each with the generator used least so far."""
    used: Counter[str] = Counter()
    clips: dict[str, Planned] = {}
    owner = EXTRA_PARTS.get(part, part)
    for turn in range(_TIMES):
        for recording in _shuffled(base, f"{seed}/{part}/{turn}"):
            fitting = [a for a in attacks if not a.languages or recording.language in a.languages]
            for attack in sorted(
                fitting, key=lambda a: (used[_system(a.name)], used[a.name], a.name)
            ):
                if len(clips) >= wanted:
                    return list(clips.values())
                copy = attack.kind == "copy"
                text = recording.text
                if not copy:
                    text = texts.give(owner, recording, attack.family, matched=turn == 0)
                clip = Planned(
                    _name(attack.name, recording.id, "" if copy else text),
                    part,
                    recording,
                    attack.name,
                    text,
                    copy,
                )
                if (copy or text) and clip.id not in clips:
                    clips[clip.id] = clip
                    used.update([attack.name, _system(attack.name)])
                    break
    return list(clips.values())


def _system(name: str) -> str:
    """The system of a voice: "kokoro" of "kokoro-af_bella"; prefixed so as not to meet a name."""
    return f"system {name.partition('-')[0]}"


def _name(attack: str, recording: str, text: str) -> str:
    spoken = f"~{hashlib.sha256(text.encode()).hexdigest()[:6]}" if text else ""
    return f"{attack}~{recording}{spoken}"


def _spread(recordings: list[Recording], wanted: int, salt: str) -> list[Recording]:
    """So many recordings, as evenly over speakers and languages as they allow."""
    heaps: dict[tuple[str, str, bool], list[Recording]] = defaultdict(list)
    for recording in _shuffled(recordings, salt):
        listed = len(recording.paths) > 1
        heaps[recording.speaker, recording.language, listed].append(recording)
    chosen: list[Recording] = []
    for _ in count():
        if not heaps:
            break
        for key in sorted(heaps):
            turn = 1 if key[2] else _NATURAL_SHARE
            chosen += heaps[key][:turn]
            del heaps[key][:turn]
            if not heaps[key]:
                del heaps[key]
        if wanted and len(chosen) >= wanted:
            break
    return _shuffled(chosen, salt)[: wanted or None] if wanted else chosen


def _shuffled(recordings: list[Recording], salt: str) -> list[Recording]:
    order = np.random.default_rng(_number(salt)).permutation(len(recordings))
    ordered = sorted(recordings, key=lambda recording: recording.id)
    return [ordered[index] for index in order]


def _shortened(text: str) -> str:
    """At most so many characters, cut between words, at a comma if one is near the end."""
    if len(text) <= _LONGEST_TEXT:
        return text
    cut = text[:_LONGEST_TEXT].rsplit(" ", 1)[0]
    comma = max(cut.rfind(mark) for mark in ",.;!?")
    return cut[: comma if comma > _LONGEST_TEXT // 2 else None].rstrip(" ,;-") + "."


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
