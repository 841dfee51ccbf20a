"""[history] of hub.toml: which store a site has, how it moves to a server without a gap, and what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from hub.clock import SystemClock
from hub.config_tables import HistoryTable
from hub.contract import BadConfig
from hub.historian.base import DAY_US, Batch
from hub.historian.engine import EmbeddedHistorian
from hub.historian.opening import Mirrored, RemoteOnlooker, look, open_store
from hub.historian.remote import RemoteHistorian
from hub.model import Kind
from tests.hub.historian import servers

DAY = 20_000 * DAY_US


def table(**it: Any) -> HistoryTable:
    return HistoryTable.model_validate(it)


def rows(number: int, first: int, count: int) -> Batch:
    at = DAY + np.arange(first, first + count) * 1_000_000
    return Batch.of(np.full(count, number), at, np.arange(first, first + count), np.full(count, 2))


async def test_without_a_word_it_is_the_embedded_store(tmp_path: Path):
    store = await open_store(tmp_path / "history", tmp_path, SystemClock(), table())
    assert isinstance(store, EmbeddedHistorian)
    await store.close()


async def test_a_site_moves_to_a_server_without_a_gap(tmp_path: Path):
    """Embedded; then mirrored; then on the server. Numbers stay, and every reading is told in the end."""
    folder = tmp_path / "data" / "history"
    with servers.victoria(tmp_path / "victoria") as url:
        server = {"kind": "victoriametrics", "url": url}
        store: Any = await open_store(folder, tmp_path, SystemClock(), table())
        number = store.catalogue.number("ps-1", "level", Kind.NUMBER, "m")
        await store.write(rows(number, 0, 100))
        await store.seal()
        await store.close()

        store = await open_store(folder, tmp_path, SystemClock(), table(mirror=server))
        assert isinstance(store, Mirrored)
        assert store.catalogue.number("ps-1", "level", Kind.NUMBER, "m") == number
        await store.write(rows(number, 100, 100))
        assert len((await store.range([number], DAY, DAY + DAY_US))[number]) == 200
        await store.mirror.settle()
        # Back-fill: what `fieldhub history SITE copy` does (tests/hub/historian/test_errands.py) for what was before.
        await store.mirror.write(rows(number, 0, 100))
        await store.mirror.settle()
        await store.close()

        store = await open_store(folder, tmp_path, SystemClock(), table(server=server))
        assert isinstance(store, RemoteHistorian)
        assert store.catalogue.number("ps-1", "level", Kind.NUMBER, "m") == number
        await store.write(rows(number, 200, 100))
        await store.settle()
        told = (await store.range([number], DAY, DAY + DAY_US))[number]
        assert told.value.tolist() == list(range(300))
        await store.close()

        seen = look(folder, tmp_path, table(server=server), "ps-1")
        assert isinstance(seen, RemoteOnlooker)
        assert len((await seen.range([number], DAY, DAY + DAY_US))[number]) == 300
    assert isinstance(store, RemoteHistorian)


async def test_a_hub_starts_while_its_server_is_away(tmp_path: Path):
    server = {"kind": "victoriametrics", "url": "http://127.0.0.1:1"}
    store = await open_store(tmp_path / "history", tmp_path, SystemClock(), table(server=server))
    number = store.catalogue.number("ps-1", "level", Kind.NUMBER, "m")
    await store.write(rows(number, 0, 10))
    assert isinstance(store, RemoteHistorian)
    assert store.health.waiting_points == 10
    await store.close()


async def test_a_token_is_named_and_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = {"kind": "influxdb", "url": "http://127.0.0.1:1", "token": "env:FIELDHUB_TEST", "org": "o", "bucket": "b"}
    monkeypatch.delenv("FIELDHUB_TEST", raising=False)
    with pytest.raises(BadConfig) as missing:
        await open_store(tmp_path / "history", tmp_path, SystemClock(), table(server=server))
    assert "hub.toml › history › server › token" in str(missing.value)
    monkeypatch.setenv("FIELDHUB_TEST", "secret")
    store = await open_store(tmp_path / "history", tmp_path, SystemClock(), table(server=server))
    assert isinstance(store, RemoteHistorian)
    assert "secret" not in repr(store.health)
    await store.close()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"server": {"kind": "influxdb", "url": "http://h:1"}}, "token is missing"),
        ({"server": {"kind": "victoriametrics", "url": "h:1"}}, "is not where a server listens"),
        ({"server": {"kind": "victoriametrics", "url": "http://me:pw@h:1"}}, "is not where a server listens"),
        ({"server": {"kind": "victoriametrics", "url": "http://h:1", "token": "abc"}}, "is not where a secret is"),
        ({"server": {"kind": "victoriametrics", "url": "http://h:1", "measurement": "a b"}}, "measurement"),
        ({"server": {"kind": "timescale", "url": "http://h:1"}}, "kind"),
        (
            {it: {"kind": "victoriametrics", "url": "http://h:1"} for it in ("server", "mirror")},
            "A mirror is beside the embedded store",
        ),
        ({"spool_mb": 1}, "spool_mb"),
    ],
)
def test_what_cannot_be_is_said(what: dict[str, Any], said: str):
    with pytest.raises(ValidationError) as wrong:
        table(**what)
    assert said in str(wrong.value)
    assert "pw@" not in str([it["msg"] for it in wrong.value.errors()])
