"""The open corpus: real speech and real generators out of package registries, built and checked.

`build` makes it, `check` looks for what would make its results dishonest; see docs/corpus.md.
"""

from unheard.open_corpus.building import Built, build
from unheard.open_corpus.checking import CheckReport, check
from unheard.open_corpus.sizes import SIZES

__all__ = ["SIZES", "Built", "CheckReport", "build", "check"]
