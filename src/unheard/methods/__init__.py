"""How a detector is trained: one file per method, each with a row here."""

from unheard.methods.method import Method, Moments, Objective, Progress
from unheard.methods.mldg import Mldg
from unheard.methods.plasticity import Plasticity
from unheard.methods.supervised import Supervised

__all__ = [
    "METHODS",
    "Method",
    "Mldg",
    "Moments",
    "Objective",
    "Plasticity",
    "Progress",
    "Supervised",
]

METHODS: dict[str, type[Method]] = {
    "mldg": Mldg,
    "plasticity": Plasticity,
    "supervised": Supervised,
}
