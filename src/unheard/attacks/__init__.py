"""The generators of spoofed speech, one row per system and voice.

`ATTACKS` finds engines on the system; `attacks(home)` looks first into a corpus cache, in which
packages are unpacked without being installed (see `unheard.attacks.engines`). The rows of both
have the same names. A row is listed whether or not its engine is there: ask `missing()`.
"""

from __future__ import annotations

from pathlib import Path

from unheard.attacks import (
    cargan,
    codec2,
    diffusion,
    espeak,
    festival,
    flite,
    gnuspeech,
    griffin_lim,
    hibari,
    hifi_gan,
    hifi_gan_v1,
    hifi_gan_v3,
    kokoro,
    latent_diffusion,
    lyra,
    mb_melgan,
    mlsa,
    neural_codecs,
    nsf,
    parallel_wavegan,
    pico,
    praat,
    rubberband,
    world,
)
from unheard.attacks.attack import FAMILIES, VERSION, Attack, Kind, Speech
from unheard.attacks.engines import Engines
from unheard.attacks.pretrained import Pretrained
from unheard.attacks.published import Published, Publishing

__all__ = [
    "ATTACKS",
    "FAMILIES",
    "VERSION",
    "Attack",
    "Engines",
    "Kind",
    "Pretrained",
    "Published",
    "Publishing",
    "Speech",
    "attacks",
]


def attacks(home: Path | None) -> dict[str, Attack]:
    """Return every generator by name.

    Args:
        home: Corpus cache with the folders root, pypi and npm; None looks on the system alone.
    """
    engines = Engines(home)
    rows: list[Attack] = [
        *espeak.rows(engines),
        *flite.rows(engines),
        *pico.rows(engines),
        *festival.rows(engines),
        *codec2.rows(engines),
        *griffin_lim.rows(),
        *world.rows(),
        *mlsa.rows(),
        *praat.rows(engines),
        *rubberband.rows(engines),
        *mb_melgan.rows(engines),
        *kokoro.rows(engines),
        *hibari.rows(engines),
        *gnuspeech.rows(engines),
        *diffusion.rows(),
        *latent_diffusion.rows(),
        *neural_codecs.rows(),
        *hifi_gan.rows(),
        *hifi_gan_v1.rows(engines),
        *hifi_gan_v3.rows(engines),
        *parallel_wavegan.rows(engines),
        *cargan.rows(engines),
        *lyra.rows(engines),
        *nsf.rows(engines),
    ]
    return {row.name: row for row in rows}


ATTACKS: dict[str, Attack] = attacks(None)
