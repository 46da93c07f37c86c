"""What TensorBoard is given of a run; its writer is a fake, since the package is an extra."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from unheard.errors import MissingExtra
from unheard.training.tensorboard import Mirror

MODULE = "torch.utils.tensorboard"


class Writer:
    """What `SummaryWriter` offers of what is used here."""

    made: ClassVar[list["Writer"]] = []

    def __init__(self, folder: str, purge_step: int) -> None:
        self.folder, self.purge_step = Path(folder), purge_step
        self.scalars: list[tuple[str, float, int]] = []
        self.closed = False
        Writer.made.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((name, value, step))

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[Writer]:
    module: Any = ModuleType(MODULE)
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, MODULE, module)
    monkeypatch.setattr(Writer, "made", [])
    return Writer.made


def log(out: Path, *steps: int) -> None:
    (out / "log.jsonl").write_text(
        "".join(json.dumps({"step": step, "loss": step / 10}) + "\n" for step in steps)
    )


def test_every_logged_number_is_written_once_while_the_run_goes_on(
    writers: list[Writer], tmp_path: Path
) -> None:
    said: list[str] = []
    with Mirror(tmp_path, said.append) as mirror:
        mirror.say("forward passes in float32")
        log(tmp_path, 1, 2)
        mirror.say("step 2/4: dev EER ...")
        assert writers[0].scalars == [("loss", 0.1, 1), ("loss", 0.2, 2)]
        log(tmp_path, 1, 2, 3, 4)
        mirror.say("step 4/4: dev EER ...")
    (writer,) = writers
    assert [step for _, _, step in writer.scalars] == [1, 2, 3, 4]
    assert writer.folder == tmp_path / "tensorboard"
    assert writer.closed
    assert said == ["forward passes in float32", "step 2/4: dev EER ...", "step 4/4: dev EER ..."]


def test_a_run_that_resumes_purges_what_its_log_has_lost(
    writers: list[Writer], tmp_path: Path
) -> None:
    log(tmp_path, 1, 2, 3)  # 3 came after the last checkpoint
    with Mirror(tmp_path, lambda _: None) as mirror:
        mirror.say("resuming after step 2 of 4")
        assert not writers
        log(tmp_path, 1, 2)
        mirror.say("step 4/4: dev EER ...")
        log(tmp_path, 1, 2, 3, 4)
    assert writers[0].purge_step == 0
    assert [step for _, _, step in writers[0].scalars] == [1, 2, 3, 4]


def test_without_the_package_the_flag_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, MODULE, None)
    with pytest.raises(MissingExtra, match=r"pip install 'unheard\[tensorboard\]'"):
        Mirror(tmp_path, lambda _: None)
