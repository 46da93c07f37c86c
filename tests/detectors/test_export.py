"""Every row of DETECTORS becomes a graph with free batch and length; opt in with -m export.

Tracing takes from 5 to 30 s each. What all graphs share is tested always, in test_exported.py.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from onnx import TensorProto, load_from_string
from onnxruntime import InferenceSession

from small_detectors import SMALL, TINY_ENCODER, TINY_EXPERTS
from unheard.detectors import exported, onnx
from unheard.detectors.detector import Spec, window_expert_scores
from unheard.detectors.grnn import Grnn
from unheard.detectors.layers.encoder import Encoder
from unheard.detectors.layers.gates import AttentionGate, EnhancedGate, FixedGate, WaveformGate
from unheard.detectors.layers.pooling import deviation
from unheard.detectors.linear_states import LinearStates
from unheard.detectors.mel_lcnn import MelLcnn
from unheard.detectors.mixture import Mixture
from unheard.detectors.resnet18 import ResNet18
from unheard.detectors.ssl_aasist import SslAasist
from unheard.detectors.toy import Toy
from unheard.errors import BundleError

pytestmark = pytest.mark.export

TINY_WHISPER = Encoder(
    family="whisper",
    settings=(
        ("d_model", 16),
        ("encoder_attention_heads", 2),
        ("encoder_ffn_dim", 24),
        ("encoder_layers", 2),
    ),
)
PAIR = (Toy(n_bands=4), ResNet18(n_hop=400, n_mels=16, width=2, embedding=4, feature="linear"))

SPECS: dict[str, Spec] = {
    **SMALL,
    "mel_lcnn": MelLcnn(n_mels=16),  # the small one's frames are too few for 0.2 s
    "aasist of uneven shares": replace(SMALL["aasist"], kept=(0.4, 0.7, 0.7)),  # type: ignore[type-var]
    "grnn of lstm": Grnn(
        n_mels=8, channels=4, hidden=(4, 3), cell="lstm", bidirectional=False, feature="mel",
        pooling="attentive",
    ),
    "resnet18 grown": replace(SMALL["resnet18"], inner_widths=(1, 2, 3, 4, 5, 6, 7, 8)),  # type: ignore[type-var]
    "hubert, adaptive sum": SslAasist(
        encoder=replace(TINY_ENCODER, family="hubert"), reading="adaptive"
    ),
    "wavlm, a router per clip, grown": SslAasist(
        encoder=replace(TINY_ENCODER, family="wavlm"),
        adapters=replace(TINY_EXPERTS, router="clip"),
        feed_forward=(0, 30),
    ),
    "wavlm": SslAasist(encoder=replace(TINY_ENCODER, family="wavlm")),
    "whisper, weighted sum": SslAasist(
        encoder=TINY_WHISPER, adapters=TINY_EXPERTS, reading="weighted"
    ),
    "linear states, spectrum and speaker": LinearStates(
        encoder=TINY_ENCODER, layers=(0, 1), spectral=True, speaker="none"
    ),
    "mixture by waveform": Mixture(experts=PAIR, gate=WaveformGate(n_samples=12_000)),
    "mixture of probabilities": Mixture(
        experts=PAIR, gate=EnhancedGate(width=4, hidden=4), blend="probabilities"
    ),
    "mixture on one transform": Mixture(
        experts=(MelLcnn(n_mels=16), ResNet18(n_mels=16, width=2, embedding=4)),
        gate=AttentionGate(width=8, feed_forward=8),
    ),
    "mixture of mixtures": Mixture(
        experts=(SMALL["ssl_aasist"], Mixture(experts=(Toy(), SMALL["lcnn"]), gate=FixedGate())),
        gate=AttentionGate(width=8, feed_forward=8, readout="token"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_a_graph_scores_as_torch_for_any_batch_and_length(name: str) -> None:
    torch.manual_seed(0)
    detector = SPECS[name].build()
    with torch.no_grad():
        for _ in range(2):  # running statistics that are no longer those of a fresh one
            detector(0.1 * torch.randn(4, 8000))
        for parameter in detector.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    detector.eval()
    content = onnx.graph(detector, 1.0)
    assert onnx.parity(detector, content, 1.0)[0] <= onnx.PARITY
    assert exported.ELSEWHERE not in content
    model = exported.opened(content, name, detector.experts)
    for n_windows, n_samples in ((1, 3200), (5, 9_001), (17, 16_000), (2, 33_333)):
        windows = 0.1 * np.random.default_rng(n_samples).standard_normal((n_windows, n_samples))
        scores = model.expert_scores(windows.astype(np.float32))
        expected = window_expert_scores(detector, windows.astype(np.float32))
        assert onnx.difference(scores, expected) <= onnx.PARITY


def test_longer_windows_than_whisper_reads_at_once_are_refused() -> None:
    with pytest.raises(BundleError, match="takes 30 s at once; train it on shorter windows"):
        onnx.graph(SslAasist(encoder=TINY_WHISPER).build().eval(), 31.0)


def test_a_graph_is_the_same_to_the_bit_each_time() -> None:
    detector = SMALL["toy"].build().eval()
    assert onnx.graph(detector, 1.0) == onnx.graph(detector, 1.0)


class Deviation(torch.nn.Module):
    """Frames that move by a thousandth of the summand that keeps a deviation's slope finite."""

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Return a deviation for each window, [B, T] -> [B]."""
        return 1e4 * deviation((1e-5 * waveform).square().mean(dim=1))


def test_the_exporter_keeps_what_is_added_to_small_variances() -> None:
    windows = np.full((2, 8_000), 0.01, np.float32)
    with onnx._quietly():
        program = torch.onnx.export(Deviation().eval(), (torch.from_numpy(windows),), dynamo=True)
    assert program is not None
    session = InferenceSession(program.model_proto.SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: windows})
    np.testing.assert_allclose(found, 1.0, rtol=1e-3)


def test_large_convolutions_of_a_rounded_graph_have_16_bits() -> None:
    torch.manual_seed(0)
    detector = ResNet18(n_hop=400, n_mels=16, width=8, embedding=32).build().eval()
    for parameter in detector.parameters():  # a random one says the same of all windows
        parameter.data += 0.1 * torch.randn_like(parameter)
    content = onnx.graph(detector, 0.5)
    rounded = onnx.rounded(content, detector)
    weights = load_from_string(rounded).graph.initializer
    halved = [tensor for tensor in weights if tensor.data_type == TensorProto.FLOAT16]
    assert halved
    assert all(tensor.name.endswith("weight_in_16_bits") for tensor in halved)
    # The mel filters, larger than most of these, were not learnt.
    assert len(content) - len(rounded) > 1.8 * sum(np.prod(tensor.dims) for tensor in halved)
    windows = 0.1 * np.random.default_rng(0).standard_normal((3, 8000)).astype(np.float32)
    before, after = (exported.opened(g, "x", ()).scores(windows) for g in (content, rounded))
    assert 0 < np.abs(after - before).max() < 0.02 * np.abs(before).max()
