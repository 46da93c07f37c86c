"""The open corpus: real speech and real generators out of package registries, built and checked.

`build` makes it, `check` looks for what would make its results dishonest; see docs/corpus.md.
"""

from unheard.corpora.open.building import Built, build
from unheard.corpora.open.checking import CheckReport, check
from unheard.corpora.open.sizes import SIZES

__all__ = ["SIZES", "Built", "CheckReport", "build", "check"]
