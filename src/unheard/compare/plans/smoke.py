"""Three toy detectors, one of which stands on another: shows in a minute what a comparison does.

They detect nothing real.

Run: unheard compare smoke --data MANIFEST --out runs/smoke
"""

from unheard.compare.plan import Comparison, Entry

plan = Comparison(
    name="smoke",
    entries=(
        Entry("toy", "toy"),
        Entry("toy_further", "toy_further"),
        Entry("toy_small", "toy", ("detector.n_bands=2",)),
    ),
    baseline="toy",
    seeds=(1, 2),
    settings=("budget.n_steps=30",),
)
