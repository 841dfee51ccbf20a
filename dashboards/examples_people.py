"""Examples of what the routes about people answer (see examples.py)."""

from __future__ import annotations

from typing import Any


class Map(dict[str, Any]):
    """An object whose keys are names of things, not of fields."""


TIME = "2026-11-25T02:01:27.123Z"
GRANT = {
    "role": "water_operator",
    "area": "341203100000",
    "rights": ["acknowledge", "command", "look", "self", "tokens"],
    "families": ["water"],
}
_WHO = {
    "name": "wang.min",
    "full_name": "王敏",
    "language": "zh-CN",
    "grants": [GRANT],
    "rights": ["acknowledge", "command", "look", "self", "tokens"],
    "must": ["password"],
    "csrf": "Yk3…",
    "expires": TIME,
    "idle_s": 3600,
}
_TOKEN = {
    "id": "5d0c11aa92ef",
    "title": "daily report",
    "grants": [{"role": "viewer", "area": "", "rights": ["look", "self"], "families": ["water"]}],
    "created": TIME,
    "expires": TIME,
    "last_used": None,
}
_PERSON = {
    "name": "wang.min",
    "full_name": "王敏",
    "grants": [GRANT],
    "language": "zh-CN",
    "disabled": False,
    "created": TIME,
    "password_set": TIME,
    "must_change": True,
    "second": False,
    "subject": "",
}
_SESSION = {
    "id": "9c41e07d2b5a6f18",
    "this": True,
    "created": TIME,
    "seen": TIME,
    "expires": TIME,
    "address": "10.0.4.17",
    "agent": "Mozilla/5.0 …",
    "way": "password",
}

ANSWERS: dict[str, tuple[int, Any]] = {
    "GET /api/v1/session": (200, _WHO),
    "POST /api/v1/session": (200, _WHO),
    "DELETE /api/v1/session": (204, None),
    "POST /api/v1/session/password": (204, None),
    "GET /api/v1/session/second": (200, {"on": True, "recovery_left": 10, "wanted": False}),
    "POST /api/v1/session/second": (
        200,
        {"secret": "JBSWY3DP…", "address": "otpauth://totp/…", "picture": "<svg …>…</svg>"},
    ),
    "POST /api/v1/session/second/confirm": (200, {"recovery_codes": ["k7mw-29xq-hd3t"]}),
    "POST /api/v1/session/second/end": (204, None),
    "GET /api/v1/sessions": (200, {"sessions": [_SESSION]}),
    "DELETE /api/v1/sessions/{session_id}": (204, None),
    "POST /api/v1/setup": (204, None),
    "GET /api/v1/tokens": (200, {"tokens": [_TOKEN]}),
    "POST /api/v1/tokens": (201, {"token": "fh_5d0c11aa92ef_q2…", **_TOKEN}),
    "DELETE /api/v1/tokens/{token_id}": (204, None),
    "GET /api/v1/people": (200, {"people": [_PERSON]}),
    "POST /api/v1/people": (201, _PERSON),
    "PATCH /api/v1/people/{name}": (200, _PERSON),
    "PUT /api/v1/people/{name}/grants": (200, _PERSON),
    "DELETE /api/v1/people/{name}/second": (204, None),
    "GET /api/v1/people/{name}/sessions": (200, {"sessions": [_SESSION]}),
    "DELETE /api/v1/people/{name}/sessions": (204, None),
    "GET /api/v1/roles": (
        200,
        {
            "roles": Map(viewer={"rights": ["look", "self"], "families": [], "whole": False, "power": False}),
            "separate_powers": False,
        },
    ),
}

# What else may be answered, beside what every route may.
PROBLEMS: dict[str, tuple[int, ...]] = {
    "POST /api/v1/session": (401, 403, 429, 503),
    "DELETE /api/v1/session": (503,),
    "POST /api/v1/session/password": (429, 503),
    "POST /api/v1/session/second": (429, 503),
    "POST /api/v1/session/second/confirm": (409, 503),
    "POST /api/v1/session/second/end": (409, 429, 503),
    "GET /api/v1/sessions": (503,),
    "DELETE /api/v1/sessions/{session_id}": (404, 503),
    "POST /api/v1/setup": (403, 409, 429, 503),
    "GET /api/v1/tokens": (503,),
    "POST /api/v1/tokens": (503,),
    "DELETE /api/v1/tokens/{token_id}": (404, 503),
    "GET /api/v1/people": (503,),
    "POST /api/v1/people": (409, 503),
    "PATCH /api/v1/people/{name}": (404, 409, 503),
    "PUT /api/v1/people/{name}/grants": (404, 409, 503),
    "DELETE /api/v1/people/{name}/second": (404, 503),
    "GET /api/v1/people/{name}/sessions": (404, 503),
    "DELETE /api/v1/people/{name}/sessions": (404, 503),
}
