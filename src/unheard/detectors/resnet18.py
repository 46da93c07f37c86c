"""ResNet18 over a mel or a linear-frequency spectrogram.

B clips, T samples, F frames, K frequency bins, M features, C channels, D embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from unheard.detectors.detector import Detector
from unheard.detectors.layers.features import Framing, LinearBand, Log, Mel, Spectrogram
from unheard.detectors.layers.growth import Reads, Width
from unheard.errors import RecipeError, check_choices, suggestion

__all__ = ["BasicBlock", "ResNet18"]

N_BLOCKS = 8
"""Two basic blocks in each of four stages; the first of stages two to four halves the map."""

BLOCKS = tuple(f"blocks.{index}" for index in range(N_BLOCKS))


@dataclass(frozen=True, kw_only=True)
class ResNet18:
    """What to build: a ResNet18, 11.2 million parameters at the default width of 64.

    The cost grows with the square of `width`, and with frames times features.

    Attributes:
        feature: "mel" or "linear" log-power spectrogram, its mean over time taken away.
        n_window: Samples per frame.
        n_hop: Samples from frame to frame.
        n_fft: Length of the transform; "linear" has n_fft / 2 + 1 features over the whole band.
        window: Shape of the window.
        pre_emphasis: a in y[t] = x[t] - a * x[t - 1] before it.
        n_mels: Features of "mel" (Slaney's scale).
        low_hz: Lowest frequency seen.
        high_hz: Highest frequency seen.
        width: Channels of the first stage; the others have 2, 4 and 8 times as many.
        inner_widths: Channels between the two convolutions of each of the eight blocks; empty for
            the channels of their stage, as in the source.
        stem: "7x7" of stride 2 and a pooling of stride 2, or "3x3" without stride (16 times the
            cost of what follows).
        embedding: Features of the embedding.
    """

    kind: ClassVar[str] = "resnet18"

    feature: Literal["mel", "linear"] = "mel"
    n_window: int = 400
    n_hop: int = 160
    n_fft: int = 512
    window: Literal["hann", "hamming"] = "hann"
    pre_emphasis: float = 0.0
    n_mels: int = 80
    low_hz: float = 20.0
    high_hz: float = 7600.0
    width: int = 64
    inner_widths: tuple[int, ...] = ()
    stem: Literal["7x7", "3x3"] = "7x7"
    embedding: int = 128

    def __post_init__(self) -> None:
        check_choices(self, "ResNet18 knows no {name} {value!r}")
        if len(self.inner_widths) not in (0, N_BLOCKS):
            raise RecipeError(
                f"inner_widths has {len(self.inner_widths)} entries; "
                f"give one for each of the {N_BLOCKS} blocks, or none"
            )
        if min(self.width, self.embedding, *self.inner_widths) < 1:
            raise RecipeError(
                f"width={self.width}, inner_widths={self.inner_widths}, "
                f"embedding={self.embedding}; choose 1 or more for each"
            )

    def build(self) -> Detector:
        """Return a module with fresh weights."""
        return ResNet18Detector(self)

    def with_widths(self, widths: Mapping[str, int]) -> ResNet18:
        """Return the same with other inner widths, by name of the block, such as "blocks.0".

        Raises:
            RecipeError: If there is no such block.
        """
        known = dict(zip(BLOCKS, self.inner_widths or _outer_widths(self), strict=True))
        for name in widths:
            if name not in known:
                raise RecipeError(f"ResNet18 has no width {name!r}{suggestion(name, known)}")
        return replace(self, inner_widths=tuple((known | dict(widths)).values()))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions next to a shortcut; the channels between the two are free to choose.

    Shape:
        [B, n_in, F, M] -> [B, n_out, F / stride, M / stride].

    Source:
        He, Zhang, Ren, Sun, Deep residual learning for image recognition, 2016, figure 5 left,
        with the projection shortcut (option B) where the shape changes.
    """

    def __init__(self, n_in: int, n_inner: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(n_in, n_inner, 3, stride, padding=1, bias=False)
        self.norm_in = nn.BatchNorm2d(n_inner)
        self.conv_out = nn.Conv2d(n_inner, n_out, 3, padding=1, bias=False)
        self.norm_out = nn.BatchNorm2d(n_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the next maps, [B, n_in, F, M] -> [B, n_out, F / stride, M / stride]."""
        inner = torch.relu(self.norm_in(self.conv_in(x)))
        return torch.relu(self.norm_out(self.conv_out(inner)) + self.shortcut(x))


class ResNet18Detector(Detector):
    """Spectrogram, stem, eight basic blocks, mean over time and frequency, linear, linear.

    Shape:
        waveform [B, T] float32 at 16 kHz in [-1, 1] -> score [B]; T from 1 sample.

    Source:
        He, Zhang, Ren, Sun, Deep residual learning for image recognition, 2016, table 1.

        Differences from the source: one input channel; an embedding layer between pooling and
        the last layer, with a rectifier after it; one logit. The detectors that the spectrogram
        variants follow publish neither spectrogram settings nor stem nor embedding size, so these
        are fields with our choices.
    """

    def __init__(self, spec: ResNet18) -> None:
        super().__init__()
        framing = Framing(
            n_window=spec.n_window,
            n_hop=spec.n_hop,
            n_fft=spec.n_fft,
            window=spec.window,
            pre_emphasis=spec.pre_emphasis,
        )
        band: Mel | LinearBand
        if spec.feature == "mel":
            band = Mel(framing, n_mels=spec.n_mels, low_hz=spec.low_hz, high_hz=spec.high_hz)
        else:
            band = LinearBand(framing, low_hz=spec.low_hz, high_hz=spec.high_hz)
        self.spectrogram = Spectrogram(framing)
        self.features = nn.Sequential(band, Log())
        self.stem = _stem(spec)
        self.blocks = nn.Sequential(*_blocks(spec))
        self.n_embedding = spec.embedding
        self.embedding = nn.Linear(8 * spec.width, spec.embedding)
        self.score = nn.Linear(spec.embedding, 1)
        for module in self.modules():
            # Shapes alone (meta) need no numbers, and drawing them there would import SymPy: 3 s.
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def embed(self, waveform: Tensor) -> Tensor:
        """Return one embedding per clip, [B, T] -> [B, D]."""
        return self.embed_power(self.spectrogram(waveform))

    def embed_power(self, power: Tensor) -> Tensor:
        """Return the same from the detector's own spectrogram, [B, F, K] -> [B, D]."""
        maps = self.blocks(self.stem(self.features(power).unsqueeze(1)))  # [B, C, F / 32, M / 32]
        embedding: Tensor = self.embedding(maps.mean(dim=(2, 3)))
        return embedding

    def classify(self, embedding: Tensor) -> Tensor:
        """Return one score per embedding, [B, D] -> [B]; higher is more bona fide."""
        score: Tensor = self.score(torch.relu(embedding)).squeeze(1)
        return score

    def widths(self) -> Mapping[str, Width]:
        """Return the channels inside each block; the sums around them stay as they are."""
        return {
            name: Width(
                makes=(f"{name}.conv_in",),
                norms=(f"{name}.norm_in",),
                reads=(Reads(f"{name}.conv_out"),),
            )
            for name in BLOCKS
        }


def _stem(spec: ResNet18) -> nn.Module:
    if spec.stem == "3x3":
        first: nn.Module = nn.Conv2d(1, spec.width, 3, padding=1, bias=False)
        return nn.Sequential(first, nn.BatchNorm2d(spec.width), nn.ReLU())
    first = nn.Conv2d(1, spec.width, 7, stride=2, padding=3, bias=False)
    pool = nn.MaxPool2d(3, stride=2, padding=1)
    return nn.Sequential(first, nn.BatchNorm2d(spec.width), nn.ReLU(), pool)


def _blocks(spec: ResNet18) -> list[BasicBlock]:
    outer = _outer_widths(spec)
    inner = spec.inner_widths or outer
    before = [spec.width, *outer]
    strides = [2 if index in (2, 4, 6) else 1 for index in range(N_BLOCKS)]
    return [BasicBlock(*widths) for widths in zip(before, inner, outer, strides, strict=False)]


def _outer_widths(spec: ResNet18) -> list[int]:
    return [spec.width * 2 ** (index // 2) for index in range(N_BLOCKS)]
