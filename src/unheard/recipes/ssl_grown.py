"""The detector that dropin_ssl ends with, at that size from the first step on.

New units of the third layer are drawn at random before the first step, where dropin_ssl adds them
later and unheard at first; all of that layer's feed-forward part is trained, the published part of
it too. Fetch the encoder first with `unheard encoder whisper-tiny.en`.

Expects: EER 25.0 % on eval_in, 39.1 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 1.2 times the training steps of the size before, 0.8 times those of lora_small.
Run:     unheard train ssl_grown --data MANIFEST --out runs/ssl_grown
"""

from dataclasses import replace

from unheard.detectors.layers.encoder import WHISPER_TINY_EN
from unheard.detectors.table import SslAasist
from unheard.recipes import dropin_ssl
from unheard.training.methods import Supervised

recipe = replace(
    dropin_ssl.recipe,
    name="ssl_grown",
    detector=SslAasist(encoder=WHISPER_TINY_EN, frozen=True, feed_forward=(0, 0, 1792)),
    method=Supervised(),
)
