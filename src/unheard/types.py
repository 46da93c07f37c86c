"""Names for array types, shared by every module. Nothing else lives here."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoolArray", "FloatArray", "IntArray"]

FloatArray = NDArray[np.floating]
"""Real numbers: float32 for audio, float64 for metrics; the docstring says which."""

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.integer]
