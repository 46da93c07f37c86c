"""The two tables of the reconstruction paper (2604.26465) in our terms, on the open corpus.

Which generator makes the most useful twins, and what the sum over layers and each term of RACL add.
Twins are those of part train, by generators that training may hear: a small diffusion model of the
bona fide clips of train, and WORLD, of which train has clips. Of the other copies of the open
corpus Griffin-Lim from mel bands is told by its band, and the rest speak in test parts alone.

Run: unheard generate train diffusion --data MANIFEST --out MODEL
     unheard generate copies --with diffusion --set source=MODEL --parts train \
         --data MANIFEST --out d
     unheard generate copies --with world --data d/manifest.parquet --out t --parts train
     unheard compare racl --data MANIFEST --data twins=t/manifest.parquet --out runs
"""

from unheard.compare.plan import Comparison, Entry

LAST = ("detector.reading=last",)
PLAIN = ("objective.standard=0", "objective.enhanced=0", "objective.variance=0")
DIFFUSION = ("sampler.generator=diffusion",)

plan = Comparison(
    name="racl",
    entries=(
        Entry("none", "racl_none_small"),
        Entry("world", "racl_small", (*LAST, *PLAIN, "sampler.generator=world"), data="twins"),
        Entry("diffusion", "racl_small", (*LAST, *PLAIN, *DIFFUSION), data="twins"),
        Entry("aggregated", "racl_small", (*PLAIN, *DIFFUSION), data="twins"),
        Entry("standard", "racl_small", (*PLAIN[1:], *DIFFUSION), data="twins"),
        Entry("enhanced", "racl_small", (*PLAIN[2:], *DIFFUSION), data="twins"),
        Entry("racl_small", "racl_small", DIFFUSION, data="twins"),
    ),
    baseline="none",
    seeds=(1, 2, 3),
    settings=("sampler.batch_clips=16",),
)
