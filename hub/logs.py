"""How the house logs: text for people who read along, or JSON, one line an event, for a collector.

    {"time", "level", "logger", "message", "request"?, "command"?, "trace_id"?, "error"?, "trace"?}

A request's and a command's id stand in every line that is written about them, also by the tasks that they started: what
became of one is found by one word.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from hub import traces

request_id: ContextVar[str] = ContextVar("request_id", default="")
command_id: ContextVar[str] = ContextVar("command_id", default="")
ID_FORM = re.compile(r"[A-Za-z0-9._-]{8,64}")  # of a request, as somebody in front may have given it
LONGEST_MESSAGE = 8_000  # letters of one message or trace; what is longer is cut, and says so


class JsonForm(logging.Formatter):
    """One line of JSON. Nothing that is logged can break out of its line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told: dict[str, Any] = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(record.getMessage()),
        }
        for key, value in (
            ("request", request_id.get()),
            ("command", command_id.get()),
            ("trace_id", traces.current_id()),
        ):
            if value:
                told[key] = value
        if record.exc_info and record.exc_info[0] is not None:
            told["error"] = record.exc_info[0].__name__
            told["trace"] = _cut("".join(traceback.format_exception(*record.exc_info)))
        return msgspec.json.encode(told).decode()


class TextForm(logging.Formatter):
    """For people. A line break in a message is shown, not made: nobody writes a line of the log by their name."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s%(about)s")

    def format(self, record: logging.LogRecord) -> str:
        ids = " ".join(it for it in (request_id.get(), command_id.get()) if it)
        record.about = f" [{ids}]" if ids else ""
        plain = logging.makeLogRecord(record.__dict__)
        plain.msg, plain.args = _cut(record.getMessage()).replace("\r", "\\r").replace("\n", "\\n"), ()
        return super().format(plain)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}… ({len(text)} letters)"


def configure(form: str = "text", level: str = "info", out: TextIO | None = None) -> None:
    """Log to standard error in this form, from this level on."""
    handler = logging.StreamHandler(out or sys.stderr)
    handler.setFormatter(JsonForm() if form == "json" else TextForm())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Talkative, and nobody here asks them to be; httpx would even say the addresses that hold codes.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)  # a collector that is away: said once, not at each try
    for name in ("alembic", "httpx", "httpx2", "httpcore", "asyncio", "sqlalchemy", "authlib"):
        logging.getLogger(name).setLevel(logging.WARNING)
