"""Reads one profile file and finds every mistake in it. See README.md for what may stand in it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from drivers.modbus.profile_check import mistakes_between
from drivers.modbus.rows import (
    BIT_FUNCTIONS,
    ActionRow,
    Handshake,
    Label,
    LineRules,
    Profile,
    Repeat,
    Row,
    Setting,
    Watchdog,
    WriteRow,
)
from drivers.modbus.sheet import Sheet, near
from hub.contract import BadConfig
from hub.mistakes import read_toml
from hub.model import Arg, Hazard, Interlock, Proof, Test
from hub.units import BadUnit, parse
from protocols.modbus import registers

LAST_ADDRESS = 65535
LONGEST_HEARTBEAT_S = 1800.0  # history lets a state hold for an hour
WRITE_FUNCTIONS = (5, 6, 15, 16, 22)
KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
KEY = re.compile(r"^[a-z][a-z0-9_]*(\{n\})?(\.[a-z0-9_]+(\{n\})?)*$")


def read_profile(file: Path) -> Profile | None:
    """The profile in `file`; None when it is another driver's. Raises BadConfig."""
    place = f"profiles/{file.name}"
    table = read_toml(file, place)
    if table.get("driver", "modbus") != "modbus":
        return None
    return _Reader(place, file.stem).profile(table)


class _Reader:
    """Reads one file; mistakes pile up in one list."""

    def __init__(self, place: str, stem: str) -> None:
        self.place = place
        self.stem = stem
        self.mistakes: list[str] = []
        self.base = 0
        self.fn = 3
        self.order = "ABCD"
        self.every_s = 10.0

    def profile(self, table: Mapping[str, Any]) -> Profile:
        top = Sheet(self.place, table, self.mistakes)
        top.any("driver")
        name = top.take("profile", str)
        if name and name != self.stem:
            top.wrong(f'profile is "{name}", and the file is called {self.stem}.toml. Give both the same name')
        kind = top.take("kind", str, "")
        if kind and not KIND.fullmatch(kind):
            top.wrong(f'kind is "{kind}". Write small letters, digits and _, like "pump_station"')
        source, verified = top.take("source", str), top.take("verified", str)
        top.take("vendor", str, ""), top.take("model", str, "")
        self.base = top.whole("base", 0, 1, 0)
        self.fn = top.whole("fn", 1, 4, 3)
        self.order = top.one_of("order", registers.ORDERS, "ABCD")
        self.every_s = top.number("every_s", 0.0, 10.0)
        labels = self._labels(top.take("labels", dict, {}))
        settings = {k: self._setting(k, v) for k, v in top.take("settings", dict, {}).items()}
        profile = Profile(
            name=self.stem,
            file=self.place,
            title=top.title(),
            kind=kind,
            source=source,
            verified=verified,
            line=self._line(top.take("line", dict, {})),
            labels=labels,
            settings=settings,
            points=tuple(row for row, _ in self._points(top.take("points", dict, {}), 0)),
            actions=tuple(row for row, _ in self._actions(top.take("actions", dict, {}), 0)),
            repeats=tuple(self._repeat(k, v) for k, v in enumerate(top.rows("repeat"), 1)),
            watchdog=self._watchdog(top.any("watchdog")),
        )
        top.close()
        if not self.mistakes:
            self.mistakes += mistakes_between(profile)
        if self.mistakes:
            raise BadConfig(*self.mistakes)
        return profile

    # ---- the small tables -----------------------------------------------------------------------------------------

    def _sheet(self, place: str, table: Any) -> Sheet:
        return Sheet(f"{self.place} › {place}", table, self.mistakes)

    def _line(self, table: Any) -> LineRules:
        it = self._sheet("line", table)
        rules = LineRules(
            gap_ms=it.whole("gap_ms", 0, 30_000, None),
            max_gap=it.whole("max_gap", 0, 124, None),
            max_count=it.whole("max_count", 1, 125, 100),
            timeout_ms=it.whole("timeout_ms", 10, 60_000, None),
            merge=it.take("merge", bool, True),
        )
        it.close()
        return rules

    def _labels(self, table: Mapping[str, Any]) -> dict[str, tuple[Label, ...]]:
        sets: dict[str, tuple[Label, ...]] = {}
        for name, rows in table.items():
            found = []
            it = self._sheet(f'labels "{name}"', rows)
            for code, texts in rows.items() if isinstance(rows, Mapping) else ():
                it.any(code)
                whole = re.fullmatch(r"-?[0-9]+|0x[0-9A-Fa-f]+", code)
                if not whole or not isinstance(texts, list) or [str] * 3 != [type(text) for text in texts]:
                    it.wrong(f'{code} = {texts!r} is not a label. Write: CODE = ["label", "中文", "English"]')
                    continue
                found.append(Label(int(code, 0), texts[0], {"zh-CN": texts[1], "en": texts[2]}))
            sets[name] = tuple(found)
        return sets

    def _setting(self, key: str, table: Any) -> Setting:
        it = self._sheet(f'setting "{key}"', table)
        default = it.take("default", float)
        setting = Setting(
            default=default,
            low=it.take("low", float, default),
            high=it.take("high", float, default),
            whole=it.take("whole", bool, False),
            title=it.title(),
        )
        if not setting.low <= default <= setting.high:
            it.wrong(f"default is {default:g}. Write a number from low to high ({setting.low:g} to {setting.high:g})")
        it.close()
        return setting

    def _watchdog(self, table: Any) -> Watchdog | None:
        if table is None:
            return None
        it = self._sheet("watchdog", table)
        watchdog = Watchdog(self._at(it, 1), it.number("every_s", 0.0, 10.0), it.whole("fn", 6, 16, 6))
        if watchdog.fn not in (6, 16):
            it.wrong(f"fn is {watchdog.fn}. Write 6 or 16")
        it.close()
        return watchdog

    def _repeat(self, number: int, table: Any) -> Repeat:
        it = self._sheet(f"repeat number {number}", table)
        count, step = it.take("count", str), it.whole("step", 1, LAST_ADDRESS)
        repeat = Repeat(
            count=count,
            points=tuple(self._points(it.take("points", dict, {}), step)),
            actions=tuple(self._actions(it.take("actions", dict, {}), step)),
        )
        it.close()
        return repeat

    def _at(self, it: Sheet, size: int, key: str = "at") -> int:
        at: int = it.whole(key, 0, LAST_ADDRESS, -1)
        if at == -1:
            it.wrong(f"{key} has no address. Write a whole number from {self.base} to {LAST_ADDRESS}")
            return 0
        wire = at - self.base
        if wire < 0 or wire + size - 1 > LAST_ADDRESS:
            it.wrong(f"{key} is {at}, which is not on the wire (base {self.base}). Write {self.base} or more")
            return 0
        return wire

    # ---- points ---------------------------------------------------------------------------------------------------

    def _points(self, table: Mapping[str, Any], step: int) -> Iterable[tuple[Row, int]]:
        for key, row in table.items():
            it = self._sheet(f'point "{key}"', row)
            self._check_key(it, key, step)
            row_step = it.whole("step", 1, LAST_ADDRESS, step) if step else 0
            yield self._point(it, key), row_step
            it.close()

    def _check_key(self, it: Sheet, key: str, step: int) -> None:
        if not KEY.match(key):
            it.wrong('is not a key. Write small letters, digits, "_" and ".", like "pump1.running"')
        if step and "{n}" not in key:
            it.wrong('stands in a repeat and would be there twice. Write {n} into its key, like "pump{n}.running"')
        if not step and "{n}" in key:
            it.wrong("has {n} in its key and stands in no repeat. Move it to [repeat.points]")

    def _point(self, it: Sheet, key: str) -> Row:
        fn = it.whole("fn", 1, 4, self.fn)
        type = it.one_of("type", registers.TYPES, "bool" if fn in BIT_FUNCTIONS else "u16")
        order = it.take("order", str, "")
        length = it.whole("length", 1, registers.LONGEST_TEXT, 0)
        encoding = it.one_of("encoding", ("ascii", "utf-8", "gbk"), "ascii")
        size = 1
        if fn in BIT_FUNCTIONS:
            if type != "bool" or order or length:
                it.wrong(f"fn {fn} reads single bits. Leave out type, order and length")
        else:
            order, size = self._codec(it, type, order, length, encoding)
        row = Row(
            key=key,
            at=self._at(it, size),
            fn=fn,
            type=type,
            order=order,
            registers=size,
            length=length,
            encoding=encoding,
            every_s=it.number("every_s", 0.0, self.every_s),
            scale=it.take("scale", float, 1.0),
            offset=it.take("offset", float, 0.0),
            times=self._texts(it, "times"),
            bit=it.whole("bit", 0, 15, None),
            bits=self._bits(it),
            when_in=self._when_in(it),
            labels=it.take("labels", str, ""),
            flags=it.take("flags", str, ""),
            no_value=self._no_value(it, type, order),
            wrap=it.whole("wrap", 2, 2**63, 0),
            unit=self._unit(it, it.take("unit", str, "")),
            low=it.take("low", float, None),
            high=it.take("high", float, None),
            digits=it.whole("digits", 0, 9, None),
            stuck_after_s=it.number("stuck_after_s", 0.0, None),
            deadband=self._deadband(it),
            heartbeat_s=self._heartbeat(it),
            access=it.one_of("access", ("r", "rw"), "r"),
            title=it.title(),
        )
        self._consistent(it, row)
        return row

    @staticmethod
    def _deadband(it: Sheet) -> float | None:
        value: float | None = it.take("deadband", float, None)
        if value is not None and not 0 <= value < math.inf:
            it.wrong(f"deadband is {value:g}. Write 0 (store every change) or how much a value must move to be stored")
            return None
        return value

    @staticmethod
    def _heartbeat(it: Sheet) -> float:
        value: float = it.take("heartbeat_s", float, 600.0)
        if not 10 <= value <= LONGEST_HEARTBEAT_S:
            it.wrong(f"heartbeat_s is {value:g}. Write seconds from 10 to {LONGEST_HEARTBEAT_S:g}")
            return 600.0
        return value

    def _codec(self, it: Sheet, type: str, order: str, length: int, encoding: str) -> tuple[str, int]:
        if type == "string" and not length:
            it.wrong("is a string without a length. Write length = its number of registers")
            return "AB", 1
        try:
            codec = registers.codec(type, order, length, encoding)
            if codec.registers > 1 and not order and type != "string":
                codec = registers.codec(type, self.order)
            return codec.order, codec.registers
        except ValueError as error:
            it.wrong(f"order: {error}".replace("'", '"'))
            return "ABCD", 2

    def _consistent(self, it: Sheet, row: Row) -> None:
        kinds = [name for name in ("bit", "bits", "when_in", "labels", "flags") if getattr(row, name) not in (None, "")]
        if len(set(kinds) - {"bits"}) > 1 or ("bit" in kinds and len(kinds) > 1):
            it.wrong(f"has {' and '.join(kinds)}. Write one of them")
        if kinds and row.type not in ("u16", "bits", "u8hi", "u8lo", "i16", "bcd16"):
            it.wrong(f"has {kinds[0]} and is {row.type}. Write type u16, or leave {kinds[0]} out")
        if row.low is not None and row.high is not None and row.low >= row.high:
            it.wrong(f"low is {row.low:g} and high {row.high:g}. low must be the smaller one")
        if row.scale == 0:
            it.wrong("scale is 0. Write what one count is worth, like 0.1")
        if row.access == "rw" and row.fn not in (1, 3):
            it.wrong(f"is rw and read by fn {row.fn}. Only coils (1) and holding registers (3) can be written")

    def _unit(self, it: Sheet, unit: str) -> str:
        try:
            return parse(unit).symbol
        except BadUnit as error:
            it.wrong(f"unit: {error}")
            return ""

    def _texts(self, it: Sheet, key: str) -> tuple[str, ...]:
        texts = it.rows(key)
        if not all(isinstance(text, str) for text in texts):
            it.wrong(f"{key} is {texts}. Write a list of texts")
            return ()
        return tuple(texts)

    def _bits(self, it: Sheet) -> tuple[int, int] | None:
        text = it.take("bits", str, "")
        if not text:
            return None
        found = re.fullmatch(r"([0-9]+)\.\.([0-9]+)", text)
        if not found or not 0 <= int(found[1]) < int(found[2]) <= 15:
            it.wrong(f'bits is "{text}". Write the first and the last bit, like "4..6"')
            return None
        return int(found[1]), int(found[2])

    def _when_in(self, it: Sheet) -> frozenset[int] | None:
        codes = it.any("when_in")
        if codes is None:
            return None
        if not isinstance(codes, list) or not codes or any(type(code) is not int for code in codes):
            it.wrong(f"when_in is {codes}. Write a list of codes, like [1, 2]")
            return None
        return frozenset(codes)

    def _no_value(self, it: Sheet, kind: str, order: str) -> tuple[float, ...]:
        """Marks of "no value", as the codec reads them: 0x7FFF, 0xFFFF (also of signed types), -9999.0."""
        found: list[float] = []
        marks = it.rows("no_value")
        for mark in marks:
            if type(mark) is float:
                found.append(mark)
            elif type(mark) is int and kind not in ("string", "f32", "f64"):
                codec = registers.codec(kind, order)
                try:
                    value = codec.read(codec.write(mark))
                except ValueError:
                    width = 2 * codec.registers
                    fits = 0 <= mark < 256**width
                    plain = mark.to_bytes(width, "big") if fits else b"\0" * width
                    value = registers.codec(kind).read(plain)
                    if not fits:
                        it.wrong(f"no_value {mark} does not fit into {kind}. Write what the register shows")
                found.append(float(value or 0))
            else:
                it.wrong(f"no_value has {mark!r}. Write what the register shows, like 0x7FFF (NaN is always no value)")
        return tuple(found)

    # ---- actions --------------------------------------------------------------------------------------------------

    def _actions(self, table: Mapping[str, Any], step: int) -> Iterable[tuple[ActionRow, int]]:
        for key, row in table.items():
            it = self._sheet(f'action "{key}"', row)
            self._check_key(it, key, step)
            row_step = it.whole("step", 1, LAST_ADDRESS, step) if step else 0
            yield self._action(it, key), row_step
            it.close()

    def _action(self, it: Sheet, key: str) -> ActionRow:
        args = self._each(it, "args", self._arg)
        writes = self._each(it, "write", self._write)
        handshake = self._handshake(it)
        if not writes and handshake is None:
            it.wrong("writes nothing. Write write = [{ at = …, value = … }]")
        for write in writes:
            if write.arg and write.arg not in {arg.key for arg in args}:
                it.wrong(f'write takes "{write.arg}", which is no argument.{near(write.arg, (a.key for a in args))}')
        proof = self._proof(it)
        safety = it.take("safety", bool, False)
        plate = {
            "args": args,
            "proof": proof,
            "hazard": Hazard(it.one_of("hazard", tuple(str(h) for h in Hazard), "none")),
            "interlocks": self._each(it, "interlocks", self._interlock),
            "safety": safety,
            "target": it.take("target", str, ""),
            "valid_s": it.number("valid_s", 0.0, 60.0),
            "title": it.title(),
        }
        refresh = (proof.point,) if proof else ()
        return ActionRow(key, writes, handshake, plate, refresh)

    def _each(self, it: Sheet, key: str, read: Callable[[Sheet], Any]) -> tuple[Any, ...]:
        found = []
        for number, row in enumerate(it.rows(key), 1):
            sheet = Sheet(f"{it.place} › {key} {number}", row, self.mistakes)
            found.append(read(sheet))
            sheet.close()
        return tuple(found)

    def _arg(self, it: Sheet) -> Arg:
        return Arg(
            key=it.take("key", str),
            unit=self._unit(it, it.take("unit", str, "")),
            low=it.take("low", float, None),
            high=it.take("high", float, None),
            title=it.title(),
        )

    def _write(self, it: Sheet) -> WriteRow:
        fn = it.any("fn", 0)
        type = it.one_of("type", registers.TYPES, "u16")
        order = it.take("order", str, "")
        order, size = (order, 1) if type == "string" else self._codec(it, type, order, 0, "ascii")
        value = it.any("value")
        row = WriteRow(
            at=self._at(it, size),
            fn=fn or (6 if size == 1 else 16),
            type=type,
            order=order,
            value=value,
            arg=it.take("arg", str, ""),
            scale=it.take("scale", float, 1.0),
            offset=it.take("offset", float, 0.0),
            bit=it.whole("bit", 0, 15, None),
            pulse_ms=it.whole("pulse_ms", 0, 2000, 0),
        )
        if fn and fn not in WRITE_FUNCTIONS:
            it.wrong(f"fn is {fn!r}. Write one of {', '.join(map(str, WRITE_FUNCTIONS))}")
        if (value is None) == (not row.arg):
            it.wrong("has no value to write. Write value = a number, or arg = the key of an argument; not both")
        elif value is not None and not isinstance(value, int | float):
            it.wrong(f"value is {value!r}. Write a number, true or false")
        if row.fn in (5, 6) and size > 1:
            it.wrong(f"fn {row.fn} writes one register, and {type} has {size}. Write fn = 16")
        if row.scale == 0:
            it.wrong("scale is 0. Write what one count is worth, like 0.1")
        return row

    def _handshake(self, it: Sheet) -> Handshake | None:
        table = it.any("handshake")
        if table is None:
            return None
        sheet = Sheet(f"{it.place} › handshake", table, self.mistakes)
        handshake = Handshake(
            at=self._at(sheet, 1),
            value=sheet.whole("value", 0, 65535),
            number_at=self._at(sheet, 1, "number_at"),
            result_at=self._at(sheet, 1, "result_at"),
            accepted=tuple(sheet.rows("accepted")),
            refused=tuple(sheet.rows("refused")),
            within_s=sheet.number("within_s", 0.0, 5.0),
            settle_s=sheet.number("settle_s", 0.0, 0.2),
            reasons=sheet.take("reasons", str, ""),
        )
        if not handshake.at < handshake.number_at < handshake.result_at <= handshake.at + 15:
            sheet.wrong("must stand as one block: at, then number_at, then result_at, within 16 registers")
        if not handshake.accepted or not all(type(c) is int for c in (*handshake.accepted, *handshake.refused)):
            sheet.wrong("accepted and refused are lists of result codes. Write accepted = [1, 3], refused = [2]")
        sheet.close()
        return handshake

    def _proof(self, it: Sheet) -> Proof | None:
        table = it.any("proof")
        if table is None:
            return None
        sheet = Sheet(f"{it.place} › proof", table, self.mistakes)
        becomes = sheet.any("becomes")
        if not isinstance(becomes, str | bool | int | float):
            sheet.wrong('becomes is missing. Write true, a number, a label, or "$arg"')
            becomes = True
        proof = Proof(
            point=sheet.take("point", str),
            becomes=becomes,
            within_s=sheet.number("within_s", 0.0, 30.0),
            tolerance=sheet.take("tolerance", float, 0.0),
        )
        sheet.close()
        return proof

    def _interlock(self, it: Sheet) -> Interlock:
        count = it.whole("count", 0, 10_000, 0)
        lock = Interlock(
            point=it.take("point", str, ""),
            test=Test(it.one_of("test", tuple(str(test) for test in Test), "is")),
            limit=it.any("limit", True),
            count=count,
            per_s=it.number("per_s", 0.0, 0.0),
            title=it.title(),
        )
        if bool(lock.point) == bool(count):
            it.wrong("has nothing to test. Write point, test and limit, or count and per_s")
        return lock
