"""How a detector is trained: one file per method, each with a row here."""

from unheard.training.method import Method
from unheard.training.mldg import Mldg
from unheard.training.plasticity import Plasticity
from unheard.training.solve import Solve
from unheard.training.supervised import Supervised

__all__ = ["METHODS"]

METHODS: dict[str, type[Method]] = {
    "mldg": Mldg,
    "plasticity": Plasticity,
    "solve": Solve,
    "supervised": Supervised,
}
