"""Examples of what the routes about rules answer (see examples.py)."""

from __future__ import annotations

from typing import Any

RULE = {
    "name": "sump high",
    "kind": "pump_station",
    "where": ["ps-2026"],
    "each": "",
    "severity": 2,
    "when": "inlet.level > setting.high_level",
    "hold_s": 60.0,
    "until": "inlet.level < setting.high_level - 0.15 m",
    "until_hold_s": 120.0,
    "unless": "",
    "unless_say": {"zh-CN": "", "en": ""},
    "say": {"zh-CN": "前池水位 {inlet.level}", "en": "Forebay level {inlet.level}"},
    "do": {"zh-CN": "检查机组是否已开", "en": "Check that the pumps run"},
    "then": ["pump1.start"],
    "story": [["time", "inlet.level", "is"], ["0 s", "2.00", "normal"]],
    "place": "rules/pumps.toml",
    "standing": 1,
}
_WANT = {"point": "inlet.level", "quality": "bad", "why": None}
ANSWERS: dict[str, tuple[int, Any]] = {
    "GET /api/v1/rules": (200, {"rules": [RULE]}),
    "GET /api/v1/devices/{device_id}/rules": (
        200,
        {
            "device": "ps-chengdong-1",
            "rules": [{"rule": "sump high", "state": "unknown", "suppressed": False, "wants": [_WANT]}],
        },
    ),
}
PROBLEMS: dict[str, tuple[int, ...]] = {"GET /api/v1/devices/{device_id}/rules": (404,)}
