"""ONNX Runtime, imported in the one way that tells nobody."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

__all__ = ["onnx_runtime"]


def onnx_runtime() -> ModuleType:
    """Import ONNX Runtime with its telemetry off: it would report its use to its maker.

    It reads the setting as it is imported, and else keeps a database in the home folder.

    Raises:
        ImportError: If it is not installed.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    return importlib.import_module("onnxruntime")
