"""The desk where the county's faults are switched: one JSON object a line, on loopback.

    {"do": "list"}                                                 stations, and every fault that each can have
    {"do": "set", "station": …, "fault": …, "on": true, "for_s": 60, "pump": 2}
    {"do": "get", "station": …}                                    the world as it is, not as its instruments see it
    {"do": "reset", "station": …}                                  somebody drives there and resets every pump
    {"do": "rain", "station": …, "for_s": 180, "mm_h": 60}         over the station's whole town

Each answer has `ok`; when it is false, `error` says why.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from difflib import get_close_matches
from math import isfinite
from typing import Any

from simulators.county.county import County
from simulators.modbus.device import FAULTS, BadOrder

LONGEST_LINE = 4096


class ControlDesk:
    """Listens on loopback only: whoever reaches it can flood the county."""

    def __init__(self, county: County, port: int = 0) -> None:
        self._county = county
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = port

    async def up(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=LONGEST_LINE)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        if self._server:
            self._server.close()
            for writer in list(self._writers):
                writer.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self.answer(line), ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):  # gone, or a line without end
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def answer(self, line: bytes) -> dict[str, Any]:
        """What the desk says to one line."""
        try:
            asked = json.loads(line)
            if not isinstance(asked, dict):
                raise BadOrder("write one JSON object a line")
            return {"ok": True} | self._do(dict(asked))
        except BadOrder as bad:
            return {"ok": False, "error": str(bad)}
        except ValueError as bad:
            return {"ok": False, "error": f"this is no JSON: {bad}"}

    def _do(self, asked: dict[str, Any]) -> dict[str, Any]:
        match asked.pop("do", None):
            case "list":
                return self._list()
            case "get":
                return self._county.devices[self._station(asked)].truth()
            case "reset":
                self._county.devices[self._station(asked)].reset()
                return {}
            case "rain":
                self._county.rain(self._station(asked), _number(asked, "for_s", 180.0), _number(asked, "mm_h", 60.0))
                return {}
            case "set":
                return self._set(asked)
        raise BadOrder('write "do": one of list, get, set, reset, rain')

    def _set(self, asked: dict[str, Any]) -> dict[str, Any]:
        station, fault, on = self._station(asked), asked.pop("fault", None), asked.pop("on", True)
        if not isinstance(fault, str) or not isinstance(on, bool):
            raise BadOrder('write "fault": its name, and "on": true or false')
        if fault not in FAULTS:
            raise BadOrder(
                f'there is no fault "{fault}".{_near(fault, FAULTS)} `fieldhub fault list` shows all of them'
            )
        how = {key: _number(asked, key, 0.0) for key in list(asked) if asked[key] is not None}
        if how.get("for_s", 1.0) <= 0:
            raise BadOrder(f'"for_s" is {how["for_s"]:g}. Write a number of seconds above 0')
        self._county.switch(station, fault, on, **how)
        return {}

    def _list(self) -> dict[str, Any]:
        county = self._county
        stations = [
            {
                "id": site.id,
                "name": site.name,
                "address": county.address(site.id),
                "area": site.area,
                "pumps": len(site.parameters.pumps),
            }
            for site in county.sites
        ]
        faults = [
            {"station": id, "fault": name, "on": name in device.on, "title": about["title"], "what": about["what"]}
            for id, device in county.devices.items()
            for name, about in FAULTS.items()
        ]
        return {"stations": stations, "faults": faults}

    def _station(self, asked: dict[str, Any]) -> str:
        station = asked.pop("station", None)
        if station not in self._county.devices:
            known = ", ".join(self._county.devices)
            raise BadOrder(
                f'there is no station "{station}".{_near(str(station), self._county.devices)} Stations: {known}'
            )
        return str(station)


def _number(asked: dict[str, Any], key: str, default: float) -> float:
    value = asked.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise BadOrder(f'"{key}" is a number, not {value!r}')
    return float(value)


def _near(name: str, known: Iterable[str]) -> str:
    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f' Did you mean "{found[0]}"?' if found else ""
