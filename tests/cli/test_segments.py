"""Do the commands say where in words first, and are segments fitted where they should be?"""

from pathlib import Path

import numpy as np
import pytest

from unheard.cli.app import main
from unheard.cli.archive import show
from unheard.detectors.segment_point import SegmentPoint
from voice import FakeBundle, FakeCard, scorer, voice


def test_a_line_names_the_part_before_the_score(capsys: pytest.CaptureFixture[str]) -> None:
    card = FakeCard(segments=SegmentPoint(level=-1.0, evidence=4.0))
    samples = np.concatenate([voice(40, peak=0.9), voice(20, peak=0.2), voice(10, peak=0.9)])
    verdict = scorer(FakeBundle(card=card)).samples(samples, name="a.wav")
    show(verdict.to_dict(), as_json=False, quiet=False)
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith(
        "spoof       0:40 to 1:00 is called synthetic, the rest is not; whole: score"
    )
    assert line.endswith("a.wav")


def test_segments_are_not_fitted_on_what_is_tested_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(__file__).parents[1] / "tiny" / "equalised.parquet"
    with pytest.raises(SystemExit) as left:
        main(["segments", str(tmp_path), "--data", str(data), "--parts", "eval_in"])
    assert left.value.code == 1
    assert "not fitted on part 'eval_in'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["segments", "shipped", "--data", str(data)])
    assert "have no note 'segments'" in capsys.readouterr().err
