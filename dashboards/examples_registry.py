"""Examples of what the routes about the registry answer (see examples.py)."""

from __future__ import annotations

from typing import Any

_TIME = "2026-11-25T02:01:27.123Z"
DEVICE = {
    "id": "ps-chengdong-1",
    "name": "城东一号泵站",
    "kind": "pump_station",
    "area": "341203100000",
    "profile": "generic-3-pumps",
    "driver": "modbus",
}
_STRANGER = {
    "address": "modbus+dtu:860123456789012/1",
    "peer": "10.1.4.17",
    "first": _TIME,
    "last": _TIME,
    "times": 3,
    "raw": "38 36 30 31",
}

ANSWERS: dict[str, tuple[int, Any]] = {
    "GET /api/v1/pending": (200, {"pending": [_STRANGER]}),
    "POST /api/v1/devices": (201, DEVICE),
    "POST /api/v1/devices/check": (200, DEVICE),
    "PATCH /api/v1/devices/{device_id}": (200, DEVICE),
    "POST /api/v1/devices/{device_id}/retire": (204, None),
}
PROBLEMS: dict[str, tuple[int, ...]] = {
    "POST /api/v1/devices": (409, 503),
    "PATCH /api/v1/devices/{device_id}": (404, 409, 503),
    "POST /api/v1/devices/{device_id}/retire": (404, 409, 503),
}
