"""Detectors: the table of what can be built; `unheard.detectors.bundle` saves and loads them."""

from typing import Any

from unheard.detectors.aasist import RawAasist
from unheard.detectors.detector import Spec
from unheard.detectors.grnn import Grnn
from unheard.detectors.layers.aggregation import Adaptive
from unheard.detectors.layers.encoder import Encoder
from unheard.detectors.layers.gates import AttentionGate, EnhancedGate, FixedGate, WaveformGate
from unheard.detectors.layers.lora import LoraExperts
from unheard.detectors.lcnn import Lcnn
from unheard.detectors.linear_states import LinearStates
from unheard.detectors.mel_lcnn import MelLcnn
from unheard.detectors.mixture import Mixture
from unheard.detectors.resnet18 import ResNet18
from unheard.detectors.ssl_aasist import SslAasist
from unheard.detectors.ssl_pooled import SslPooled
from unheard.detectors.toy import Toy

__all__ = ["DETECTORS", "PARTS"]

DETECTORS: dict[str, type[Spec]] = {
    "aasist": RawAasist,
    "grnn": Grnn,
    "lcnn": Lcnn,
    "linear_states": LinearStates,
    "mel_lcnn": MelLcnn,
    "mixture": Mixture,
    "resnet18": ResNet18,
    "ssl_aasist": SslAasist,
    "ssl_pooled": SslPooled,
    "toy": Toy,  # needs no training; used by tests, documentation and the service's example
}

PARTS: dict[str, type[Any]] = {
    "adaptive": Adaptive,
    "attention_gate": AttentionGate,
    "encoder": Encoder,
    "enhanced_gate": EnhancedGate,
    "fixed_gate": FixedGate,
    "lora_experts": LoraExperts,
    "waveform_gate": WaveformGate,
}
"""Values that a detector's fields may hold besides numbers, and what a bundle calls them."""
