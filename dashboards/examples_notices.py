"""Examples of what the routes about notices answer (see examples.py)."""

from __future__ import annotations

from typing import Any

_TIME = "2026-11-25T02:01:27.123Z"
NOTICE = {
    "at": _TIME,
    "alarm": "9f3a51c0d2e4b687",
    "device": "ps-chengdong-1",
    "about": "calls",
    "outcome": "sent",
    "rule": "sump high",
    "say": {"zh-CN": "前池水位过高", "en": "Forebay level high"},
    "route": "pump stations",
    "person": "li.na",
    "channel": "sms",
    "why": "",
    "step": 0,
    "tries": 1,
    "by": "",
}
ANSWERS: dict[str, tuple[int, Any]] = {
    "GET /api/v1/notices": (
        200,
        {
            "channels": [
                {"name": "sms", "people": ["li.na"], "sent": 12, "failed": 0, "sent_at": _TIME, "failing": ""},
            ],
            "duty": [{"shift": "nights", "people": ["li.na"]}],
            "routes": [{"name": "pump stations", "steps": [{"after_s": 300.0, "tell": ["shift:nights"]}]}],
            "waiting": 0,
            "notices": [{"number": 4714, **NOTICE}],
            "next": None,
        },
    ),
    "POST /api/v1/notices/try": (200, {"channel": "sms", "person": "li.na", "failing": ""}),
}
PROBLEMS: dict[str, tuple[int, ...]] = {
    "GET /api/v1/notices": (404, 503),
    "POST /api/v1/notices/try": (404,),
}
