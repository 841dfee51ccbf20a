"""What each route answers, by example; the OpenAPI document is made of these (GET /api/v1/openapi.json).

A test asks every route and compares: an example that is no longer true is a mistake.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dashboards import (
    examples_audit,
    examples_history,
    examples_kpis,
    examples_notices,
    examples_people,
    examples_registry,
    examples_rules,
)
from dashboards.desk import desk
from dashboards.examples_notices import NOTICE
from dashboards.examples_people import Map
from dashboards.examples_registry import DEVICE
from dashboards.packed import Packed
from dashboards.shape import encode
from hub.rights import Right

# What is null where there is none: no limit, no proof, nothing to say, no end, not yet.
MAY_BE_NULL = {
    "low", "high", "proof", "words", "why", "refusal", "holds", "stage", "next", "alarm", "csrf", "expires",
    "idle_s", "last_used", "returned_at", "acknowledged_at", "password_set", "step_ms", "at_ms", "quality",
    "received_at", "origin", "shelved", "suppressed", "until", "sent_at", "median_s", "lasted_s",
}  # fmt: skip
OF_ANY_KIND = ("value", "limit", "becomes", "last_good")  # number, bool, text, place or null, by the point's kind


_TITLE = {"zh-CN": "启动 1 号泵", "en": "Start pump 1"}
_TIME = "2026-11-25T02:01:27.123Z"
_SENTENCE = {
    "key": "quality.stale",
    "args": Map(age_s=42.0, every_s=10.0),
    "text": {"zh-CN": "已 42 秒没有数据（应每 10 秒一次）", "en": "no reading for 42 s (expected every 10 s)"},
}
_STATE = {"at_ms": 1795572087123, "v": [2.48, "running", True], "q": [2, 2, 2]}
_READING = {
    "point": "inlet.level",
    "value": 2.48,
    "unit": "m",
    "quality": "good",
    "at": _TIME,
    "received_at": _TIME,
    "why": None,
}
_AREA = {"code": "341203100000", "name": "城东镇", "parent": "341203000000"}
_POINT = {
    "key": "inlet.level",
    "kind": "number",
    "unit": "m",
    "low": 0.0,
    "high": 8.0,
    "digits": 2,
    "interval_s": 5.0,
    "labels": [{"label": "running", "title": {"zh-CN": "运行", "en": "running"}}],
    "title": {"zh-CN": "前池水位", "en": "Forebay level"},
}
_ARG = {
    "key": "frequency",
    "unit": "Hz",
    "low": 30.0,
    "high": 50.0,
    "choices": ["auto"],
    "title": {"zh-CN": "频率", "en": "Frequency"},
}
_ACTION = {
    "key": "pump1.start",
    "title": _TITLE,
    "target": "pump1",
    "hazard": "pump",
    "safety": False,
    "valid_s": 60.0,
    "args": [_ARG],
    "proof": {"point": "pump1.running", "becomes": True, "within_s": 20.0, "tolerance": 0.0},
    "interlocks": [
        {
            "point": "inlet.level",
            "test": "above",
            "limit": 1.2,
            "count": 0,
            "per_s": 0.0,
            "title": {"zh-CN": "前池水位过低", "en": "Forebay level too low"},
        }
    ],
}
_ALARM = {
    "id": "9f3a51c0d2e4b687",
    "device": "ps-chengdong-1",
    "rule": "sump high",
    "severity": 2,
    "state": "unacknowledged",
    "since": _TIME,
    "raised_at": _TIME,
    "returned_at": None,
    "acknowledged_at": None,
    "acknowledged_by": "",
    "count": 1,
    "remarks": 0,
    "chatters": False,
    "shelved": None,
    "suppressed": None,
    "say": {"zh-CN": "前池水位过高", "en": "Forebay level high"},
    "do": {"zh-CN": "检查机组是否已开", "en": "Check that the pumps run"},
    "facts": Map({"inlet.level": 3.31}),
}
_SHELVING = {"until": _TIME, "by": "wang.min", "note": "the float switch is being changed", "at": _TIME}
_CHANGE = {
    "alarm": "9f3a51c0d2e4b687",
    "event": "raised",
    "device": "ps-chengdong-1",
    "rule": "sump high",
    "at": _TIME,
    "since": _TIME,
    "severity": 2,
    "by": "",
    "note": "",
    "until": None,
    "say": _ALARM["say"],
    "facts": Map({"inlet.level": 3.31}),
}
_COMMAND = {
    "id": "1c77e0a94b2f6d38",
    "device": "ps-chengdong-1",
    "action": "pump1.start",
    "args": Map(),
    "asked_by": "wang.min",
    "because": "level is rising",
    "asked_at": _TIME,
    "deadline": _TIME,
    "stage": "confirmed",
    "final": True,
    "receipts": [{"stage": "sent", "at": _TIME, "words": _SENTENCE}],
}
_FAULTS = {
    "faults": [
        {
            "station": "ps-chengdong-1",
            "fault": "done_but_does_not_start",
            "on": False,
            "title": {"zh-CN": "应答成功但不启动", "en": "Says done but does not start"},
        }
    ]
}
_SETTING = {"did": "set back", "was": _TIME, "now": _TIME, "by_s": 3600.0, "found": "running"}
_JOB = {"name": "driver modbus", "running": True, "restarts": 0, "error": ""}

# (method and path) -> status, and what is answered
ANSWERS: dict[str, tuple[int, Any]] = {
    **examples_people.ANSWERS,
    **examples_audit.ANSWERS,
    **examples_registry.ANSWERS,
    **examples_notices.ANSWERS,
    **examples_kpis.ANSWERS,
    **examples_rules.ANSWERS,
    "GET /api/v1/stream": (
        200,
        'id: 3f9a2c10.812\ndata: {"now":1795572087123,"s:ps-1":{…},"a:9f3a…":{…}}\n\n',
    ),
    "GET /api/v1/snapshot": (
        200,
        {
            "epoch": "3f9a2c10",
            "number": 812,
            "now": 1795572087123,
            "roster": "6b1d0f2a9c3e4477",
            "alarms": [_ALARM],
            "commands": [_COMMAND],
            "states": Map({"ps-chengdong-1": Map(_STATE)}),
        },
    ),
    "GET /api/v1/roster": (
        200,
        {
            "version": "6b1d0f2a9c3e4477",
            "areas": [_AREA],
            "devices": {
                "id": ["ps-chengdong-1"],
                "name": ["城东一号泵站"],
                "kind": ["pump_station"],
                "family": ["water"],
                "area": ["341203100000"],
                "profile": ["generic-3-pumps"],
                "plate": [0],
            },
            "plates": [{"points": [_POINT], "actions": [_ACTION]}],
        },
    ),
    "GET /api/v1/areas": (200, {"areas": [_AREA]}),
    "GET /api/v1/devices": (200, {"devices": [DEVICE], "next": None}),
    "GET /api/v1/devices/{device_id}": (200, {**DEVICE, "readings": [_READING]}),
    "GET /api/v1/devices/{device_id}/latest": (200, {"device": "ps-chengdong-1", "readings": [_READING]}),
    "GET /api/v1/devices/{device_id}/nameplate": (
        200,
        {"device": "ps-chengdong-1", "points": [_POINT], "actions": [_ACTION]},
    ),
    **examples_history.ANSWERS,
    "GET /api/v1/devices/{device_id}/series": (
        200,
        {
            "device": "ps-chengdong-1",
            "start_ms": 1795572000000,
            "end_ms": 1795572087123,
            "step_ms": 60000.0,
            "series": [
                {
                    "point": "inlet.level",
                    "kind": "number",
                    "unit": "m",
                    "digits": 2,
                    "start_ms": [1795572060000],
                    "min": [2.41],
                    "max": [2.48],
                    "mean": [2.45],
                }
            ],
        },
    ),
    "POST /api/v1/commands/prepare": (
        200,
        {
            "device": DEVICE,
            "action": _ACTION,
            "args": Map(),
            "confirm": "城东一号泵站",
            "checks": [
                {"title": {"zh-CN": "前池水位过低", "en": "Forebay level too low"}, "holds": True, "why": _SENTENCE}
            ],
            "refusal": None,
        },
    ),
    "POST /api/v1/commands": (202, {**_COMMAND, "stage": None, "final": False, "receipts": []}),
    "GET /api/v1/commands": (200, {"commands": [{"number": 4711, **_COMMAND}], "next": None}),
    "GET /api/v1/commands/{command_id}": (200, _COMMAND),
    "POST /api/v1/commands/{command_id}/cancel": (200, {**_COMMAND, "stage": "cancelled"}),
    "GET /api/v1/alarms": (200, {"alarms": [_ALARM], "counts": [0, 1, 0, 0]}),
    "GET /api/v1/alarms/history": (200, {"changes": [{"number": 4712, **_CHANGE}], "next": None}),
    "GET /api/v1/alarms/{alarm_id}": (200, {"alarm": _ALARM, "changes": [_CHANGE], "notices": [NOTICE]}),
    "POST /api/v1/alarms/{alarm_id}/acknowledge": (200, {**_ALARM, "state": "acknowledged"}),
    "POST /api/v1/alarms/{alarm_id}/remark": (200, {**_ALARM, "remarks": 1}),
    "POST /api/v1/alarms/{alarm_id}/shelve": (200, {**_ALARM, "shelved": _SHELVING}),
    "POST /api/v1/alarms/{alarm_id}/unshelve": (200, _ALARM),
    "POST /api/v1/alarms/acknowledge": (
        200,
        {"acknowledged": [_ALARM], "not_live": [], "one_by_one": [], "not_yours": []},
    ),
    "GET /api/v1/puzzles": (
        200,
        {"puzzles": [{"address": "modbus+dtu:860123456789012", "at": _TIME, "raw": "01 83 02", "why": _SENTENCE}]},
    ),
    "GET /api/v1/demo/faults": (200, _FAULTS),
    "POST /api/v1/demo/faults": (200, _FAULTS),
    "GET /api/v1/site": (
        200,
        {
            "name": {"zh-CN": "示范县水务局", "en": "Demo County Water Bureau"},
            "zone": "Asia/Shanghai",
            "language": "zh-CN",
            "demo": False,
            "version": "0.1.0",
            "now": 1795572087123,
            "signed_in": True,
        },
    ),
    "GET /api/v1/words": (
        200,
        {
            "language": "zh-CN",
            "words": Map({"quality.stale": "已 {age_s:.0f} 秒没有数据（应每 {every_s:.0f} 秒一次）"}),
        },
    ),
    "GET /api/v1/system": (
        200,
        {
            "version": "0.1.0",
            "started_at": _TIME,
            "devices": 600,
            "jobs": [_JOB],
            "historian": Map(backlog=0, dropped=0, last_error=""),
            "ledger": Map(healthy=True, backlog=0, kept=0, lost=0, last_error=""),
            "clock": {"settings": [_SETTING]},
            "counts": Map(readings=4_800_000),
            "ready": {"ok": True, "why": "ready"},
            "stream": {"viewers": 3, "most": 1000, "frame": 812, "frames_merged": 0},
            "you": "wang.min",
        },
    ),
    "GET /metrics": (200, "# HELP fieldhub_devices Devices in the house\nfieldhub_devices 600.0\n"),
    "GET /healthz": (200, {"ok": True}),
    "GET /readyz": (200, {"ok": True}),
}

# What else may be answered, beside what every route may (401 and 403 where a right is needed, 422, 500).
PROBLEMS: dict[str, tuple[int, ...]] = {
    **examples_people.PROBLEMS,
    **examples_audit.PROBLEMS,
    **examples_registry.PROBLEMS,
    **examples_notices.PROBLEMS,
    **examples_kpis.PROBLEMS,
    **examples_rules.PROBLEMS,
    "GET /api/v1/stream": (503,),
    "GET /api/v1/devices/{device_id}": (404,),
    "GET /api/v1/devices/{device_id}/nameplate": (404,),
    "GET /api/v1/devices/{device_id}/latest": (404,),
    **dict.fromkeys(
        (f"GET /api/v1/devices/{{device_id}}/{it}" for it in ("series", *examples_history.ASKED)), (404, 503)
    ),
    "GET /api/v1/series": (404, 503),
    "GET /api/v1/values": (404, 503),
    "POST /api/v1/commands/prepare": (404, 503),
    "POST /api/v1/commands": (404, 409, 503),
    "GET /api/v1/commands": (404, 503),
    "GET /api/v1/commands/{command_id}": (404, 503),
    "POST /api/v1/commands/{command_id}/cancel": (404, 409, 503),
    "GET /api/v1/alarms/history": (404, 503),
    "GET /api/v1/alarms/{alarm_id}": (404, 503),
    "POST /api/v1/alarms/{alarm_id}/acknowledge": (409, 503),
    "POST /api/v1/alarms/{alarm_id}/remark": (409, 503),
    "POST /api/v1/alarms/{alarm_id}/shelve": (409, 503),
    "POST /api/v1/alarms/{alarm_id}/unshelve": (409, 503),
    "POST /api/v1/alarms/acknowledge": (503,),
    "GET /api/v1/demo/faults": (404, 503),
    "POST /api/v1/demo/faults": (404, 503),
    "GET /readyz": (503,),
}

# How the addresses of the examples are filled in.
_NAMES = {
    "device_id": "ps-chengdong-1",
    "command_id": "1c77e0a94b2f6d38",
    "alarm_id": "9f3a51c0d2e4b687",
    "token_id": "5d0c11aa92ef",
    "session_id": "9c41e07d2b5a6f18",
    "name": "wang.min",
}
_QUERIES = {
    "GET /api/v1/devices": "?kind=pump_station&link=down&limit=10",
    "GET /api/v1/devices/{device_id}/latest": "?points=inlet.level",
    **examples_history.QUERIES,
    "GET /api/v1/devices/{device_id}/series": "?points=inlet.level&from=2026-11-25T02:00:00Z&step=1m&agg=min,max,mean",
    "GET /api/v1/audit": "?person=wang.min&from=2026-11-01T00:00:00Z&limit=50",
    "GET /api/v1/audit/lines": "?kind=command",
    "GET /api/v1/words": "?language=en",
}

_TEXTS = {
    "GET /api/v1/audit/lines": "application/jsonl",
    "GET /api/v1/stream": "text/event-stream",
    "GET /metrics": "text/plain",
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `code` names the kind; `detail` is in the language asked for (Accept-Language).",
    "required": ["type", "title", "status", "detail", "instance", "code", "args"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string"},
        "args": {"type": "object"},
        "near": {"type": "array", "items": {"type": "string"}, "description": "names that look like the unknown one"},
        "mistakes": {"type": "array", "items": {"type": "object"}, "description": "all that is wrong with the request"},
        "command": {"type": "object", "description": "the command that was refused"},
    },
}


def of(method: str, path: str, right: Right, do: Callable[..., Any]) -> dict[str, Any]:
    """What the framework needs to describe a route."""
    key = f"{method} {path}"
    status, _ = ANSWERS[key]
    head, _, rest = inspect.cleandoc(do.__doc__ or "").partition("\n\n")
    sent = method in ("POST", "PUT", "PATCH")
    problems = {
        422,
        429,
        500,
        *((400, 413) if sent else ()),
        *((404,) if "{" in path else ()),  # what is written there may be no such thing, or no part of an address
        *PROBLEMS.get(key, ()),
        *(() if right is Right.OPEN else (401, 403)),
    }
    answers: dict[int | str, Any] = {}  # the good one is put in by `document`: the framework would drop its nulls
    for number in sorted(problems):
        content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        answers[number] = {"description": "A problem", "content": content}
    return {
        "summary": " ".join(head.split()),
        "description": f"{rest}\n\n{needs(right)}".strip(),
        "status_code": status,
        "responses": answers,
        "tags": [path.split("/")[3] if path.startswith("/api/") else "health"],
    }


def needs(right: str) -> str:
    return "Needs no log-in." if right == Right.OPEN else f"Needs the right `{right}`."


async def document(request: Request) -> Response:
    """The OpenAPI document of this API."""
    return await packed(request).answer(request)


def packed(request: Request) -> Packed:
    """The document, made when it is first asked for."""
    it = desk(request)
    if it.document is None:
        whole = request.scope["app"].openapi()
        whole.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM
        whole["components"]["securitySchemes"] = {
            "session": {"type": "apiKey", "in": "cookie", "name": "fieldhub"},
            "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token"},
            "token": {"type": "http", "scheme": "bearer"},
        }
        for path, routes in whole["paths"].items():
            for method, route in routes.items():
                status, answer = ANSWERS[f"{method.upper()} {path}"]
                route["responses"][str(status)] = _answer(f"{method.upper()} {path}", answer)
                if route["x-right"] != Right.OPEN:
                    session: dict[str, list[str]] = {"session": []} if method == "get" else {"session": [], "csrf": []}
                    route["security"] = [session, {"token": []}]
                route["x-codeSamples"] = [{"lang": "Shell", "source": curl(method.upper(), path, route, whole)}]
        it.document = Packed(encode(whole))
    return it.document


def curl(method: str, path: str, route: dict[str, Any], whole: dict[str, Any]) -> str:
    """How the route is asked, from a shell."""
    address = path.format(**_NAMES) + _QUERIES.get(f"{method} {path}", "")
    parts = ["curl -sN" if path.endswith("/stream") else "curl -s"]
    if method not in ("GET", "POST"):
        parts.append(f"-X {method}")
    if route["x-right"] != Right.OPEN:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    parts.append(f'"$HUB{address}"')
    if "requestBody" in route:
        name = route["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        body = encode(whole["components"]["schemas"][name]["examples"][0]).decode()
        parts.append(f"-H 'Content-Type: application/json' -d '{body}'")
    elif method == "POST":
        parts.insert(1, "-X POST")
    return " ".join(parts)


def _answer(key: str, answer: Any) -> dict[str, Any]:
    if answer is None:
        return {"description": "Done"}
    kind = _TEXTS.get(key, "application/json")
    return {"description": "As asked", "content": {kind: {"schema": schema(answer), "example": answer}}}


def schema(example: Any) -> dict[str, Any]:
    """What such answers look like."""
    match example:
        case None:
            return {}
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case str():
            return {"type": "string"}
        case list():
            return {"type": "array", "items": schema(example[0]) if example else {}}
        case Map():
            return {"type": "object", "additionalProperties": True}
        case _:
            fields = {key: {} if key in OF_ANY_KIND else schema(it) for key, it in example.items()}
            for key in fields.keys() & MAY_BE_NULL:
                fields[key] = {"anyOf": [fields[key], {"type": "null"}]}
            return {"type": "object", "properties": fields, "required": list(example)}
