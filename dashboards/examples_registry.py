"""Examples of what the routes about the registry answer (see examples.py)."""

from __future__ import annotations

from typing import Any

from dashboards.examples_people import Map

_TIME = "2026-11-25T02:01:27.123Z"
DEVICE = {
    "id": "ps-chengdong-1",
    "name": "城东一号泵站",
    "kind": "pump_station",
    "area": "341203100000",
    "profile": "generic-3-pumps",
    "driver": "modbus",
}
_ROW = {
    "id": "ps-chengdong-1",
    "name": "城东一号泵站",
    "kind": "pump_station",
    "address": "modbus+dtu:860123456789012/1",
    "profile": "ps-2026",
    "area": "341203100000",
    "settings": Map(pumps=2),
    "file": "",
}
_STRANGER = {
    "address": "modbus+dtu:860123456789012/1",
    "peer": "10.1.4.17",
    "first": _TIME,
    "last": _TIME,
    "times": 3,
    "raw": "38 36 30 31",
}

_SECRETS = {
    "speaker": "modbus+dtu:860123456789012",
    "devices": ["ps-chengdong-1"],
    "secrets": [
        {"made_at": _TIME, "until": None, "heard_at": None, "named": False},
        {"made_at": _TIME, "until": "2026-12-02T02:01:27.123Z", "heard_at": _TIME, "named": True},
    ],
}

ANSWERS: dict[str, tuple[int, Any]] = {
    "GET /api/v1/pending": (200, {"pending": [_STRANGER]}),
    "POST /api/v1/devices": (201, DEVICE),
    "POST /api/v1/devices/check": (200, DEVICE),
    "GET /api/v1/devices/{device_id}/row": (200, _ROW),
    "PATCH /api/v1/devices/{device_id}": (200, DEVICE),
    "POST /api/v1/devices/{device_id}/retire": (204, None),
    "GET /api/v1/devices/{device_id}/secret": (200, _SECRETS),
    "POST /api/v1/devices/{device_id}/secret": (201, {"text": "860123456789012:k7mw29xqhd3tk4fgmnpq", **_SECRETS}),
    "POST /api/v1/devices/{device_id}/secret/end": (200, _SECRETS),
}
PROBLEMS: dict[str, tuple[int, ...]] = {
    "POST /api/v1/devices": (409, 503),
    "GET /api/v1/devices/{device_id}/row": (404,),
    "PATCH /api/v1/devices/{device_id}": (404, 409, 503),
    "POST /api/v1/devices/{device_id}/retire": (404, 409, 503),
    "GET /api/v1/devices/{device_id}/secret": (404,),
    "POST /api/v1/devices/{device_id}/secret": (404, 409, 503),
    "POST /api/v1/devices/{device_id}/secret/end": (404, 409, 503),
}
