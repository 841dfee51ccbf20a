"""fieldhub history and fieldhub backup: as somebody at the server's console uses them, beside a store that is open."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from hub.__main__ import main
from hub.clock import SystemClock
from hub.errands.backup import MARK
from hub.historian import backup as history_backup
from hub.historian.backend import Access
from hub.historian.base import Batch, to_us
from hub.historian.engine import EmbeddedHistorian
from hub.historian.remote import RemoteHistorian
from hub.historian.victoria import Victoria
from hub.model import Kind
from tests.hub.historian import servers

NOON = to_us(datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3))
S = 1_000_000


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    it = tmp_path / "county"
    assert main(["init", str(it)]) == 0
    run(fill(it))
    return it


async def fill(site: Path, first: int = 0, count: int = 1000) -> None:
    """A level, a pump and a mode, of two days; half of it sealed."""
    store = await EmbeddedHistorian.open(site / "data" / "history", SystemClock())
    names = (("level", Kind.NUMBER, "m"), ("pump1.running", Kind.BOOL, ""), ("mode", Kind.TEXT, ""))
    level, pump, mode = (store.catalogue.number("ps-1", *it) for it in names)
    texts = [store.catalogue.code(mode, it) for it in ("远程", "=1+1")]
    at = NOON + (first + np.arange(count)) * 120 * S
    for number, value in (
        (level, np.arange(count) / 8),
        (pump, np.arange(count) // 50 % 2),
        (mode, np.array(texts)[np.arange(count) // 100 % 2]),
    ):
        quality = np.where(np.arange(count) % 97, 2, 0)
        value = np.where(np.arange(count) % 89, value, np.nan)
        await store.write(Batch.of(np.full(count, number), at, value, quality))
        if number == level:
            await store.seal()
    await store.close()


async def everything(site: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All readings by their point's name; texts as texts, so that it does not depend on numbers and codes."""
    store = await EmbeddedHistorian.open(site / "data" / "history", SystemClock())
    told = {}
    for it in store.catalogue.all():
        columns = (await store.range([it.id], 0, 1 << 60))[it.id]
        values = [
            None if v != v else store.catalogue.text(it.id, v) if it.kind is Kind.TEXT else v
            for v in columns.value.tolist()
        ]
        told[f"{it.device}/{it.point}/{it.kind}/{it.unit}"] = list(
            zip(columns.at_us.tolist(), values, columns.quality.tolist(), strict=True)
        )
    await store.close()
    return told


# ---- check, compact -----------------------------------------------------------------------------------------------


def test_a_whole_store_is_said_to_be_whole_beside_its_owner(site: Path, capsys: pytest.CaptureFixture[str]):
    async def beside() -> int:
        store = await EmbeddedHistorian.open(site / "data" / "history", SystemClock())
        code = await asyncio.to_thread(main, ["history", str(site), "check"])
        await store.close()
        return code

    assert run(beside()) == 0
    assert "whole: 3 series, 2 files, 1000 readings" in capsys.readouterr().out


@pytest.mark.parametrize("how", ["a byte", "a cut", "gone", "another"])
def test_what_is_not_as_it_was_written_is_named(site: Path, how: str, capsys: pytest.CaptureFixture[str]):
    one, other = sorted((site / "data" / "history" / "segments").iterdir())
    if how == "gone":
        one.unlink()
    elif how == "another":
        shutil.copy(other, one)
    else:
        whole = bytearray(one.read_bytes())
        if how == "a byte":
            whole[len(whole) // 3] ^= 0xFF
        one.write_bytes(whole if how == "a byte" else whole[:-100])
    assert main(["history", str(site), "check"]) == 1
    told = capsys.readouterr().out
    assert str(one) in told
    assert "restore this file from a backup" in told
    assert str(other) not in told


def test_a_file_that_nobody_lists_is_a_note(site: Path, capsys: pytest.CaptureFixture[str]):
    (site / "data" / "history" / "segments" / "2026-01-01.l0.00000099.parquet.part").write_bytes(b"half")
    assert main(["history", str(site), "check"]) == 0
    assert "was never finished" in capsys.readouterr().err


def test_compact_makes_one_file_a_day_and_rolls_up(site: Path, capsys: pytest.CaptureFixture[str]):
    before = run(everything(site))
    assert main(["history", str(site), "compact"]) == 0
    assert main(["history", str(site), "check"]) == 0
    names = {it.name.split(".")[1] for it in (site / "data" / "history" / "segments").iterdir()}
    assert names == {"l9", "1m", "1h", "runs"}
    assert run(everything(site)) == before


def test_compact_refuses_while_a_hub_has_it_open(site: Path, capsys: pytest.CaptureFixture[str]):
    async def beside() -> int:
        store = await EmbeddedHistorian.open(site / "data" / "history", SystemClock())
        code = await asyncio.to_thread(main, ["history", str(site), "compact"])
        await store.close()
        return code

    assert run(beside()) == 2
    assert "has this history open" in capsys.readouterr().err


# ---- export, import -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_what_is_exported_can_be_imported_elsewhere(site: Path, tmp_path: Path, form: str):
    file, other = tmp_path / f"all.{form}", tmp_path / "other"
    assert main(["history", str(site), "export", "-o", str(file)]) == 0
    assert main(["init", str(other)]) == 0
    assert main(["history", str(other), "import", str(file), "--new-devices"]) == 0
    assert run(everything(other)) == run(everything(site))
    assert main(["history", str(other), "import", str(file)]) == 0, "again: the same, and its devices are known now"
    assert run(everything(other)) == run(everything(site))


def test_an_export_has_names_that_other_programs_know(site: Path, tmp_path: Path):
    file = tmp_path / "some.parquet"
    start = datetime.fromtimestamp(NOON / 1e6 + 3600, UTC).isoformat()
    assert main(["history", str(site), "export", "--device", "ps-1", "--from", start, "-o", str(file)]) == 0
    table = pq.read_table(file).to_pylist()
    assert {it["device"] for it in table} == {"ps-1"}
    assert {it["text"] for it in table if it["point"] == "mode"} == {"远程", "=1+1", None}
    assert {it["quality"] for it in table} == {"good", "bad"}
    assert min(it["time"] for it in table) == datetime.fromtimestamp(NOON / 1e6 + 3600, UTC)


GOOD_ROW = "2026-11-01T00:00:00Z,ps-1,level,number,m,2.5,,good"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2026-11-01,,level,number,m,2.5,,good", 'row 2 › device ""'),
        ("yesterday,ps-1,level,number,m,2.5,,good", "write it with its zone"),
        ("2026-11-01T00:00:00Z,ps-1,level,number,metres,2.5,,good", 'unit "metres"'),
        ("2026-11-01T00:00:00Z,ps-1,level,float,m,2.5,,good", "write number, bool, enum or text"),
        ("2026-11-01T00:00:00Z,ps-1,level,number,m,two,,good", "write a number"),
        ("2026-11-01T00:00:00Z,ps-1,level,number,m,inf,,good", "write a number"),
        ("2026-11-01T00:00:00Z,ps-1,level,number,m,2.5,,fine", "write bad, uncertain, good"),
        ("2199-11-01T00:00:00Z,ps-1,level,number,m,2.5,,good", "not after now"),
        ("1900-11-01T00:00:00Z,ps-1,level,number,m,2.5,,good", "after 1970"),
        (f"2026-11-01T00:00:00Z,ps-1,mode,text,,,{'x' * 300},good", "at most 256 letters"),
    ],
)
def test_a_row_that_is_wrong_keeps_the_whole_file_out(
    site: Path, tmp_path: Path, row: str, said: str, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "rows.csv"
    file.write_text(f"time,device,point,kind,unit,value,text,quality\n{GOOD_ROW}\n{row}\n", encoding="utf-8")
    before = run(everything(site))
    assert main(["history", str(site), "import", str(file)]) == 2
    told = capsys.readouterr().err
    assert "row 2" in told
    assert said in told
    assert run(everything(site)) == before


@pytest.mark.parametrize("bytes_", [b"", b"\x00\xff" * 100, b"time,device\n1,2\n", b"PAR1nothingPAR1"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_that_is_none_is_said_to_be_none(site: Path, tmp_path: Path, bytes_: bytes, form: str):
    file = tmp_path / f"rows.{form}"
    file.write_bytes(bytes_)
    assert main(["history", str(site), "import", str(file)]) == 2


def test_devices_that_the_site_does_not_have_are_asked_about(site: Path, tmp_path: Path, capsys: Any):
    file = tmp_path / "rows.csv"
    heading = "time,device,point,kind,unit,value,text,quality"
    file.write_text(f"{heading}\n{GOOD_ROW.replace('ps-1', 'ps-l')}\n", encoding="utf-8")
    assert main(["history", str(site), "import", str(file)]) == 2
    assert "1 devices are not of this site (ps-l)" in capsys.readouterr().err
    assert main(["history", str(site), "import", str(file), "--dry-run", "--new-devices"]) == 0
    assert "ps-l" not in str(run(everything(site)))


# ---- copy to a server ---------------------------------------------------------------------------------------------


def test_the_past_is_copied_to_the_mirror(site: Path, tmp_path: Path):
    with servers.victoria(tmp_path / "victoria") as url:
        with (site / "hub.toml").open("a", encoding="utf-8") as file:
            file.write(f'\n[history.mirror]\nkind = "victoriametrics"\nurl = "{url}"\n')
        for _ in range(2):
            assert main(["history", str(site), "copy"]) == 0
        before = run(everything(site))

        async def there() -> dict[str, int]:
            store = await RemoteHistorian.open(site / "data" / "history", SystemClock(), Victoria(Access(url)))
            found = {it.point: len((await store.range([it.id], 0, 1 << 60))[it.id]) for it in store.catalogue.all()}
            await store.close()
            return found

        assert run(there()) == {name.split("/")[1]: len(rows) for name, rows in before.items()}


# ---- backup -------------------------------------------------------------------------------------------------------


def back_up(site: Path, target: Path) -> int:
    return main(["backup", str(site), str(target)])


def mark(target: Path) -> Any:
    return msgspec.json.decode((target / MARK).read_bytes())


@pytest.fixture
def with_ledger(site: Path) -> Path:
    from hub.ledger import Ledger

    async def begin() -> None:
        ledger = await Ledger.open(f"sqlite:///{site / 'data' / 'ledger.sqlite'}", SystemClock())
        await ledger.close()

    run(begin())
    return site


def test_a_backup_is_a_site_that_can_be_started(with_ledger: Path, tmp_path: Path):
    (with_ledger / "data" / "keys").mkdir()
    (with_ledger / "data" / "keys" / "vault.key").write_bytes(b"key")
    target = tmp_path / "backup"
    assert back_up(with_ledger, target) == 0
    assert mark(target)["whole"]
    assert sorted(it.name for it in (target / "data" / "history").iterdir()) == ["history.sqlite3", "segments"]
    restored = tmp_path / "restored"
    shutil.copytree(target, restored)
    assert main(["check", str(restored)]) == 0
    assert main(["history", str(restored), "check"]) == 0
    assert main(["audit", str(restored), "verify"]) == 0
    assert (restored / "data" / "keys" / "vault.key").read_bytes() == b"key"
    assert run(everything(restored)) == run(everything(with_ledger))
    assert target.stat().st_mode & 0o077 == 0


def test_a_second_backup_takes_what_is_new_and_drops_what_is_gone(
    with_ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    target = tmp_path / "backup"
    assert back_up(with_ledger, target) == 0
    run(fill(with_ledger, first=1000))
    (with_ledger / "devices" / "more.toml").write_text("", encoding="utf-8")
    capsys.readouterr()
    assert back_up(with_ledger, target) == 0
    assert "of them new" in capsys.readouterr().out
    assert (target / "devices" / "more.toml").exists()
    assert main(["history", str(with_ledger), "compact"]) == 0
    (with_ledger / "devices" / "more.toml").unlink()
    assert back_up(with_ledger, target) == 0
    assert not (target / "devices" / "more.toml").exists()
    names = [sorted(it.name for it in (one / "data/history/segments").iterdir()) for one in (with_ledger, target)]
    assert names[0] == names[1]
    assert run(everything(target)) == run(everything(with_ledger))


def test_while_the_store_is_written_sealed_and_merged(with_ledger: Path, tmp_path: Path):
    """Each backup is one moment: batches are whole in it, and there are more in each later one."""

    async def busy(until: asyncio.Event) -> int:
        store = await EmbeddedHistorian.open(with_ledger / "data" / "history", SystemClock(), seal_points=500)
        number = store.catalogue.number("busy", "n", Kind.NUMBER, "m")
        written = 0
        while not until.is_set():
            at = NOON + written * S + np.arange(100) * 1000
            await store.write(Batch.of(np.full(100, number), at, np.full(100, written), np.full(100, 2)))
            written += 1
            if not written % 20:
                await store.compact()
        await store.close()
        return written

    async def both() -> list[int]:
        done = asyncio.Event()
        writing = asyncio.create_task(busy(done))
        found = []
        for n in range(4):
            await asyncio.sleep(0.2)
            assert await asyncio.to_thread(back_up, with_ledger, tmp_path / f"backup{n % 2}") == 0
            copy = tmp_path / f"copy{n}"
            shutil.copytree(tmp_path / f"backup{n % 2}", copy)
            rows = (await asyncio.to_thread(run, everything(copy))).get("busy/n/number/m", [])
            assert len(rows) % 100 == 0
            found.append(len(rows))
        done.set()
        await writing
        return found

    found = run(both())
    assert found == sorted(found)
    assert found[-1] > found[0] > 0


def test_nothing_of_anybody_s_is_written_over(with_ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    other = tmp_path / "photos"
    other.mkdir()
    (other / "one.jpg").write_bytes(b"1")
    assert back_up(with_ledger, other) == 2
    assert "no earlier backup" in capsys.readouterr().err
    assert back_up(with_ledger, with_ledger / "data" / "backup") == 2
    assert [it.name for it in other.iterdir()] == ["one.jpg"]
    (other / MARK).write_text("something else", encoding="utf-8")
    assert back_up(with_ledger, other) == 2


def test_a_backup_that_was_cut_off_says_so_and_the_next_one_goes_on(
    with_ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target = tmp_path / "backup"
    real = history_backup._copy_file

    def full(source: Path, there: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(history_backup, "_copy_file", full)
    assert back_up(with_ledger, target) == 2
    assert not mark(target)["whole"]
    monkeypatch.setattr(history_backup, "_copy_file", real)
    assert back_up(with_ledger, target) == 0
    assert mark(target)["whole"]
