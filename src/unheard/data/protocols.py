"""Protocols: what is trained on, and which clips are tested on, as values.

A protocol of one manifest names its parts; one of a paper names the corpora that its authors used.
What of a paper is inferred or not known is said in `summary`. Corpora go by their names in
`unheard.corpora.CORPORA`, parts by the names their authors gave.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from unheard.data.clip import Manifest
from unheard.data.demo_protocols import DEMO_PROTOCOLS
from unheard.data.protocol import Protocol, Selection, TestSet
from unheard.errors import ManifestError, RecipeError, suggestion

__all__ = ["PROTOCOLS", "fitting", "protocol"]

PART = "part:"
"""With what a protocol begins that is one part of a manifest."""


def protocol(name: str) -> Protocol:
    """Return a protocol by name; "part:NAME" is that of one part of a manifest.

    Raises:
        RecipeError: If there is none of that name.
    """
    if name.startswith(PART):
        return Protocol.of_parts(name, (name.removeprefix(PART),), "One part of a manifest.")
    if name not in PROTOCOLS:
        raise RecipeError(f"no protocol {name!r}{suggestion(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def fitting(manifests: Sequence[Manifest]) -> Protocol:
    """Return the protocol for manifests where the user names none.

    The test parts of the open corpus, or the part "eval"; else the only part besides train and dev.

    Raises:
        ManifestError: If that leaves several parts, or none.
    """
    parts = {str(part) for manifest in manifests for part in manifest.column("part")}
    for name, wanted in (("open", {"eval_in", "eval_out"}), ("open_in", {"eval_in"})):
        if wanted <= parts:
            return PROTOCOLS[name]
    for name, part in (("open_out", "eval_out"), ("eval", "eval")):
        if part in parts:
            return PROTOCOLS[name]
    if len(parts) == 1:
        return PROTOCOLS["all"]
    others = sorted(parts - {"train", "dev"})
    if len(others) == 1:
        return protocol(PART + others[0])
    raise ManifestError(
        f"the clips are in the parts {', '.join(sorted(parts))}, and it is not plain which to test "
        f"on; choose one with --protocol {PART}NAME, or every clip with --protocol all"
    )


def _whole(*corpora: str) -> tuple[Selection, ...]:
    return tuple(Selection(corpus=name) for name in corpora)


def _parts(corpus: str, *parts: str, **where: str) -> tuple[Selection, ...]:
    values = {name: (value,) for name, value in where.items()}
    return (Selection(corpus=corpus, parts=parts, where=values),)


def _set(name: str, *selections: Selection, column: str = "") -> TestSet:
    return TestSet(name, selections, column)


def _paper(name: str, summary: str, tests: Iterable[TestSet], **more: Any) -> Protocol:
    """A protocol that trains on ASVspoof 2019 LA unless another part is given."""
    start = {
        "train": _parts("asvspoof2019_la", "train"),
        "dev": _parts("asvspoof2019_la", "dev"),
    }
    return Protocol(name, tuple(tests), summary, **{**start, **more})


_LA_EVAL = _set("asvspoof2019_la", *_parts("asvspoof2019_la", "eval"))
_WILD = _set("in_the_wild", *_whole("in_the_wild"))
_SIX = (
    _LA_EVAL,
    _set("asvspoof2021_la", *_parts("asvspoof2021_la", "eval")),
    _set("asvspoof2021_df", *_parts("asvspoof2021_df", "eval")),
    _WILD,
    _set("fakeavceleb", *_whole("fakeavceleb")),
    _set("asvspoof5", *_parts("asvspoof5", "eval")),
)
_OUT_OF_DOMAIN = tuple(test.name for test in _SIX if test is not _LA_EVAL)


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol.of_parts(
            "open",
            ("eval_in", "eval_out"),
            "Open corpus: known attack families (eval_in) next to unknown ones (eval_out), "
            "speakers and sources unknown in both.",
        ),
        Protocol.of_parts(
            "open_in", ("eval_in",), "Open corpus: known families, unknown speakers."
        ),
        Protocol.of_parts(
            "open_out", ("eval_out",), "Open corpus: unknown families, unknown speakers."
        ),
        *DEMO_PROTOCOLS,
        Protocol.of_parts("eval", ("eval",), "The evaluation part of an imported corpus."),
        Protocol.of_parts("all", (), "Every clip of the manifest."),
        _paper(
            "moe_lora",
            "Mixture of LoRA experts (arXiv 2509.13878): train and dev of ASVspoof 2019 LA, "
            "the mean over five corpora out of the domain. Inferred from the same authors' "
            "earlier paper; its own data and corpora could not be read.",
            _SIX,
            mean_over=_OUT_OF_DOMAIN,
        ),
        _paper(
            "mldg_lora",
            "Meta-learned LoRA (arXiv 2502.10838): train and dev of ASVspoof 2019 LA, the "
            "mean over six corpora. The corpora are known; that ASVspoof 2021 means the "
            "subset eval, as is usual, and FakeAVCeleb all its clips, is inferred.",
            _SIX,
        ),
        _paper(
            "attention_moe",
            "Attention-based mixture of experts (arXiv 2509.17585): experts and gate see a "
            "pool of corpora, the mean is over the two unknown ones. The corpora are known; "
            "their roles, that clean means without a codec, and that the Purdue speech is "
            "DiffSSD are inferred; how In-the-Wild, MLAAD and the speech corpora were split "
            "is not known, so all of them is training here.",
            (
                _LA_EVAL,
                _set("fake_or_real", *_parts("fake_or_real", "testing", "for-norm/testing")),
                _set(
                    "asvspoof2021_df_clean",
                    *_parts("asvspoof2021_df", "eval", codec="none"),
                ),
                _set("asvspoof5_clean", *_parts("asvspoof5", "eval", codec="none")),
            ),
            train=(
                *_parts("asvspoof2019_la", "train"),
                *_parts("fake_or_real", "training", "for-norm/training"),
                *_whole("in_the_wild"),
                *_parts("mlaad", language="en"),
                *_parts("diffssd", "train"),
                *_whole("ljspeech", "librispeech", "vctk"),
                *_parts("common_voice", language="en"),
            ),
            dev=(
                *_parts("asvspoof2019_la", "dev"),
                *_parts("fake_or_real", "validation", "for-norm/validation"),
                *_parts("diffssd", "val"),
            ),
            mean_over=("asvspoof2021_df_clean", "asvspoof5_clean"),
        ),
        _paper(
            "dropin_la",
            "Neuron-level dropin and plasticity (arXiv 2603.24343), one of three corpora, each "
            "trained and tested on by itself: ASVspoof 2019 LA. That its own train, dev and "
            "eval parts were used is inferred.",
            (_LA_EVAL,),
        ),
        _paper(
            "dropin_pa",
            "As dropin_la, on ASVspoof 2019 PA: replayed speech.",
            (_set("asvspoof2019_pa", *_parts("asvspoof2019_pa", "eval")),),
            train=_parts("asvspoof2019_pa", "train"),
            dev=_parts("asvspoof2019_pa", "dev"),
        ),
        _paper(
            "dropin_for",
            "As dropin_la, on FakeOrReal; which of its four variants was used is not known: "
            "import one, or all, of which for-norm is taken.",
            (_set("fake_or_real", *_parts("fake_or_real", "testing", "for-norm/testing")),),
            train=_parts("fake_or_real", "training", "for-norm/training"),
            dev=_parts("fake_or_real", "validation", "for-norm/validation"),
        ),
        _paper(
            "racl",
            "Diffusion reconstruction and RACL (arXiv 2604.26465): train and dev of ASVspoof "
            "2019 LA, the mean over five columns. The five are known; that the column of "
            "CodecFake (Xie) is the mean of C1 to C7, that DiffSSD and WaveFake are taken "
            "whole, and which human speech stands against them, is inferred.",
            (
                _LA_EVAL,
                _WILD,
                _set("diffssd", *_whole("diffssd")),
                _set("wavefake", *_whole("wavefake")),
                *(
                    _set(
                        f"codecfake_xie_{part}",
                        *_parts("codecfake_xie", part),
                        column="codecfake_xie",
                    )
                    for part in ("C1", "C2", "C3", "C4", "C5", "C6", "C7")
                ),
            ),
        ),
    )
}
"""Protocols by name, as the command line takes them."""
