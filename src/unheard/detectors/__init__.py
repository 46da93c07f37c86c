"""Detectors: the table of what can be built; `unheard.detectors.bundle` saves and loads them."""

from typing import Any

from unheard.detectors.aasist import RawAasist
from unheard.detectors.detector import Detector, Outputs, Spec, outputs, window_scores
from unheard.detectors.layers.encoder import Encoder
from unheard.detectors.layers.lora import LoraExperts
from unheard.detectors.lcnn import Lcnn
from unheard.detectors.resnet18 import ResNet18
from unheard.detectors.ssl_aasist import SslAasist
from unheard.detectors.toy import Toy

__all__ = [
    "DETECTORS",
    "PARTS",
    "Detector",
    "Encoder",
    "Lcnn",
    "LoraExperts",
    "Outputs",
    "RawAasist",
    "ResNet18",
    "Spec",
    "SslAasist",
    "Toy",
    "outputs",
    "window_scores",
]

DETECTORS: dict[str, type[Spec]] = {
    "aasist": RawAasist,
    "lcnn": Lcnn,
    "resnet18": ResNet18,
    "ssl_aasist": SslAasist,
    "toy": Toy,  # needs no training; used by tests, documentation and the service's example
}

PARTS: dict[str, type[Any]] = {
    "encoder": Encoder,
    "lora_experts": LoraExperts,
}
"""Values that a detector's fields may hold beside numbers, and what a bundle calls them."""
