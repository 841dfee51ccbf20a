"""What the ledger says and does when its disk, its file or an asker is not well."""

import asyncio
import gc
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from hub.clock import ManualClock
from hub.ledger import AlreadyWritten, Ledger, LedgerUnavailable, Note
from hub.ledger.writer import QUEUE_LIMIT, RETRY_S
from hub.model import Stage

from .samples import at, change, command, receipt

NOBODY = 65534
MUCH = replace(change("long"), note="很长" * 5000)


# ---- the disk -----------------------------------------------------------------------------------------------------


@pytest.fixture
def disk() -> Iterator[dict[str, int]]:
    """disk["pages"] is its size, for every connection that is made from now on."""
    box = {"pages": 80}

    def connected(connection: sqlite3.Connection, record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={box['pages']}")

    event.listen(Engine, "connect", connected)
    yield box
    event.remove(Engine, "connect", connected)


async def filled(folder: Path, clock: ManualClock) -> tuple[Ledger, int, str]:
    """A ledger that has just found its disk full; how many entries it has, and what it said."""
    ledger = await Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}", clock)
    for written in range(100):
        try:
            await ledger.append(MUCH)
        except LedgerUnavailable as full:
            return ledger, written, str(full)
    raise AssertionError("the disk did not become full")


async def settled(ledger: Ledger) -> None:
    """Until the writer's thread, which no manual clock drives, has nothing left to do."""
    while ledger.backlog:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def test_a_full_disk_is_said_and_what_was_confirmed_can_be_read(tmp_path: Path, disk: dict[str, int]):
    clock = ManualClock()
    ledger, written, said = await filled(tmp_path, clock)
    assert said == (
        f"{tmp_path}/ledger.sqlite › cannot be written: database or disk is full. "
        "Free space on its disk; writing goes on by itself."
    )
    assert not ledger.healthy
    assert ledger.last_error is not None
    assert (ledger.last_error.at, str(ledger.last_error)) == (clock.now(), said)
    assert len(await ledger.entries()) == written
    assert await ledger.verify() is None
    await ledger.close()


async def test_what_waits_behind_entries_that_cannot_be_written_is_not_written_before_them(
    tmp_path: Path, disk: dict[str, int]
):
    """A disk that has no room for the first, but would have for the second."""
    ledger, written, _ = await filled(tmp_path, ManualClock())
    first = ledger.append(MUCH)
    await asyncio.sleep(0)  # it is on its way: the next waits for the next transaction
    second = ledger.append(Note("hub", at(0)))
    with pytest.raises(LedgerUnavailable):
        await first
    with pytest.raises(LedgerUnavailable):
        await second
    assert len(await ledger.entries()) == written
    assert ledger.last_error is not None
    assert ledger.last_error.refused == 3
    await ledger.close()


async def test_when_there_is_space_again_it_goes_on_by_itself_and_says_what_is_missing(
    tmp_path: Path, disk: dict[str, int]
):
    clock = ManualClock()
    ledger, written, said = await filled(tmp_path, clock)
    with pytest.raises(LedgerUnavailable):
        await ledger.append(MUCH, MUCH)
    disk["pages"] = 8000
    await clock.advance(RETRY_S)
    await settled(ledger)
    assert ledger.healthy
    (gap,) = await ledger.entries("hub")
    assert gap.seq == written + 1
    assert gap.says == {"event": "ledger_unavailable", "since": "2026-06-01T04:00:00Z", "refused": 3, "why": said}
    assert await ledger.append(change("after")) == written + 2
    assert await ledger.verify() is None
    await ledger.close()


async def test_an_append_that_succeeds_makes_it_healthy_and_the_gap_is_said_once(tmp_path: Path, disk: dict[str, int]):
    clock = ManualClock()
    ledger, _, _ = await filled(tmp_path, clock)
    disk["pages"] = 8000
    await ledger.append(change("after"))
    assert ledger.healthy
    for _ in range(3):
        await clock.advance(RETRY_S)
        await settled(ledger)
    assert len(await ledger.entries("hub")) == 1
    await ledger.close()


async def test_a_refused_append_that_nobody_awaits_is_counted_and_makes_no_noise(
    tmp_path: Path, disk: dict[str, int], caplog: pytest.LogCaptureFixture
):
    ledger, _, _ = await filled(tmp_path, ManualClock())
    ledger.append(MUCH)
    await settled(ledger)
    gc.collect()
    assert ledger.last_error is not None
    assert ledger.last_error.refused == 2
    assert caplog.messages == []
    await ledger.close()


async def test_more_than_the_limit_is_refused_at_once(ledger: Ledger):
    waiting = ledger.append(*[change("a")] * (QUEUE_LIMIT - 1))
    last, refused = ledger.append(change("b")), ledger.append(change("c"))
    assert ledger.backlog == QUEUE_LIMIT
    with pytest.raises(LedgerUnavailable, match=f"{QUEUE_LIMIT} entries wait for the disk, {QUEUE_LIMIT} is the most"):
        await refused
    assert (await waiting, await last) == (QUEUE_LIMIT - 1, QUEUE_LIMIT)
    assert ledger.healthy
    assert ledger.backlog == 0


async def test_what_waits_is_written_at_closing_and_nothing_is_taken_after(url: str):
    ledger = await Ledger.open(url, ManualClock())
    waiting = [ledger.append(change(f"a{n}")) for n in range(50)]
    await ledger.close()
    assert [it.result() for it in waiting] == list(range(1, 51))
    with pytest.raises(LedgerUnavailable, match="is closed: the hub is stopping"):
        await ledger.append(change("late"))


# ---- opening ------------------------------------------------------------------------------------------------------


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read and write everything, so for a moment be somebody who may not."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def in_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site folder that anybody may enter, with data/; the process is in it."""
    everybodys = Path(tempfile.gettempdir()).resolve()
    for folder in (tmp_path, *tmp_path.parents):
        if everybodys in folder.parents:
            folder.chmod(0o755)
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def refused(url: str = "sqlite:///data/ledger.sqlite") -> str:
    with pytest.raises(LedgerUnavailable) as said:
        await Ledger.open(url, ManualClock())
    return str(said.value)


async def test_a_data_folder_that_cannot_be_read(in_site: Path):
    (in_site / "data").chmod(0o000)
    with as_nobody():
        said = await refused()
    (in_site / "data").chmod(0o755)
    assert said == (
        "data/ledger.sqlite › cannot be opened: unable to open database file. "
        "Check that its folder is there and that the hub's user may read and write it."
    )


async def test_a_file_that_cannot_be_written(in_site: Path):
    await (await Ledger.open("sqlite:///data/ledger.sqlite", ManualClock())).close()
    (in_site / "data/ledger.sqlite").chmod(0o444)
    (in_site / "data").chmod(0o555)
    with as_nobody():
        said = await refused()
    (in_site / "data").chmod(0o755)
    assert said == (
        "data/ledger.sqlite › cannot be opened: attempt to write a readonly database. "
        "Let the hub's user write the file and its folder."
    )


async def test_a_data_folder_that_is_not_there(in_site: Path):
    assert (await refused("sqlite:///date/ledger.sqlite")).startswith(
        "date/ledger.sqlite › cannot be opened: unable to open database file. Check that its folder is there"
    )


async def test_a_file_that_is_something_else(in_site: Path):
    (in_site / "data/ledger.sqlite").write_text("[[device]]\n" * 1000)
    assert await refused() == (
        "data/ledger.sqlite › cannot be opened: file is not a database. "
        "Something else has that name: move it away, or bring back a copy from a backup."
    )


async def test_a_file_that_is_damaged(in_site: Path):
    ledger = await Ledger.open("sqlite:///data/ledger.sqlite", ManualClock())
    await ledger.append(*[MUCH] * 20)
    await ledger.close()
    file = in_site / "data/ledger.sqlite"
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * 4096 * 20 + whole[4096 * 21 :])
    assert "malformed. The file is damaged: stop the hub and bring back a copy from a backup." in await refused()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("data/ledger.sqlite", "ledger url › is not a URL. Write sqlite:///data/ledger.sqlite"),
        ("sqlite://", "sqlite:// › is kept in memory and would be lost. Write sqlite:///data/ledger.sqlite"),
        ("oracel://scott:tiger@db/l", "oracel://scott:***@db/l › cannot be opened: "),
    ],
)
async def test_a_url_that_cannot_be(url: str, said: str):
    assert (await refused(url)).startswith(said)


# ---- the askers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "noun",
    [
        replace(change("a"), at=at(0).replace(tzinfo=None)),
        change("nul\0"),
        command("c1", key="\ud800"),
        Note("login", at(0), body={"what": object()}),
    ],
    ids=["no time zone", "NUL", "half a character", "no JSON"],
)
async def test_what_can_never_be_written_is_refused_at_once(ledger: Ledger, noun: object):
    with pytest.raises((ValueError, TypeError)):
        ledger.append(change("first"), noun)  # type: ignore[arg-type]
    assert await ledger.append(change("next")) == 1


async def test_many_mistakes_in_one_commit_are_each_their_askers_own(ledger: Ledger):
    await ledger.append(command("taken"))
    asked = [ledger.append(command("taken" if n % 7 == 3 else f"c{n}")) for n in range(100)]
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(it, AlreadyWritten) for it in told] == [n % 7 == 3 for n in range(100)]
    numbers = [it for it in told if isinstance(it, int)]
    assert numbers == list(range(2, len(numbers) + 2))
    assert await ledger.verify() is None


async def test_a_refused_command_does_not_lend_its_device_to_later_receipts(ledger: Ledger):
    await ledger.append(command("c1", device="pump-7"))
    with pytest.raises(AlreadyWritten):
        await ledger.append(command("c1", device="pump-8"))
    await ledger.append(receipt("c1", Stage.SENT))
    assert await ledger.count_sent("pump-7", "pump1.start", at(0)) == 1
    assert await ledger.count_sent("pump-8", "pump1.start", at(0)) == 0


async def test_two_programs_write_one_ledger(ledger: Ledger, url: str):
    """`fieldhub user` while the hub runs: one chain, whoever writes."""
    other = await Ledger.open(url, ManualClock())
    for n in range(20):
        await asyncio.gather(ledger.append(change(f"a{n}")), other.append(change(f"b{n}")))
    await other.close()
    assert len(await ledger.entries()) == 40
    assert await ledger.verify() is None


# ---- whoever has the file in their hands --------------------------------------------------------------------------


@pytest.mark.parametrize("change_it", ["UPDATE entry SET body = '{}' WHERE seq = 2", "DELETE FROM entry"])
async def test_the_database_refuses_to_change_an_entry(ledger: Ledger, url: str, change_it: str):
    await ledger.append(*[change("a")] * 3)
    engine = create_engine(url)
    with engine.connect() as connection, pytest.raises(DBAPIError, match="the ledger is append-only"):
        connection.execute(text(change_it))
    engine.dispose()


@pytest.mark.parametrize(
    ("tamper", "broken"),
    [
        ("UPDATE entry SET body = replace(body, 'sump', 'pump') WHERE seq = 4", 4),
        ("""UPDATE entry SET "by" = 'li.na' WHERE seq = 4""", 4),
        ("UPDATE entry SET at = '2026-06-01 04:00:01+00:00' WHERE seq = 4", 4),
        ("UPDATE entry SET final = NOT final WHERE seq = 4", 4),
        ("UPDATE entry SET hash = prev WHERE seq = 4", 4),
        ("DELETE FROM entry WHERE seq = 4", 4),
        ("DELETE FROM entry WHERE seq <= 4", 1),
        ("UPDATE entry SET seq = seq + 10 WHERE seq = 7", 7),
    ],
)
async def test_what_was_tampered_with_is_found(ledger: Ledger, url: str, tamper: str, broken: int):
    await ledger.append(*(change(f"a{n}") for n in range(7)))
    engine = create_engine(url)
    with engine.begin() as connection:
        for trigger in ("entry_refuses_update", "entry_refuses_delete"):
            off = (
                f"DROP TRIGGER {trigger}"
                if engine.dialect.name == "sqlite"
                else "ALTER TABLE entry DISABLE TRIGGER USER"
            )
            connection.execute(text(off))
        connection.execute(text(tamper if engine.dialect.name == "postgresql" else tamper.replace("+00:00", "")))
    engine.dispose()
    assert await ledger.verify() == broken


async def test_a_cut_off_end_is_found_by_an_earlier_tip(ledger: Ledger):
    assert await ledger.tip() == (0, "")
    await ledger.append(change("a"), change("b"))
    number, hash = await ledger.tip()
    assert (number, hash) == (2, (await ledger.entries())[0].hash)


async def test_commits_are_on_the_disk_and_readers_cannot_write(tmp_path: Path):
    ledger = await Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", ManualClock())

    def pragmas(connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert await ledger._writer.run(pragmas) == ["wal", 2, 1, 5000, 0]  # 2: FULL
    assert await ledger._reader.run(pragmas) == ["wal", 2, 1, 5000, 1]
    await ledger.close()
