"""An example of what the route about the alarms' performance answers (see examples.py)."""

from __future__ import annotations

from typing import Any

_TIME = "2026-11-25T02:01:27.123Z"
ANSWERS: dict[str, tuple[int, Any]] = {
    "GET /api/v1/alarms/kpis": (
        200,
        {
            "start": _TIME,
            "end": _TIME,
            "operators": 2,
            "alarms": 214,
            "a_period": 0.11,
            "most_in_a_period": 23,
            "flood_share": 0.001,
            "floods": [{"start": _TIME, "end": _TIME, "alarms": 23}],
            "days": [{"from": _TIME, "alarms": 31}],
            "answers": [
                {
                    "severity": 1,
                    "alarms": 12,
                    "acknowledged": 12,
                    "in_time": 11,
                    "within_s": 180.0,
                    "median_s": 41.5,
                }
            ],
            "actors": [
                {
                    "device": "ps-chengdong-1",
                    "rule": "sump high",
                    "severity": 2,
                    "alarms": 40,
                    "came_back": 95,
                    "chattered": 3,
                    "fleeting": 7,
                    "lasted_s": 42.0,
                }
            ],
            "actors_share": 0.62,
            "stale": ["9f3a51c0d2e4b687"],
            "shelved": 1,
            "suppressed": 0,
            "cut": False,
            "good": 1.0,
            "most": 2.0,
            "flood": 10,
        },
    ),
}
PROBLEMS: dict[str, tuple[int, ...]] = {"GET /api/v1/alarms/kpis": (503,)}
