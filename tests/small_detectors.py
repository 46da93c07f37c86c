"""Each row of DETECTORS at a size that trains in milliseconds; a new row is tested by joining."""

from unheard.detectors import Lcnn, ResNet18, Spec, Toy

SMALL: dict[str, Spec] = {
    "lcnn": Lcnn(n_filters=6),
    "resnet18": ResNet18(n_hop=400, n_mels=16, width=2, embedding=4),
    "toy": Toy(n_bands=4),
}
