"""Secrets of terminals: made, told once, changed with an overlap, kept as hashes over a restart, and audited."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from hub.clock import ManualClock
from hub.identity import LETTERS, MOST_KEYS, SECRET_LENGTH, Identity
from hub.ledger import Ledger

DTU = "modbus+dtu:860123456789012"
WHERE = {"address": "10.0.0.7"}
WEEK = timedelta(days=7)


async def opened(folder: Path, clock: ManualClock) -> tuple[Ledger, Identity]:
    ledger = await Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}", clock)
    return ledger, Identity(ledger.keys, clock, await ledger.keys.load())


async def test_a_first_secret_leaves_time_to_write_it_into_the_terminal(tmp_path: Path):
    clock = ManualClock()
    ledger, identity = await opened(tmp_path, clock)
    assert identity.may_speak(DTU, "")
    assert identity.may_speak(DTU, "whatever")
    assert identity.standing(DTU) == []
    secret = await identity.renew(DTU, WEEK, "li.na", WHERE)
    assert len(secret) == SECRET_LENGTH
    assert set(secret) <= set(LETTERS)
    assert identity.may_speak(DTU, secret)
    assert identity.may_speak(DTU, ""), "the terminal does not know it yet"
    assert not identity.may_speak(DTU, "whatever")
    assert [(it.named, it.until) for it in identity.standing(DTU)] == [(False, None), (True, clock.now() + WEEK)]
    await clock.advance(WEEK.total_seconds())
    assert not identity.may_speak(DTU, "")
    assert identity.may_speak(DTU, secret)
    assert [it.heard_at for it in identity.standing(DTU)] == [clock.now()]
    await ledger.close()


async def test_secrets_are_changed_with_an_overlap_and_outlive_a_restart(tmp_path: Path):
    clock = ManualClock()
    ledger, identity = await opened(tmp_path, clock)
    first = await identity.renew(DTU, timedelta(0), "li.na", WHERE)
    assert not identity.may_speak(DTU, "")
    await clock.advance(1)
    second = await identity.renew(DTU, WEEK, "li.na", WHERE)
    await ledger.close()
    ledger, identity = await opened(tmp_path, clock)
    assert [identity.may_speak(DTU, it) for it in (first, second, "")] == [True, True, False]
    await identity.end_old(DTU, "li.na", WHERE)
    assert [identity.may_speak(DTU, it) for it in (first, second)] == [False, True]
    for _ in range(MOST_KEYS + 2):
        await clock.advance(1)
        await identity.renew(DTU, WEEK, "li.na", WHERE)
    assert len(identity.standing(DTU)) == MOST_KEYS
    await identity.end_all(DTU, "li.na", WHERE)
    assert identity.may_speak(DTU, "")
    assert await ledger.keys.load() == []

    notes = await ledger.entries("identity")
    assert [it.says["did"] for it in notes][-1] == "device secret made"
    assert {(it.by, it.subject, it.says["address"]) for it in notes} == {("li.na", DTU, "10.0.0.7")}
    await ledger.close()
    kept = (tmp_path / "ledger.sqlite").read_bytes()
    assert first.encode() not in kept
    assert second.encode() not in kept


async def test_a_new_secret_makes_an_old_ones_end_no_later(tmp_path: Path):
    clock = ManualClock()
    ledger, identity = await opened(tmp_path, clock)
    first = await identity.renew(DTU, timedelta(0), "li.na", WHERE)
    await clock.advance(1)
    await identity.renew(DTU, timedelta(days=1), "li.na", WHERE)
    await identity.renew(DTU, WEEK, "li.na", WHERE)
    await clock.advance(timedelta(days=1).total_seconds())
    assert not identity.may_speak(DTU, first)
    await ledger.close()
