"""Which licences let a detector be trained on a recording and passed on."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from unheard.data.clip import Manifest

__all__ = ["Licences", "under"]

Licences = Literal["any", "unrestricted", "permissive"]
"""What is kept: all; all but what forbids commercial use or changes, or has terms of its own; what
states that nearly everything is allowed."""

_PERMISSIVE = re.compile(r"(MIT|Apache-2\.0|BSD\b.*|ISC|CC0-1\.0|CC-BY-\d\.\d|Unlicense)")
_RESTRICTED = re.compile(r".*(-NC|-ND|non-?commercial|no-?derivatives|custom).*", re.IGNORECASE)


def under(manifest: Manifest, licences: Licences) -> Manifest:
    """Return the clips whose licence is of a sort; those of parts for testing stay as they are.

    Args:
        manifest: Clips of any corpus. A licence that is not known counts as not stated: it is not
            permissive, and nothing in it forbids.
        licences: What is kept.
    """
    if licences == "any":
        return manifest
    names = manifest.column("licence").astype(str)
    if licences == "permissive":
        kept = [bool(_PERMISSIVE.fullmatch(name)) for name in names]
    else:
        kept = [not _RESTRICTED.fullmatch(name) for name in names]
    testing = [part.startswith(("eval", "test")) for part in manifest.column("part")]
    return manifest.where(np.array(kept, bool) | np.array(testing, bool))
