"""`fieldhub audit`: an entry that was changed, taken away or cut off is named."""

import sqlite3
from pathlib import Path

import pytest

from hub.__main__ import main
from hub.clock import ManualClock
from hub.ledger import Ledger
from tests.hub.ledger.samples import change


@pytest.fixture
async def site(tmp_path: Path) -> Path:
    """A site whose ledger has seven entries."""
    (tmp_path / "data").mkdir()
    ledger = await Ledger.open(f"sqlite:///{tmp_path}/data/ledger.sqlite", ManualClock())
    await ledger.append(*(change(f"a{n}") for n in range(7)))
    await ledger.close()
    return tmp_path


def by_hand(site: Path, *statements: str) -> None:
    """What somebody does who may write the file."""
    with sqlite3.connect(site / "data/ledger.sqlite") as it:
        for trigger in ("entry_refuses_update", "entry_refuses_delete"):
            it.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            it.execute(statement)
    it.close()


def audit(site: Path, *words: str) -> int:
    return main(["audit", str(site), *words])


def tip(site: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert audit(site, "tip") == 0
    return capsys.readouterr().out.strip()


def test_an_untouched_ledger_is_whole(site: Path, capsys: pytest.CaptureFixture[str]):
    known = tip(site, capsys)
    assert known.startswith("7:")
    assert audit(site, "verify", "--tip", known) == 0
    assert capsys.readouterr().out == "whole: 7 entries\n"


def test_one_byte_that_was_changed_is_named(site: Path, capsys: pytest.CaptureFixture[str]):
    by_hand(site, "UPDATE entry SET body = replace(body, 'sump', 'pump') WHERE seq = 4")
    assert audit(site, "verify") == 1
    assert "entry 4 › is missing or was changed" in capsys.readouterr().out


def test_a_cut_off_end_shows_by_an_earlier_tip(site: Path, capsys: pytest.CaptureFixture[str]):
    known = tip(site, capsys)
    by_hand(site, "DELETE FROM entry WHERE seq > 5")
    assert audit(site, "verify") == 0, "what is left is a whole chain"
    assert audit(site, "verify", "--tip", known) == 1
    assert "entry 6 › and all after it are gone: the ledger ends at 5" in capsys.readouterr().out


async def again(site: Path) -> None:
    ledger = await Ledger.open(f"sqlite:///{site}/data/ledger.sqlite", ManualClock())
    await ledger.append(change("other"), change("other2"), change("other3"))
    await ledger.close()


async def test_a_history_that_was_written_anew_shows_by_an_earlier_tip(site: Path, capsys: pytest.CaptureFixture[str]):
    from hub import audit as it

    ledger = await Ledger.open(f"sqlite:///{site}/data/ledger.sqlite", ManualClock())
    known = it.read_tip(await it.tip(ledger))
    await ledger.close()
    by_hand(site, "DELETE FROM entry WHERE seq > 5")
    await again(site)
    ledger = await Ledger.open(f"sqlite:///{site}/data/ledger.sqlite", ManualClock())
    assert await it.faults(ledger) == []
    assert (await it.faults(ledger, known))[0].startswith("entry 7 › is not the one of the tip")
    await ledger.close()


@pytest.mark.parametrize("wrong", ["7", "7:zz", "x:" + "0" * 64])
def test_what_is_no_tip_is_said(site: Path, wrong: str, capsys: pytest.CaptureFixture[str]):
    assert audit(site, "verify", "--tip", wrong) == 2
    assert "is not a tip. Write what `fieldhub audit DIR tip` printed" in capsys.readouterr().err


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert audit(tmp_path, "verify") == 2
    assert "ledger.sqlite › is not there" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
