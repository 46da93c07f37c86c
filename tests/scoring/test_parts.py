"""Does each channel and track get its verdict, and the file that of the most suspicious one?"""

import json

import numpy as np
import pytest

from audio_files import pipe, wav
from unheard.errors import AudioError, RecipeError
from voice import scorer, silence, voice

QUIET, LOUD = voice(6, seed=1, peak=0.05), voice(6, seed=2)
CALL = wav(np.stack([LOUD, QUIET]))


def test_each_channel_gets_its_verdict_and_the_file_the_lowest() -> None:
    whole = scorer(channel="each").file(CALL, name="call")
    alone = [scorer(channel=side).file(CALL) for side in ("left", "right")]
    assert [part.score for part in whole.parts] == [verdict.score for verdict in alone]
    assert whole.score == alone[1].score
    assert [part.channel for part in whole.parts] == ["1", "2"]
    assert whole.channel == "2"
    assert "each part was scored: channel 1" in whole.warnings[0]
    assert "the verdict is that of channel 2" in whole.warnings[0]
    plain = whole.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["parts"][0]["score"] == alone[0].score


def test_a_channel_without_speech_does_not_decide() -> None:
    data = wav(np.stack([silence(6), LOUD]))
    whole = scorer(channel="each").file(data)
    assert whole.channel == "2"
    assert whole.score is not None
    assert "channel 1 no verdict" in whole.warnings[0]
    nothing = scorer(channel="each").file(wav(np.stack([silence(6), silence(6)])))
    assert nothing.score is None
    assert nothing.reason is not None


def test_each_needs_a_file_that_can_be_read_again() -> None:
    with pytest.raises(AudioError, match="can be read again; save it first, or choose one"):
        scorer(channel="each").file(pipe(CALL))


def test_every_track_gets_its_verdict() -> None:
    whole = scorer(track="all").file(CALL)
    assert [(part.channel, part.track) for part in whole.parts] == [("mix", "1")]


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"channel": "middle"}, "give mix, left, right, each, or a number from 1"),
        ({"channel": "0"}, "a number from 1"),
        ({"track": "some"}, "give default, all or a number from 1"),
    ],
)
def test_what_no_recording_has_is_refused(settings: dict[str, str], remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        scorer(**settings)
