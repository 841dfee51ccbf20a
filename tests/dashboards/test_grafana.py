"""The Grafana files: every name is one that devices have, and every query is answered by a real VictoriaMetrics."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from drivers.modbus.profile import load
from hub import self_watch
from hub.historian.backend import Access
from hub.historian.base import Batch
from hub.historian.catalogue import Catalogue
from hub.historian.lines import lines
from hub.historian.victoria import Victoria
from hub.model import Kind
from tests.hub.historian import servers

FOLDER = Path(__file__).resolve().parents[2] / "dashboards" / "grafana"
BOARDS = sorted((FOLDER / "dashboards").glob("*.json"))
PLATES = {
    "ps-1": load().plate("ps-2026", {"pumps": 3}).nameplate.points,
    "hub": self_watch.plate(True, True).points,
}
NAMES = {key for points in PLATES.values() for key in points}


def queries(board: Any) -> list[str]:
    variables = [it["query"] for it in board["templating"]["list"]]
    return variables + [target["expr"] for panel in board["panels"] for target in panel["targets"]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """With ten minutes of every point of a station and of the hub."""
    with servers.victoria(tmp_path_factory.mktemp("grafana") / "data") as url:
        names, store = Catalogue(), Victoria(Access(url))
        now = time.time_ns() // 1000
        at = now - np.arange(60) * 10_000_000
        for device, points in PLATES.items():
            for key, point in points.items():
                kind = Kind.TEXT if point.kind is Kind.TEXT else point.kind
                number = names.number(device, key, kind, point.unit)
                quality = np.where(np.arange(60) % 7, 2, 0)
                batch = Batch.of(np.full(60, number), at, np.arange(60.0), quality)
                store.write(lines(batch, names.series, "fieldhub"))
        store.settle()
        yield url


@pytest.mark.parametrize("file", BOARDS, ids=lambda it: it.stem)
def test_every_point_that_is_asked_for_is_one_that_devices_have(file: Path):
    board = json.loads(file.read_text("utf-8"))
    for query in queries(board):
        assert set(re.findall(r"\bfieldhub_\w+", query)) <= {"fieldhub_v", "fieldhub_b", "fieldhub_q"}
        for operator, wanted in re.findall(r'point(=~?)"([^"]+)"', query):
            form = re.compile(wanted.replace("\\\\", "\\") if operator == "=~" else re.escape(wanted))
            assert any(form.fullmatch(name) for name in NAMES), wanted


@pytest.mark.parametrize("file", BOARDS, ids=lambda it: it.stem)
def test_every_query_is_answered(file: Path, server: str):
    board = json.loads(file.read_text("utf-8"))
    for query in queries(board):
        wanted = re.sub(r"^label_values\((.*), \w+\)$", r"\1", query).replace("$device", ".*")
        answer = httpx.get(f"{server}/api/v1/query", params={"query": wanted, "nocache": "1"}).json()
        assert answer["status"] == "success", answer
        assert answer["data"]["result"], f"nothing is told by {wanted}"


def test_the_boards_are_of_the_source_that_is_provisioned_and_have_names_in_both_languages():
    source = (FOLDER / "provisioning" / "datasources" / "fieldhub.yaml").read_text("utf-8")
    boards = [json.loads(it.read_text("utf-8")) for it in BOARDS]
    assert len({it["uid"] for it in boards}) == len(boards) >= 2
    for board in boards:
        for panel in board["panels"]:
            assert f"uid: {panel['datasource']['uid']}" in source
            assert {it["datasource"]["uid"] for it in panel["targets"]} == {panel["datasource"]["uid"]}
            assert re.search(r"[一-鿿].* · .*[A-Za-z]", panel["title"]), panel["title"]
        places = [tuple(it["gridPos"].values()) for it in board["panels"]]
        assert len(set(places)) == len(places)
