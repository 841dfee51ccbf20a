"""The holds file: what it says after a restart, when it cannot be read, and how often it is written."""

from pathlib import Path

import pytest

from hub.clock import ManualClock
from hub.contract import Hold
from hub.holds import EVERY_S, HoldsFile

from .kit import NOON, Limit

HOLD = Hold("ps-1", "sump high", "pending", NOON)


class Holding(Limit):
    def __init__(self, *holds: Hold) -> None:
        super().__init__()
        self.running = list(holds)

    def holds(self) -> list[Hold]:
        return list(self.running)


async def test_what_is_written_is_read_at_the_next_start(tmp_path: Path):
    path = tmp_path / "holds.json"
    assert HoldsFile(path, Holding(), ManualClock()).read() == []
    await HoldsFile(path, Holding(HOLD), ManualClock()).write()
    assert HoldsFile(path, Holding(), ManualClock()).read() == [HOLD]
    assert not path.with_suffix(".new").exists()


async def test_it_is_written_when_it_has_changed_and_not_else(tmp_path: Path):
    path = tmp_path / "holds.json"
    judgement = Holding(HOLD)
    file = HoldsFile(path, judgement, ManualClock())
    await file.write()
    path.unlink()
    await file.write()
    assert not path.exists()
    judgement.running.clear()
    await file.write()
    assert HoldsFile(path, Holding(), ManualClock()).read() == []


@pytest.mark.parametrize("text", ["", "[", '[{"device": 1}]', "\x00" * 40])
def test_a_file_that_cannot_be_read_is_said_and_stops_nothing(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "holds.json"
    path.write_text(text, "utf-8")
    assert HoldsFile(path, Holding(), ManualClock()).read() == []
    assert "holds.json › cannot be read: " in caplog.text
    assert EVERY_S < 10
