"""Nouns for the ledger's tests."""

from datetime import UTC, datetime, timedelta

from hub.model import AlarmChange, AlarmEvent, Command, Receipt, Severity, Stage, Words

NOON = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def change(
    alarm: str, event: AlarmEvent = AlarmEvent.RAISED, seconds: float = 0, *, device: str = "pump-7", by: str = ""
) -> AlarmChange:
    return AlarmChange(
        alarm=alarm,
        event=event,
        device=device,
        rule="sump high",
        at=at(seconds),
        since=at(seconds - 60),
        severity=Severity.HIGH,
        by=by,
        say={"zh-CN": "前池水位过高", "en": "sump level high"},
        facts={"sump.level": 3.31},
    )


def command(
    id: str,
    seconds: float = 0,
    *,
    device: str = "pump-7",
    action: str = "pump1.start",
    by: str = "wang.min",
    key: str = "",
) -> Command:
    return Command(
        id=id,
        device=device,
        action=action,
        args={"speed": 0.8},
        asked_by=by,
        because="irrigation",
        asked_at=at(seconds),
        deadline=at(seconds + 60),
        key=key,
    )


def receipt(command: str, stage: Stage, seconds: float = 0) -> Receipt:
    return Receipt(command, stage, at(seconds), Words("proof.seen", {"point": "pump1.running"}))
