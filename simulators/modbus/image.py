"""A pump station's PLC as a Modbus unit: the table PS-2026 of water.md §1.12, written from that table.

All registers of 40001..40400 can be read (it is one block of the PLC's memory; what the table leaves out is 0), by
functions 3 and 4. Written are: 2 mode, 300.. commands, 380-385 settings, 390 watchdog; anything else is refused (2).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from math import hypot, isnan

from protocols.modbus.pdu import Why
from simulators.modbus.unit import Refused
from simulators.worlds.plc import Bar, Mode, State
from simulators.worlds.pump_station import Pump, Station

SIZE = 400
VERSION = 2026
MOST_PUMPS = 8
PUMP, PUMP_STEP = 100, 20
COMMAND, COMMAND_STEP = 300, 4
SETTINGS = ("start_mm", "stop_mm", "low_low_mm", "high_high_mm", "duty_digits", "rotation_h")  # from 380 on
MODE, SETTING, WATCHDOG = 2, 380, 390

# Station bits (register 3).
MAINS_OK, REMOTE_ALLOWED, EMERGENCY_STOP, DOOR, FLOOD, PLC_FAULT, ON_BATTERY, SCREEN = (1 << n for n in range(8))
# Leak and seal bits of a pump (+12).
SEAL_LEAKS = 1
SCREEN_RUNS_FROM_M = 0.15  # 清污机: the rake cleans the rack from this difference on
INLET_GATE_MM = 1200  # gate 1 stands open; gate 2 (gravity drainage) is shut

_ANALOGUES = struct.Struct(">5fdIh2H3H3H2H")  # from register 10
_PUMP = struct.Struct(">4H3hH2I4H")  # from 100 + 20(n-1)


class PumpStationImage:
    """A station's registers, and what the PLC does when they are written."""

    def __init__(self, station: Station) -> None:
        if len(station.pumps) > MOST_PUMPS:
            raise ValueError(f"the table has room for {MOST_PUMPS} pumps, not {len(station.pumps)}")
        self._station = station
        self._ordered = [0] * len(station.pumps)
        self._door_open = False
        self._drawn_at: object = None
        self._words: list[int] = [0] * SIZE
        spans = {10: 2, 12: 2, 14: 2, 16: 2, 18: 2, 20: 4, 24: 2}
        for n in range(len(station.pumps)):
            spans |= {PUMP + PUMP_STEP * n + 8: 2, PUMP + PUMP_STEP * n + 10: 2}
        self.spans: Mapping[int, int] = spans

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        if function not in (3, 4):
            raise Refused(Why.ILLEGAL_FUNCTION)
        if address + count > SIZE:
            raise Refused(Why.ILLEGAL_ADDRESS)
        return self._draw()[address : address + count]

    def write(self, address: int, words: Sequence[int]) -> None:
        """All or nothing: each register is looked at before the first is changed."""
        new = dict(enumerate(words, address))
        if any(not self._writable(at) for at in new):
            raise Refused(Why.ILLEGAL_ADDRESS)
        plc = self._station.plc
        if not self._settings_make_sense(new) or (MODE in new and not plc.choose_mode(new[MODE])):
            raise Refused(Why.ILLEGAL_VALUE)
        for i, name in enumerate(SETTINGS):
            if SETTING + i in new:
                setattr(plc.settings, name, new[SETTING + i])
        if WATCHDOG in new:
            plc.feed_watchdog(new[WATCHDOG])
        for n in range(len(self._ordered)):
            at = COMMAND + COMMAND_STEP * n
            self._ordered[n] = new.get(at, self._ordered[n])
            if at + 2 in new:
                plc.set_speed(n, new[at + 2])
            if at + 1 in new:
                plc.command(n, self._ordered[n], new[at + 1])
        self._drawn_at = None

    def _writable(self, at: int) -> bool:
        n, part = divmod(at - COMMAND, COMMAND_STEP)
        command = 0 <= n < len(self._ordered) and part < 3
        return command or at in (MODE, WATCHDOG) or SETTING <= at < SETTING + len(SETTINGS)

    def _settings_make_sense(self, new: Mapping[int, int]) -> bool:
        settings = self._station.plc.settings
        start, stop, low_low, high_high = (
            new.get(SETTING + i, getattr(settings, name)) for i, name in enumerate(SETTINGS[:4])
        )
        return bool(low_low < stop < start < high_high)

    # ---- the world as registers

    def _draw(self) -> Sequence[int]:
        """Drawn once for each moment of the world. A PLC that has halted keeps what it had."""
        station = self._station
        if self._drawn_at != station.t_s and not (station.plc.halted and any(self._words)):
            self._drawn_at = station.t_s
            raw = bytearray(2 * SIZE)
            self._draw_station(raw)
            for n, pump in enumerate(station.pumps):
                self._draw_pump(raw, n, pump)
            self._words = list(struct.unpack(f">{SIZE}H", raw))
        return self._words

    def _draw_station(self, raw: bytearray) -> None:
        station, plc, see = self._station, self._station.plc, self._station.instruments
        struct.pack_into(">4H", raw, 0, plc.heartbeat, VERSION, plc.mode, self._station_bits())
        volts = [
            _u16(sensor.shown * 10) if there else 0 for sensor, there in zip(see.volts, station.volts, strict=True)
        ]
        shares = (0.0, 1.2, 1.2) if station.troubles.phase_lost else (1.01, 0.985, 1.0)
        apparent = hypot(station.power_kw, station.kvar)
        fields = (
            see.level.shown, see.outer.shown, see.rack.shown, see.pressure.shown, see.flow.shown,
            station.meter_m3 + station.book.pumped_m3,
            int((station.meter_wh + station.book.energy_wh) / 10) & 0xFFFFFFFF,
            _i16(station.gauge.last_5min_mm * 10), INLET_GATE_MM, 0,
            *volts, *(_u16(station.amperes * share * 10) for share in shares),
            _u16(station.power_kw / apparent * 1000) if apparent else 0, _u16(station.power_kw * 10),
        )  # fmt: skip
        _ANALOGUES.pack_into(raw, 20, *fields)
        for i, name in enumerate(SETTINGS):
            struct.pack_into(">H", raw, 2 * (SETTING + i), getattr(plc.settings, name))
        struct.pack_into(">H", raw, 2 * WATCHDOG, plc.watchdog)

    def _station_bits(self) -> int:
        station, plc = self._station, self._station.plc
        bits = SCREEN if station.instruments.rack.shown > SCREEN_RUNS_FROM_M else 0
        bits |= MAINS_OK if plc.mains_ok else 0
        bits |= REMOTE_ALLOWED if plc.mode is not Mode.LOCAL else 0
        bits |= EMERGENCY_STOP if plc.emergency_stop else 0
        bits |= DOOR if plc.mode is Mode.LOCAL else 0  # whoever stands at the cabinet has opened it
        bits |= FLOOD if station.flooded else 0
        bits |= PLC_FAULT if isnan(station.instruments.level.shown) else 0
        bits |= ON_BATTERY if station.on_battery else 0
        return bits

    def _draw_pump(self, raw: bytearray, n: int, pump: Pump) -> None:
        station, see = self._station, self._station.instruments
        plc, book = station.plc, station.plc.pumps[n]
        locked = plc.bars(n) & Bar.LOCKED_OUT and book.state is State.STOPPED
        _PUMP.pack_into(
            raw, 2 * (PUMP + PUMP_STEP * n),
            State.LOCKED_OUT if locked else book.state, book.fault, _u16(see.amperes[n].shown * 10),
            _u16(max(pump.speed, 0.0) * 5000),
            _i16(see.winding[n].shown * 10), _i16(pump.bearing_de_c * 10), _i16(pump.bearing_nde_c * 10),
            _u16(max(see.vibration[n].shown, 0.0) * 100), int(book.run_s), book.starts,
            SEAL_LEAKS if n in station.troubles.seal_leaks else 0, _u16(pump.valve * 100),
            plc.bars(n), _u16(-(-plc.start_allowed_in_s(n) // 1)),
        )  # fmt: skip
        at = 2 * (COMMAND + COMMAND_STEP * n)
        struct.pack_into(">4H", raw, at, self._ordered[n], book.number, book.speed_chz, book.result)


def _u16(value: float) -> int:
    return 0xFFFF if isnan(value) else min(max(round(value), 0), 0xFFFF)


def _i16(value: float) -> int:
    return 0x7FFF if isnan(value) else min(max(round(value), -0x8000), 0x7FFF)
