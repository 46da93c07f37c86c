"""Runs the command line as on a machine that has no torch: `python without_torch.py ARGUMENTS`."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec

MISSING = ("torch", "sklearn", "transformers", "onnx", "onnxscript")


class Missing:
    """Finds none of these packages, wherever they are."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: object = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


if __name__ == "__main__":
    sys.meta_path.insert(0, Missing)
    from unheard.cli.app import main

    main(sys.argv[1:])
