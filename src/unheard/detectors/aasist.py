"""AASIST over the raw waveform: graphs over what fixed filters and residual blocks find in it.

B clips, T samples, N filters, K channels, S spectral nodes, F temporal nodes, D embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from unheard.detectors.detector import Detector
from unheard.detectors.layers.aasist import (
    POOLING,
    GraphHead,
    largest_size,
    logit_difference,
    residual_blocks,
)
from unheard.detectors.layers.sinc import SincFilters
from unheard.errors import RecipeError

__all__ = ["RawAasist"]


@dataclass(frozen=True, kw_only=True)
class RawAasist:
    """What to build: AASIST, 297,866 parameters; `RawAasist.light()` is AASIST-L, 85,306.

    Attributes:
        n_filters: Fixed filters over the waveform; a third as many spectral nodes.
        n_taps: Samples of each filter, an odd number.
        widths: Channels of the first two residual blocks, and of the four that follow.
        graph_widths: Features of a node in the graphs of one kind, and in the joint graphs; the
            embedding has five times the latter.
        kept: Share of the nodes that pooling keeps: spectral, temporal, and in the joint graphs.
    """

    kind: ClassVar[str] = "aasist"

    n_filters: int = 70
    n_taps: int = 129
    widths: tuple[int, int] = (32, 64)
    graph_widths: tuple[int, int] = (64, 32)
    kept: tuple[float, float, float] = (0.5, 0.7, 0.5)

    def __post_init__(self) -> None:
        if self.n_filters < POOLING:
            raise RecipeError(f"n_filters={self.n_filters}; choose {POOLING} or more")
        if self.n_taps < 3 or self.n_taps % 2 == 0:
            raise RecipeError(f"n_taps={self.n_taps}; choose an odd number from 3")
        if min(*self.widths, *self.graph_widths) < 1:
            raise RecipeError(
                f"widths={self.widths}, graph_widths={self.graph_widths}; choose 1 or more for each"
            )
        if not all(0 < share <= 1 for share in self.kept):
            raise RecipeError(f"kept={self.kept}; choose shares above 0, up to 1")

    @classmethod
    def light(cls) -> RawAasist:
        """Return AASIST-L."""
        return cls(widths=(32, 24), graph_widths=(24, 32), kept=(0.4, 0.5, 0.7))

    def build(self) -> Detector:
        """Return a module with fresh weights."""
        return RawAasistDetector(self)


class RawAasistDetector(Detector):
    """Fixed band-pass filters, residual blocks, maxima over time and frequency, graphs.

    Shape:
        waveform [B, T] float32 at 16 kHz in [-1, 1] -> score [B]; T from 2,315 samples (0.15 s),
        and from 4,502 to train on one clip at a time.

    Source:
        Jung et al., AASIST: audio anti-spoofing using integrated spectro-temporal graph attention
        networks, 2022, and the authors' code, settings AASIST and AASIST-L.

        Differences from the source: it takes 64,600 samples; here the recipe decides what a window
        is, since only frequency has positions. The score is the difference of the two logits, bona
        fide less spoof, where the source takes the logit of bona fide alone. Weights of the
        residual blocks that never learn are frozen (see `ResidualBlock`). The masking of filters
        that the code offers and the published settings leave off is not there.
    """

    def __init__(self, spec: RawAasist) -> None:
        super().__init__()
        self.filters = SincFilters(spec.n_filters, spec.n_taps)
        self.norm_in = nn.BatchNorm2d(1)
        self.blocks = nn.ModuleList(residual_blocks(*spec.widths))
        n_spectral = spec.n_filters // POOLING
        self.graphs = GraphHead(n_spectral, spec.widths[1], spec.graph_widths, spec.kept)
        self.n_embedding = self.graphs.n_embedding
        self.logits = nn.Linear(self.n_embedding, 2)

    def embed(self, waveform: Tensor) -> Tensor:
        """Return one embedding per clip, [B, T] -> [B, D]."""
        bands = self.filters(waveform).abs().unsqueeze(1)  # [B, 1, N, T]
        maps = nn.functional.selu(self.norm_in(nn.functional.max_pool2d(bands, POOLING)))
        for block in self.blocks:
            maps = nn.functional.max_pool2d(block(maps), (1, POOLING))
        spectral, temporal = largest_size(maps, 3), largest_size(maps, 2)  # [B, K, S], [B, K, F]
        embedding: Tensor = self.graphs(spectral.transpose(1, 2), temporal.transpose(1, 2))
        return embedding

    def classify(self, embedding: Tensor) -> Tensor:
        """Return one score per embedding, [B, D] -> [B]; higher is more bona fide."""
        return logit_difference(self.logits(embedding))
