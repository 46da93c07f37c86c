"""Real generators and real people, from public demonstration pages.

    out/raw.parquet                 manifest
    out/clips/PART/BLOB.flac        16 kHz mono 16 bit, 3 s in train, 4 s in dev and eval
    out/cut.jsonl                   what was made, for a build that is interrupted

277 repositories: 128 with recordings of 383 named speech generators, of 2017 to 2026, mostly next
to the human recordings that they were compared with; 149 with people only. `unheard corpus build
demos` fetches them by git, or takes them from local mirrors or a pack. No audio is in the package.

Parts are by laboratory: no laboratory is in two. docs/demos.md says what is in it, what is doubtful
and how the owner of a page gets it removed.
"""

from unheard.corpora.demos.building import Built, build
from unheard.corpora.demos.catalogue import Catalogue, read_catalogue
from unheard.corpora.demos.choosing import Choice
from unheard.corpora.git_files import HOST, Hosts, Mirrors

__all__ = ["HOST", "Built", "Catalogue", "Choice", "Hosts", "Mirrors", "build", "read_catalogue"]
