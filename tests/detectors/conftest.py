"""What tests of detectors on encoders stand on."""

from pathlib import Path

import pytest


@pytest.fixture
def encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of encoders with one of a random tiny one, called "tiny"."""
    from small_detectors import published

    published(tmp_path / "encoders/tiny")
    monkeypatch.setenv("UNHEARD_ENCODERS", str(tmp_path / "encoders"))
    return tmp_path / "encoders"
