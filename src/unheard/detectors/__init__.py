"""Detectors: the table of what can be built; `unheard.detectors.bundle` saves and loads them."""

from unheard.detectors.detector import Detector, Outputs, Spec, outputs, window_scores
from unheard.detectors.lcnn import Lcnn
from unheard.detectors.resnet18 import ResNet18
from unheard.detectors.toy import Toy

__all__ = [
    "DETECTORS",
    "Detector",
    "Lcnn",
    "Outputs",
    "ResNet18",
    "Spec",
    "Toy",
    "outputs",
    "window_scores",
]

DETECTORS: dict[str, type[Spec]] = {
    "lcnn": Lcnn,
    "resnet18": ResNet18,
    "toy": Toy,  # needs no training; used by tests, documentation and the service's example
}
