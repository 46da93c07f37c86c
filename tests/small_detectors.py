"""Each row of DETECTORS at a size that trains in milliseconds; a new row is tested by joining."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from unheard.detectors.aasist import RawAasist
from unheard.detectors.detector import Resizable, Spec
from unheard.detectors.grnn import Grnn
from unheard.detectors.layers.encoder import Encoder
from unheard.detectors.layers.gates import AttentionGate
from unheard.detectors.layers.lora import LoraExperts
from unheard.detectors.lcnn import Lcnn
from unheard.detectors.linear_states import LinearStates
from unheard.detectors.mel_lcnn import MelLcnn
from unheard.detectors.mixture import Mixture
from unheard.detectors.resnet18 import ResNet18
from unheard.detectors.ssl_aasist import SslAasist
from unheard.detectors.ssl_pooled import SslPooled
from unheard.detectors.table import DETECTORS
from unheard.detectors.toy import Toy
from unheard.training.methods import METHODS

TINY_ENCODER = Encoder(
    family="wav2vec2",
    settings=(
        ("conv_dim", (8,) * 7),
        ("hidden_size", 16),
        ("intermediate_size", 24),
        ("num_attention_heads", 2),
        ("num_conv_pos_embedding_groups", 2),
        ("num_conv_pos_embeddings", 8),
        ("num_hidden_layers", 2),
    ),
)
TINY_EXPERTS = LoraExperts(rank=2, n_experts=3, n_active=2)

SMALL: dict[str, Spec] = {
    "aasist": RawAasist(n_filters=12, n_taps=31, widths=(3, 4), graph_widths=(6, 4)),
    "grnn": Grnn(n_filters=6, channels=4, hidden=(4, 3), embedding=4),
    "lcnn": Lcnn(n_filters=6),
    "linear_states": LinearStates(encoder=TINY_ENCODER, layers=(0, 2), spectral=True),
    "mel_lcnn": MelLcnn(n_hop=400, n_mels=8),
    "mixture": Mixture(
        experts=(ResNet18(n_hop=400, n_mels=16, width=2, embedding=4), Toy(n_bands=4)),
        gate=AttentionGate(width=8, heads=2, depth=1, feed_forward=8),
        frozen=False,
    ),
    "resnet18": ResNet18(n_hop=400, n_mels=16, width=2, embedding=4),
    "ssl_aasist": SslAasist(encoder=TINY_ENCODER, adapters=TINY_EXPERTS),
    "ssl_pooled": SslPooled(encoder=TINY_ENCODER, reading="weighted", spectral=True, n_hidden=8),
    "toy": Toy(n_bands=4),
}
assert SMALL.keys() == DETECTORS.keys(), "give a new detector a small one here, in SMALL"

PAIRS = [
    (method, detector)
    for method in METHODS
    for detector in DETECTORS
    if method != "plasticity" or isinstance(SMALL[detector], Resizable)
    if method != "solve" or isinstance(SMALL[detector], LinearStates)
]
"""Each method with each detector that it can train: what has no width cannot grow, and what is not
linear in its embedding has no closed form."""


def published(folder: Path, seed: int = 11) -> None:
    """Write the tiny encoder with random weights, as encoders are published."""
    torch.manual_seed(seed)
    network = TINY_ENCODER.build().model
    network.config.save_pretrained(folder)
    save_file(network.state_dict(), folder / "model.safetensors")
