"""Examples of what the routes about the ledger answer (see examples.py)."""

from __future__ import annotations

from typing import Any

from dashboards.examples_people import TIME, Map

_ENTRY = {
    "seq": 4713,
    "at": TIME,
    "kind": "person",
    "topic": "",
    "step": "",
    "subject": "wang.min",
    "device": "",
    "by": "li.na",
    "origin": {"address": "10.0.4.2", "agent": "Mozilla/5.0 …", "session": "3f9a2c10d2e4", "token": "", "program": ""},
    "changed": Map(roles=[["viewer"], ["water_operator"]]),
    "body": Map(did="changed"),
    "prev": "9f3a…",
    "hash": "1c77…",
}

ANSWERS: dict[str, tuple[int, Any]] = {
    "GET /api/v1/audit": (200, {"entries": [_ENTRY], "next": 4613}),
    "GET /api/v1/audit/tip": (200, {"seq": 4713, "hash": "1c77…", "tip": "4713:1c77…"}),
    "GET /api/v1/audit/lines": (200, '{"seq":4713,"at":"2026-11-25T02:01:27.123000+00:00","kind":"person",…}\n'),
}
PROBLEMS: dict[str, tuple[int, ...]] = dict.fromkeys(ANSWERS, (503,))
