"""What the routes of dashboards/history.py answer, by example (dashboards/examples.py)."""

from __future__ import annotations

from typing import Any

ASKED = {
    "states": "pump1.running",
    "gaps": "inlet.level",
    "counts": "inlet.level",
    "track": "place",
}  # route -> a point
_ROUTE = "GET /api/v1/devices/{device_id}/"
_DAY = 1795536000000
_PERIOD = {"device": "ps-chengdong-1", "start_ms": _DAY, "end_ms": _DAY + 86_400_000}


def _answer(point: str, kind: str, **columns: Any) -> tuple[int, Any]:
    return 200, {**_PERIOD, "series": [{"point": point, "kind": kind, **columns}]}


ANSWERS: dict[str, tuple[int, Any]] = {
    _ROUTE + "states": _answer("pump1.running", "bool", start_ms=[_DAY], value=[True], held_s=[25_320.0], entered=[6]),
    _ROUTE + "gaps": _answer("inlet.level", "number", least_s=600, start_ms=[_DAY], end_ms=[_DAY + 1_260_000]),
    _ROUTE + "track": _answer(
        "place", "position", at_ms=[_DAY], latitude=[32.9], longitude=[115.8], altitude=[31.5], quality=[2]
    ),
    _ROUTE + "counts": _answer("inlet.level", "number", start_ms=[_DAY], count=[17_028], gaps=[252]),
}
ANSWERS |= {
    "GET /api/v1/series": (
        200,
        {
            "start_ms": _DAY,
            "end_ms": _DAY + 86_400_000,
            "step_ms": 3_600_000.0,
            "series": [
                {
                    "device": "ps-chengdong-1",
                    "point": "inlet.level",
                    "unit": "m",
                    "start_ms": [_DAY],
                    "count": [720],
                    "gaps": [0],
                    "min": [2.1],
                    "max": [2.9],
                    "mean": [2.5],
                    "last": [2.48],
                }
            ],
        },
    ),
    "GET /api/v1/values": (
        200,
        {
            "before_ms": _DAY,
            "values": [
                {
                    "device": "ps-chengdong-1",
                    "point": "inlet.level",
                    "unit": "m",
                    "value": 2.48,
                    "quality": "good",
                    "at_ms": _DAY - 3_000,
                }
            ],
        },
    ),
}
QUERIES = {
    "GET /api/v1/series": "?points=ps-chengdong-1:inlet.level&from=2026-11-25T00:00:00Z&step=1h",
    "GET /api/v1/values": "?points=ps-chengdong-1:inlet.level&at=2026-11-25T00:00:00Z",
    _ROUTE + "states": "?points=pump1.running&from=2026-11-25T00:00:00Z&by=day",
    _ROUTE + "gaps": "?points=inlet.level&from=2026-11-25T00:00:00Z&least_s=600",
    _ROUTE + "track": "?points=place&from=2026-11-25T00:00:00Z",
    _ROUTE + "counts": "?points=inlet.level&from=2026-11-25T00:00:00Z&by=day",
}
