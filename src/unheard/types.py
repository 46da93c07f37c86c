"""Names for types, shared by every module. Nothing else lives here."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoolArray", "FloatArray", "IntArray", "Say"]

FloatArray = NDArray[np.floating]
"""Real numbers: float32 for audio, float64 for metrics; the docstring says which."""

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.integer]

Say = Callable[[str], None]
"""What receives a line of progress."""
