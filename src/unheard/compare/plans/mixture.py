"""Three spectral experts, and the gates between them, on the open corpus.

The experts are trained once per seed and shared by all mixtures; the gates learn on experts that
stay as they are, `joint` trains experts too. The plain average and the logistic fusion need no
training: `unheard scores fuse` makes them of the experts' score files.

Run: unheard compare mixture --data MANIFEST --out runs
"""

from unheard.compare.plan import Comparison, Entry

plan = Comparison(
    name="mixture",
    entries=(
        Entry("resnet18_linear_small", "resnet18_linear_small"),
        Entry("resnet18_mel_small", "resnet18_mel_small"),
        Entry("mel_lcnn_small", "mel_lcnn_small"),
        Entry("waveform_gate_small", "waveform_gate_small"),
        Entry("enhanced_gate_small", "enhanced_gate_small"),
        Entry("attention_mixture_small", "attention_mixture_small"),
        Entry("joint", "attention_mixture_small", ("detector.frozen=false", "schedule.rate=1e-4")),
    ),
    baseline="resnet18_linear_small",
)
