"""Several manifests made one, for training on several corpora."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unheard.data.clip import Clip, Manifest
from unheard.data.protocol import moved
from unheard.errors import ManifestError

__all__ = ["joined"]


def joined(manifests: Sequence[Manifest], folder: Path) -> Manifest:
    """Return one manifest of all clips, for a file in a folder; audio stays where it is.

    A clip that several hold, such as a source that stands beside its copies too, is kept once.

    Args:
        manifests: One or more; their clips keep their parts.
        folder: Where the new manifest will lie.

    Raises:
        ManifestError: If a clip is in another part, or labelled otherwise, in one than in another.
    """
    clips: dict[str, Clip] = {}
    for manifest in manifests:
        for clip in moved(manifest, folder):
            before = clips.setdefault(clip.id, clip)
            for name in ("part", "bonafide", "attack", "sha256"):
                if getattr(before, name) != getattr(clip, name):
                    raise ManifestError(
                        f"clip {clip.id!r} has {name} {getattr(before, name)!r} in one manifest "
                        f"and {getattr(clip, name)!r} in another; join manifests that agree"
                    )
    return Manifest.of(clips.values(), folder)
