"""Do the labels of stretches come back from the text that they are kept as?"""

import pytest

from unheard.data.segment_labels import Stretch, read_stretches, written
from unheard.errors import ManifestError


def test_stretches_come_back_in_order_of_time() -> None:
    stretches = [Stretch(20.0, 21.25, True, "another person"), Stretch(0.5, 14.125, False, "x-y z")]
    assert (
        written(stretches[::-1])
        == "0.500-14.125 spoof x-y z; 20.000-21.250 bonafide another person"
    )
    assert read_stretches(written(stretches)) == tuple(stretches[::-1])
    assert read_stretches(written([])) == ()
    assert read_stretches("1-2 spoof") == (Stretch(1.0, 2.0, False),)


@pytest.mark.parametrize("text", ["", "1-2", "2-1 spoof", "1-2 fake", "a-b spoof", "1-2-3 spoof"])
def test_what_is_no_label_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match="START-END spoof SOURCE"):
        read_stretches(text)
