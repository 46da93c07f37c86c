"""Which expert or layer handles which attack: weights over clips, as numbers and a picture.

    out/routing.json    usage by projection, group of clips and expert
    out/routing.png     a panel per layer: groups by experts
    out/layers.json     weights by group of clips and state of the encoder
    out/layers.png      groups by states

G groups, P adapted projections, E experts, L states of an encoder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard import audio
from unheard.data.clip import Manifest
from unheard.errors import AudioError, EvaluationError
from unheard.files import in_one_step
from unheard.types import FloatArray

if TYPE_CHECKING:
    from unheard.detectors.bundle_files import Bundle

__all__ = ["LAYERS", "Usage", "draw", "measure", "measure_layers", "spread_bits"]

BONAFIDE = "bona fide"
LAYERS = "layers"
AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class Usage:
    """Mean gates of groups of clips.

    Attributes:
        groups: Names of the groups; bona fide first.
        n_clips: Clips of each group.
        projections: Names of the adapted projections; "layers" alone for weights of layers.
        gates: Shape [G, P, E]; each row over experts sums to one. [G, 1, L] for weights of layers,
            from the input of the first layer on, which sum to one if they went through softmax.
    """

    groups: tuple[str, ...]
    n_clips: tuple[int, ...]
    projections: tuple[str, ...]
    gates: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON has them."""
        content: dict[str, Any] = {
            "groups": list(self.groups),
            "n_clips": list(self.n_clips),
            "projections": list(self.projections),
            "gates": self.gates.round(5).tolist(),
        }
        if self.are_shares:
            content["spread_bits"] = spread_bits(self.gates).round(5).tolist()
        return content

    @property
    def are_shares(self) -> bool:
        """Whether the gates are shares of one; weights of layers need not be."""
        return bool((self.gates >= 0).all() and np.allclose(self.gates.sum(axis=2), 1, atol=1e-4))


def measure(
    bundle: Bundle, manifest: Manifest, *, by: str = "family", most_clips: int = 100
) -> Usage:
    """Pass clips through a detector and average the gates of its experts by group.

    Args:
        bundle: A detector with a mixture of LoRA experts.
        manifest: Clips; the first window of each is used.
        by: Column that names the groups of spoofed clips, such as "family" or "attack".
        most_clips: Clips of each group, evenly spread over the manifest; a group may have fewer.

    Raises:
        EvaluationError: If the detector has no mixture of experts, or no clip can be read.
    """
    import torch

    from unheard.detectors.layers.lora import record_routing

    with record_routing(bundle.detector) as routing, torch.inference_mode():
        if not routing.names:
            raise EvaluationError(
                f"{bundle.card.name} has no mixture of experts; give a bundle whose detector has "
                "adapters with n_experts of 2 or more"
            )
        groups: list[str] = []
        for names, windows in _batches(bundle, manifest, by, most_clips):
            bundle.detector(torch.from_numpy(windows))
            groups += names
    return _usage(groups, routing.usage().double().numpy() if groups else None, routing.names)


def measure_layers(
    bundle: Bundle, manifest: Manifest, *, by: str = "family", most_clips: int = 100
) -> Usage:
    """Pass clips through a detector and average the weights of its encoder's layers by group.

    Args:
        bundle: A detector that reads a sum over layers.
        manifest: Clips; the first window of each is used.
        by: Column that names the groups of spoofed clips, such as "family" or "attack".
        most_clips: Clips of each group, evenly spread over the manifest; a group may have fewer.

    Raises:
        EvaluationError: If the detector reads one layer, or no clip can be read.
    """
    import torch

    from unheard.detectors.ssl import SslDetector

    detector = bundle.detector
    if not isinstance(detector, SslDetector) or detector.reading is None:
        raise EvaluationError(
            f"{bundle.card.name} reads no sum over layers; give a bundle whose detector has "
            "reading 'weighted' or 'adaptive'"
        )
    groups: list[str] = []
    weights: list[FloatArray] = []
    with torch.inference_mode():
        for names, windows in _batches(bundle, manifest, by, most_clips):
            weights.append(detector.layer_weights(torch.from_numpy(windows)).double().numpy())
            groups += names
    return _usage(groups, np.concatenate(weights)[:, None] if weights else None, (LAYERS,))


def _usage(groups: list[str], shares: FloatArray | None, projections: tuple[str, ...]) -> Usage:
    """Return the means over groups of what was found, [N, P, E], for N clips."""
    if shares is None:
        raise EvaluationError("no clip of the manifest could be read; check where its audio lies")
    group_of_clip = np.array(groups)
    names = sorted(set(groups), key=lambda name: (name != BONAFIDE, name))
    return Usage(
        groups=tuple(names),
        n_clips=tuple(int((group_of_clip == name).sum()) for name in names),
        projections=projections,
        gates=np.stack([shares[group_of_clip == name].mean(axis=0) for name in names]),
    )


def spread_bits(gates: FloatArray) -> FloatArray:
    """Return how much the experts in use say about the group, by projection, in bits.

    The Jensen-Shannon divergence of the groups' usage, each group weighing the same: 0 if all
    groups use the experts alike, at most log2 of the number of groups.

    Args:
        gates: Shape [G, P, E].

    Returns:
        Shape [P].
    """

    def entropy(shares: FloatArray) -> FloatArray:
        logs = np.log2(np.where(shares > 0, shares, 1.0))
        bits: FloatArray = -(shares * logs).sum(axis=-1)
        return bits

    difference: FloatArray = entropy(gates.mean(axis=0)) - entropy(gates).mean(axis=0)
    return difference


def draw(usage: Usage, out: Path) -> Path:
    """Write routing.json and routing.png, or layers.*, into a folder; return the picture.

    Of a mixture, a panel per layer shows the mean over the layer's projections.
    """
    from matplotlib.figure import Figure

    of_layers = usage.projections == (LAYERS,)
    layers = {"": usage.gates[:, 0]} if of_layers else _by_layer(usage)
    stem, unit, start = (LAYERS, "layer", 0) if of_layers else ("routing", "expert", 1)
    n_experts = usage.gates.shape[2]
    width = 2.2 + len(layers) * max(1.6, 0.32 * n_experts)
    figure = Figure((width, 1.5 + 0.36 * len(usage.groups)), layout="constrained")
    axes = figure.subplots(1, len(layers), sharey=True, squeeze=False)[0]
    top = max(float(values.max()) for values in layers.values())
    bottom = min(0.0, *(float(values.min()) for values in layers.values()))
    for axis, (name, values) in zip(axes, layers.items(), strict=True):
        image = axis.imshow(values, cmap="viridis", vmin=bottom, vmax=top, aspect="auto")
        axis.set_title(name, fontsize=9)
        axis.set_xticks(range(n_experts), [str(e + start) for e in range(n_experts)], fontsize=8)
        axis.set_xlabel(unit, fontsize=8)
    labels = [f"{g} ({n})" for g, n in zip(usage.groups, usage.n_clips, strict=True)]
    axes[0].set_yticks(range(len(labels)), labels, fontsize=8)
    bar = figure.colorbar(image, ax=axes[-1])
    bar.set_label("mean weight" if of_layers else "mean gate", fontsize=8)
    picture = out / f"{stem}.png"
    with in_one_step(picture) as unfinished:
        figure.savefig(unfinished, dpi=150)
    picture.with_suffix(".json").write_text(json.dumps(usage.to_dict(), indent=1) + "\n")
    return picture


def _by_layer(usage: Usage) -> dict[str, FloatArray]:
    """Return the mean gates over the projections of each layer, each [G, E]."""
    numbers = [re.search(r"layers\.(\d+)\.", name) for name in usage.projections]
    layers = [int(match.group(1)) if match else 0 for match in numbers]
    return {
        f"layer {layer + 1}": usage.gates[:, np.array(layers) == layer].mean(axis=1)
        for layer in sorted(set(layers))
    }


def _batches(
    bundle: Bundle, manifest: Manifest, by: str, most_clips: int
) -> Iterator[tuple[list[str], FloatArray]]:
    """Yield the groups of some clips and their first windows, [B, T]."""
    card = bundle.card
    names, windows = [], []
    for row in _chosen(manifest, by, most_clips):
        clip = manifest[row]
        try:
            samples = audio.read(manifest.audio(clip)).samples
        except AudioError:
            continue
        cut = audio.windows(samples, window_s=card.window_s, hop_s=card.hop_s)
        names.append(BONAFIDE if clip.bonafide else str(manifest.column(by)[row]))
        windows.append(cut.samples[0])
        if len(names) == AT_ONCE:
            yield names, np.stack(windows)
            names, windows = [], []
    if names:
        yield names, np.stack(windows)


def _chosen(manifest: Manifest, by: str, most_clips: int) -> list[int]:
    groups = np.where(manifest.bonafide(), BONAFIDE, manifest.column(by))
    rows: list[int] = []
    for name in sorted(set(groups.tolist())):
        members = np.flatnonzero(groups == name)
        places = np.linspace(0, len(members) - 1, min(len(members), most_clips)).round().astype(int)
        rows += members[places].tolist()
    return rows
