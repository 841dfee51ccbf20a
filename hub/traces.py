"""Traces, where `[log] traces` names a collector (OTLP over HTTP): what a request or a command did, and how long.

    with traces.span("history write", {"fieldhub.points": size}) as span:
        span.tell({"fieldhub.batches": 3})

Without a collector nothing is kept and nothing is imported. A span holds names, numbers and ids; never a text that
somebody wrote, a query, or an argument of a command.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from threading import Thread
from typing import Any

PATH = "/v1/traces"  # OTLP 1.x, "OTLP/HTTP Request"
MOST_WAITING = 4_096  # spans; more are dropped while the collector is slow
BATCH = 512
SEND_EVERY_S = 2.0
PATIENCE_S = 5.0  # of one try to send
LAST_WORDS_S = 2.0  # at the end of the house, for what is still here

Facts = Mapping[str, str | int | float | bool]
NONE: Facts = {}


class NotInstalled(Exception):
    """The packages for traces are not there."""


class Span:
    """Something that takes time. This one is of a house without a collector: it keeps nothing."""

    def note(self, what: str, facts: Facts = NONE) -> None:
        """Something happened meanwhile."""

    def tell(self, facts: Facts) -> None:
        """Something about it that was not known when it began."""

    def named(self, name: str) -> None:
        """What it is called turned out later."""

    def fails(self, how: str) -> None:
        """It goes wrong."""

    def end(self) -> None:
        """It is over. Saying so again changes nothing."""


NOTHING = Span()


class _Kept(Span):
    def __init__(self, span: Any) -> None:
        self.span = span

    def note(self, what: str, facts: Facts = NONE) -> None:
        self.span.add_event(what, facts)

    def tell(self, facts: Facts) -> None:
        self.span.set_attributes(facts)

    def named(self, name: str) -> None:
        self.span.update_name(name)

    def fails(self, how: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self.span.set_status(Status(StatusCode.ERROR, how))

    def end(self) -> None:
        if self.span.is_recording():
            self.span.end()


class _Sender:
    """The one that keeps and sends spans."""

    def __init__(self, collector: str, house: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        about = {"service.name": "fieldhub", "service.version": version("fieldhub"), "service.instance.id": house}
        self._provider = TracerProvider(resource=Resource(about), shutdown_on_exit=False)
        queue = BatchSpanProcessor(  # in a thread of its own
            OTLPSpanExporter(collector.rstrip("/") + PATH, timeout=PATIENCE_S),
            max_queue_size=MOST_WAITING,
            schedule_delay_millis=SEND_EVERY_S * 1000,
            max_export_batch_size=BATCH,
        )
        self._provider.add_span_processor(queue)
        self.tracer = self._provider.get_tracer("fieldhub", version("fieldhub"))

    def close(self) -> None:
        last_words = Thread(target=self._provider.shutdown, name="last traces", daemon=True)
        last_words.start()
        last_words.join(LAST_WORDS_S)  # a collector that is away holds nobody up


_sender: _Sender | None = None


def begin(collector: str, house: str) -> None:
    """Send what is done from now on to this collector ("http://127.0.0.1:4318"). Raises NotInstalled."""
    global _sender
    try:
        _sender = _Sender(collector, house)
    except ImportError as missing:
        raise NotInstalled(str(missing)) from None


def close() -> None:
    """Send what is still here, and keep nothing more."""
    global _sender
    sender, _sender = _sender, None
    if sender is not None:
        sender.close()


def start(name: str, facts: Facts = NONE) -> Span:
    """A span of what lasts longer than one call; whoever starts it ends it. Its parent is what is under way here."""
    if _sender is None:
        return NOTHING
    return _Kept(_sender.tracer.start_span(name, attributes=facts))


@contextmanager
def span(name: str, facts: Facts = NONE, headers: Iterable[tuple[bytes, bytes]] | None = None) -> Iterator[Span]:
    """A span around a block; what begins in it is its child.

    `headers`: a request's as ASGI has them, names in small letters; they may say which trace it is part of.
    """
    if _sender is None:
        yield NOTHING
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = None
    if headers is not None:
        texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        context = TraceContextTextMapPropagator().extract(texts)
    kind = SpanKind.INTERNAL if headers is None else SpanKind.SERVER
    current = _sender.tracer.start_as_current_span(
        name, context=context, kind=kind, attributes=facts, record_exception=False
    )
    with current as kept:
        yield _Kept(kept)


def current_id() -> str:
    """The id of the trace that this line of work belongs to; "" without one."""
    if _sender is None:
        return ""
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""
