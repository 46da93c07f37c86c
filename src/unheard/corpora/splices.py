"""Splices: recordings of people with stretches of synthetic speech put into them, and without.

Recordings are clips of one speaker, or of one page where no speaker is named, joined one behind the
other: their joins are real speech next to real speech, and are no segments. Every clip of a person
is in a recording that nothing was put into, once as it is and once coded; those give the false
segments of an hour. The others get one stretch each:

- a voice that speaks texts, joined to the length;
- a copy of the stretch itself by a generator that copies;
- spoofed clips of the same part, of one system, or of one page where that is too short;
- another person of the same part, as a control: real speech is no synthetic segment.

Stretches replace speech or are put between it, with a cross-fade or without, at the level of the
speech around them; half of the recordings are coded. Nothing equalises bandwidth or room. All of a
recording is of one part of the manifest, and an engine of ours serves one part alone.

T samples at 16 kHz.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from unheard import audio
from unheard.attacks import Attack, Speech
from unheard.audio.conditions import CONDITIONS, RAW
from unheard.data.clip import BONAFIDE_ATTACK, Clip, Manifest, values_of
from unheard.data.segment_labels import NOTE, Stretch, written
from unheard.errors import AttackError, CorpusError
from unheard.types import FloatArray, Say
from unheard.workers import with_progress

__all__ = ["LENGTHS_S", "OTHER", "SYSTEMS", "engine_of", "level", "splice"]

LENGTHS_S = (0.5, 1.0, 2.0, 5.0, 20.0, 60.0)
"""Lengths of the stretches."""

SYSTEMS, OTHER = "systems of the corpus", "another person"
"""What stretches come from, besides generators: spoofed clips of the part, and people of it."""

CODED = ("mp3_64", "mp3_32", "opus_24", "opus_12", "telephone", "gsm_13")
"""Conditions that a coded recording is under, one of them."""

_RATE = audio.SAMPLE_RATE_HZ
_LONGEST_S = 120.0
_HOST_S = (12.0, 60.0)
_MARGIN_S = 2.0
_CONTEXT_S = 0.5
_FADE = _RATE // 50
_TRIES = 12


def splice(  # noqa: PLR0913  each is a choice of its own
    manifest: Manifest,
    generators: Sequence[Attack],
    out: Path,
    *,
    parts: Sequence[str],
    texts: Sequence[str],
    each: int = 6,
    lengths_s: Sequence[float] = LENGTHS_S,
    seed: int = 0,
    say: Say = lambda _: None,
) -> Path:
    """Write recordings with and without stretches, and a manifest that says where they are.

    Args:
        manifest: Clips of people and spoofed ones.
        generators: Those that make stretches; engines take turns over the parts, in order of name.
        out: Folder for manifest.parquet and the audio.
        parts: Parts of the manifest.
        texts: Sentences in English for voices; parts share none.
        each: Recordings for each length, source of stretches and part.
        lengths_s: Lengths of the stretches.
        seed: Of all that is drawn.
        say: Takes lines of progress.

    Returns:
        The manifest file.

    Raises:
        ManifestError: If a part has no clip.
        CorpusError: If a part has no people.
    """
    clips: list[Clip] = []
    engines = sorted({engine_of(attack) for attack in generators})
    for place, part in enumerate(sorted(parts)):
        mine = engines[place :: len(parts)]
        source = _Sources(
            manifest.part(part),
            tuple(attack for attack in generators if engine_of(attack) in mine),
            tuple(texts[place :: len(parts)]),
        )
        if not source.people:
            raise CorpusError(f"part {part!r} has no clips of people; give a part that has some")
        say(f"{part}: {len(source.people)} voices or pages of people; engines {', '.join(mine)}")
        n_spliced = each * len(lengths_s) * len(source.engines())
        n_whole = sum(2 * len(_pieces(tape.samples)) for tape in source.people)
        recordings = _made(source, part, each, lengths_s, seed)
        for made in with_progress(recordings, n_spliced + n_whole, say, f"{part}: recordings"):
            clips.append(made.write(out))
        Manifest.of(clips, out).write(out / "manifest.parquet")
    return out / "manifest.parquet"


def engine_of(attack: Attack) -> str:
    """Return what generators of one engine share, whatever their voice: the module they are in."""
    return type(attack).__module__.rpartition(".")[2]


@dataclass(frozen=True, eq=False)
class _Tape:
    """Clips of one voice, page or system, one behind the other."""

    name: str
    clips: tuple[Clip, ...]
    manifest: Manifest

    @property
    def length_s(self) -> float:
        return sum(clip.duration_s for clip in self.clips)

    @cached_property
    def samples(self) -> FloatArray:
        read = [audio.read(self.manifest.audio(clip), minimum_s=0.0).samples for clip in self.clips]
        return np.concatenate(read)


@dataclass(frozen=True, eq=False)
class _Sources:
    """What recordings of a part are made of."""

    manifest: Manifest
    generators: tuple[Attack, ...]
    texts: tuple[str, ...]

    @cached_property
    def people(self) -> list[_Tape]:
        return self._tapes("speaker|notes.page|corpus", bonafide=True)

    @cached_property
    def systems(self) -> list[_Tape]:
        return self._tapes("attack", bonafide=False)

    @cached_property
    def pages(self) -> list[_Tape]:
        return self._tapes("notes.page|corpus", bonafide=False)

    def _tapes(self, by: str, *, bonafide: bool) -> list[_Tape]:
        chosen = self.manifest.where(self.manifest.bonafide() == bonafide)
        if not len(chosen):
            return []
        names = values_of(chosen, by)
        return [
            _Tape(str(name), tuple(chosen.where(names == name)), chosen)
            for name in sorted(set(names))
        ]

    def engines(self) -> list[str]:
        """Return what stretches may come from."""
        own = sorted({engine_of(attack) for attack in self.generators})
        return [*own, *([SYSTEMS] if self.systems else []), OTHER]


@dataclass(frozen=True, eq=False)
class _Recording:
    """A recording that is to be written, and its row."""

    id: str
    part: str
    host: _Tape
    samples: FloatArray
    stretches: tuple[Stretch, ...]
    family: str
    condition: str
    notes: Mapping[str, str] = field(default_factory=dict)

    def write(self, out: Path) -> Clip:
        path = Path("audio") / self.part / f"{self.id.rpartition('/')[2]}.flac"
        samples = CONDITIONS[self.condition](self.samples, self.id)
        audio.write(out / path, samples)
        spoof = [stretch for stretch in self.stretches if not stretch.bonafide]
        first = self.host.clips[0]
        return Clip(
            id=self.id,
            path=path.as_posix(),
            bonafide=not spoof,
            part=self.part,
            attack=spoof[0].source if spoof else BONAFIDE_ATTACK,
            family=self.family if spoof else BONAFIDE_ATTACK,
            speaker=self.host.name,
            corpus=f"splices of {first.corpus}",
            language=first.language,
            licence=first.licence,
            codec="" if self.condition == RAW else self.condition,
            duration_s=samples.size / _RATE,
            sha256=hashlib.sha256((out / path).read_bytes()).hexdigest(),
            notes={NOTE: written(self.stretches), **self.notes},
        )


def _made(
    source: _Sources, part: str, each: int, lengths_s: Sequence[float], seed: int
) -> Iterator[_Recording]:
    yield from _untouched(source, part, seed)
    for engine in source.engines():
        for length_s in lengths_s:
            for number in range(each):
                name = f"{part}/{engine.replace(' ', '_')}-{length_s:g}s-{number:02d}"
                made = _spliced(source, part, name, engine, length_s, seed)
                if made is not None:
                    yield made


def _pieces(samples: FloatArray) -> list[FloatArray]:
    """Return speech cut into recordings that are not too long."""
    longest = round(_LONGEST_S * _RATE)
    return [samples[start : start + longest] for start in range(0, samples.size, longest)]


def _untouched(source: _Sources, part: str, seed: int) -> Iterator[_Recording]:
    """Yield all speech of people, once as it is and once coded, nothing put into it."""
    for tape in source.people:
        for number, samples in enumerate(_pieces(tape.samples)):
            name = f"{hashlib.sha256(tape.name.encode()).hexdigest()[:8]}-{number:02d}"
            for coded in (False, True):
                own = f"{part}/people-{name}{'-coded' if coded else ''}"
                condition = str(_rng(seed, own).choice(CODED)) if coded else RAW
                notes = {"recording": name, "inserted_s": "0", "engine": "none"}
                yield _Recording(
                    f"splices/{own}", part, tape, samples, (), BONAFIDE_ATTACK, condition, notes
                )


def _spliced(
    source: _Sources, part: str, name: str, engine: str, length_s: float, seed: int
) -> _Recording | None:
    """Return a recording with one stretch; None if no speech of this part is long enough."""
    rng = _rng(seed, name)
    own = [attack for attack in source.generators if engine_of(attack) == engine]
    attack = own[int(rng.integers(len(own)))] if own else None
    copies = attack is not None and attack.kind == "copy"
    replaces = copies or bool(rng.random() < 0.5)
    needed_s = 2 * _MARGIN_S + (length_s if replaces else 0.0)
    hosts = [tape for tape in source.people if tape.length_s >= needed_s + 1.0]
    if not hosts and not copies:
        replaces = False
        hosts = [tape for tape in source.people if tape.length_s >= 2 * _MARGIN_S + 1.0]
    if not hosts:
        return None
    host = hosts[int(rng.integers(len(hosts)))]
    most_s = max(needed_s + 1.0, float(rng.uniform(*_HOST_S)))
    speech = _cut(host.samples, min(host.samples.size, round(most_s * _RATE)), rng)
    n, margin = round(length_s * _RATE), round(_MARGIN_S * _RATE)
    at = int(rng.integers(margin, speech.size - margin - (n if replaces else 0) + 1))
    behind = at + n if replaces else at
    piece, label, family = _piece(source, engine, attack, host, speech, at, n, rng)
    if piece is None:
        return None
    piece = np.clip(piece * level(speech) / max(level(piece), 1e-6), -1, 1)
    fades = bool(rng.random() < 0.5)
    if fades:
        piece = _faded(piece, speech[at:], speech[:behind])
    stretch = Stretch(at / _RATE, (at + n) / _RATE, engine == OTHER, label)
    notes = {
        "recording": name,
        "inserted_s": f"{length_s:g}",
        "engine": engine,
        "join": f"{'replaced' if replaces else 'inserted'}{', cross-faded' if fades else ''}",
    }
    joined = np.concatenate([speech[:at], piece, speech[behind:]]).astype(np.float32)
    condition = str(rng.choice(CODED)) if rng.random() < 0.5 else RAW
    return _Recording(f"splices/{name}", part, host, joined, (stretch,), family, condition, notes)


def _piece(  # noqa: PLR0913  what a stretch may be made of
    source: _Sources,
    engine: str,
    attack: Attack | None,
    host: _Tape,
    speech: FloatArray,
    at: int,
    n: int,
    rng: np.random.Generator,
) -> tuple[FloatArray | None, str, str]:
    """Return a stretch of n samples, where it is from, and its family; None if there is none."""
    if attack is not None and attack.kind == "copy":
        begin = max(0, at - round(_CONTEXT_S * _RATE))
        copied = attack.generate(Speech(speech[begin : at + n + round(_CONTEXT_S * _RATE)]), rng)
        return copied[at - begin :][:n], attack.name, attack.family
    if attack is not None:
        return _loudest(_spoken(attack, source.texts, n, rng), n, rng), attack.name, attack.family
    tapes = source.people if engine == OTHER else source.systems
    others = [tape for tape in tapes if tape.name != host.name and tape.length_s * _RATE >= n]
    if not others and engine == SYSTEMS:
        others = [tape for tape in source.pages if tape.length_s * _RATE >= n]
    if not others:
        return None, "", ""
    chosen = others[int(rng.integers(len(others)))]
    label = chosen.name.replace("; ", " ")
    return _loudest(chosen.samples, n, rng), label, chosen.clips[0].family


def _spoken(attack: Attack, texts: Sequence[str], n: int, rng: np.random.Generator) -> FloatArray:
    """Return a voice that speaks sentences, n samples or more."""
    spoken: list[FloatArray] = []
    order = rng.permutation(len(texts))
    for place in np.resize(order, 10 * len(order)):
        spoken.append(attack.generate(Speech(text=texts[int(place)], language="en"), rng))
        if sum(part.size for part in spoken) >= n + _RATE:
            return np.concatenate(spoken)
    raise AttackError(f"{attack.name}: {len(texts)} sentences are too few for {n / _RATE:g} s")


def _cut(samples: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    start = int(rng.integers(samples.size - n + 1))
    return samples[start : start + n]


def _loudest(samples: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Return n samples that hold speech: the loudest of some cuts."""
    cuts = [_cut(samples, n, rng) for _ in range(_TRIES)]
    return max(cuts, key=lambda cut: float(np.mean(np.square(cut, dtype=np.float64))))


def level(samples: FloatArray) -> float:
    """Return the root mean square of what is within 20 dB of the loudest 20 ms."""
    frames = samples[: samples.size // _FADE * _FADE].reshape(-1, _FADE).astype(np.float64)
    powers = np.square(frames).mean(axis=1)
    return float(np.sqrt(powers[powers >= powers.max() / 100].mean()))


def _faded(piece: FloatArray, after: FloatArray, before: FloatArray) -> FloatArray:
    """Cross-fade 20 ms of a stretch with the speech that went on, and with what led up to the rest.

    Args:
        piece: The stretch.
        after: Speech from where the stretch starts.
        before: Speech up to where the rest goes on.
    """
    ramp = np.linspace(0, 1, _FADE, dtype=np.float32)
    faded = piece.copy()
    faded[:_FADE] = ramp * piece[:_FADE] + (1 - ramp) * after[:_FADE]
    faded[-_FADE:] = (1 - ramp) * piece[-_FADE:] + ramp * before[-_FADE:]
    return faded


def _rng(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
