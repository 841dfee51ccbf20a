"""Commands: prepare, confirm, follow; and every way in which one does not happen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.ledger.trouble import LedgerUnavailable
from hub.model import Quality
from tests.dashboards.county import County, becomes, county, final

V1 = "/api/v1"
START = {"device": "ps-chengdong-1", "action": "pump1.start"}
CONFIRMED = {**START, "confirm": "城东一号泵站", "because": "level is rising"}
EN = {"Accept-Language": "en"}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 3) as it:
        yield it


async def test_a_command_is_prepared_confirmed_and_proven_by_a_reading(here: County):
    async with here.browser() as browser:
        prepared = (await browser.post(f"{V1}/commands/prepare", json=START)).json()
        assert prepared["confirm"] == "城东一号泵站"
        assert prepared["refusal"] is None
        assert [(it["title"]["en"], it["holds"]) for it in prepared["checks"]] == [("level too low", True)]
        assert "2.48" in prepared["checks"][0]["why"]["text"]["en"]
        assert here.field.heard == [], "preparing sends nothing"
        answer = await browser.post(f"{V1}/commands", json={**CONFIRMED, "confirm": prepared["confirm"]})
        assert answer.status_code == 202
        given = answer.json()
        assert (given["stage"], given["final"], given["asked_by"]) == (None, False, "water_operator")
        assert answer.headers["location"] == f"{V1}/commands/{given['id']}"
        done = await final(browser, given["id"])
    assert [it["stage"] for it in done["receipts"]] == ["sent", "acknowledged", "confirmed"]
    assert done["because"] == "level is rising"


async def test_a_device_that_says_done_and_does_nothing_is_not_believed(here: County):
    here.field.obeys = False
    async with here.browser() as browser:
        given = (await browser.post(f"{V1}/commands", json=CONFIRMED)).json()
        done = await final(browser, given["id"])
    assert [it["stage"] for it in done["receipts"]] == ["sent", "acknowledged", "expired"]


@pytest.mark.parametrize("word", ["", "城东", "城东一号泵站1", "ps-chengdong-1"])
async def test_the_wrong_word_sends_nothing_and_writes_nothing(here: County, word: str):
    async with here.browser() as browser:
        answer = await browser.post(f"{V1}/commands", json={**CONFIRMED, "confirm": word}, headers=EN)
        assert (answer.status_code, answer.json()["code"]) == (409, "wrong_confirmation")
        assert "城东一号泵站" in answer.json()["detail"]
        assert (await browser.get(f"{V1}/commands")).json()["commands"] == []
    assert here.field.heard == []


async def test_an_interlock_refuses_in_words_and_the_refusal_is_kept(here: County):
    here.tell("ps-chengdong-1", {"inlet.level": 0.4})
    async with here.browser() as browser:
        prepared = (await browser.post(f"{V1}/commands/prepare", json=START)).json()
        assert prepared["checks"][0]["holds"] is False
        assert prepared["refusal"]["key"] == "refused.interlock"
        answer = await browser.post(f"{V1}/commands", json=CONFIRMED, headers=EN)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (409, "command_refused")
        assert "level too low" in problem["detail"]
        assert problem["command"]["stage"] == "refused"
        kept = (await browser.get(f"{V1}/commands")).json()["commands"]
        assert [it["id"] for it in kept] == [problem["command"]["id"]]
    assert here.field.heard == []


async def test_what_cannot_be_judged_is_refused(here: County):
    here.tell("ps-chengdong-1", {"inlet.level": 2.0}, quality=Quality.BAD)
    async with here.browser() as browser:
        prepared = (await browser.post(f"{V1}/commands/prepare", json=START)).json()
        assert prepared["checks"][0]["holds"] is None
        answer = await browser.post(f"{V1}/commands", json=CONFIRMED, headers=EN)
        assert answer.json()["code"] == "command_refused"


async def test_the_same_key_is_the_same_command_and_goes_out_once(here: County):
    async with here.browser() as browser:
        headers = {"Idempotency-Key": "night-1"}
        answers = [(await browser.post(f"{V1}/commands", json=CONFIRMED, headers=headers)) for _ in range(3)]
        assert {it.status_code for it in answers} == {202}
        assert len({it.json()["id"] for it in answers}) == 1
        await final(browser, answers[0].json()["id"])
        late = await browser.post(f"{V1}/commands", json=CONFIRMED, headers=headers)
        assert late.json()["stage"] == "confirmed"
        other = {"device": "ps-chengdong-1", "action": "pump1.stop", "confirm": ""}
        taken = await browser.post(f"{V1}/commands", json=other, headers=headers)
        assert (taken.status_code, taken.json()["code"]) == (409, "key_is_taken")
    assert len(here.field.heard) == 1


async def test_all_wrong_arguments_are_told_at_once(here: County):
    body = {"device": "ps-chengdong-1", "action": "speed.set", "args": {"speed": 99, "colour": "red"}}
    async with here.browser() as browser:
        for path in ("/commands", "/commands/prepare"):
            answer = await browser.post(V1 + path, json=body, headers=EN)
            assert (answer.status_code, answer.json()["code"]) == (422, "bad_args")
            said = [it["what"] for it in answer.json()["mistakes"]]
            assert len(said) == 3
            assert "from 30 Hz to 50 Hz" in " ".join(said)


async def test_an_action_that_harms_nobody_needs_no_word(here: County):
    body = {"device": "ps-chengdong-1", "action": "speed.set", "args": {"speed": 45.5, "how": "slow"}}
    async with here.browser() as browser:
        assert (await browser.post(f"{V1}/commands/prepare", json=body)).json()["confirm"] == ""
        assert (await browser.post(f"{V1}/commands", json=body)).status_code == 202
        await becomes(lambda: bool(here.field.heard))
    assert here.field.heard[0].args == {"speed": 45.5, "how": "slow"}


async def test_unknown_devices_and_actions_are_named_with_what_looks_like_them(here: County):
    async with here.browser() as browser:
        answer = await browser.post(f"{V1}/commands/prepare", json={**START, "device": "ps-chengdon"})
        assert (answer.status_code, answer.json()["near"][0]) == (404, "ps-chengdong-1")
        answer = await browser.post(f"{V1}/commands", json={**START, "action": "pump1.strat"})
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_action")
        assert answer.json()["near"][0] == "pump1.start"
        answer = await browser.get(f"{V1}/commands/nothing")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_command")


async def test_a_command_under_way_can_be_cancelled_once(here: County):
    here.field.silent = True
    async with here.browser() as browser:
        id = (await browser.post(f"{V1}/commands", json=CONFIRMED)).json()["id"]
        await becomes(lambda: bool(here.field.heard))
        answer = await browser.post(f"{V1}/commands/{id}/cancel")
        assert (answer.status_code, answer.json()["stage"]) == (200, "cancelled")
        assert answer.json()["receipts"][-1]["words"]["key"] == "command.cancelled_by_after_sending"
        again = await browser.post(f"{V1}/commands/{id}/cancel", headers=EN)
        assert (again.status_code, again.json()["code"]) == (409, "not_under_way")
        assert "cancelled" in again.json()["detail"]
        assert (await browser.post(f"{V1}/commands/nothing/cancel")).status_code == 404


async def test_a_stop_goes_ahead_of_what_is_under_way(here: County):
    here.field.silent = True
    async with here.browser() as browser:
        first = (await browser.post(f"{V1}/commands", json=CONFIRMED)).json()["id"]
        await becomes(lambda: bool(here.field.heard))
        busy = await browser.post(f"{V1}/commands", json=CONFIRMED)
        assert busy.json()["code"] == "command_refused"
        stop = {"device": "ps-chengdong-1", "action": "pump1.stop"}
        assert (await browser.post(f"{V1}/commands", json=stop)).status_code == 202
        assert (await final(browser, first))["stage"] == "cancelled"


async def test_nothing_is_sent_that_cannot_be_written_down(here: County, monkeypatch: pytest.MonkeyPatch):
    async def fail(*args: Any, **more: Any) -> None:
        raise LedgerUnavailable("disk full")

    async with here.browser() as browser:
        monkeypatch.setattr(here.house, "request", fail)
        answer = await browser.post(f"{V1}/commands", json=CONFIRMED)
    assert (answer.status_code, answer.json()["code"]) == (503, "ledger_unavailable")
    assert answer.headers["retry-after"] == "10"
    assert "disk full" not in answer.text
    assert here.field.heard == []


async def test_pages_of_commands_stay_in_step_while_new_ones_come(here: County):
    here.tell("ps-chengdong-1", {"inlet.level": 0.4})  # each is refused, and kept
    async with here.browser() as browser:
        for _ in range(7):
            await browser.post(f"{V1}/commands", json=CONFIRMED)
        everything = (await browser.get(f"{V1}/commands?limit=500")).json()
        assert everything["next"] is None
        wanted = [it["id"] for it in everything["commands"]]
        found: list[str] = []
        before: int | None = None
        while True:
            query = {"limit": 3} | ({} if before is None else {"before": before})
            page = (await browser.get(f"{V1}/commands", params=query)).json()
            found += [it["id"] for it in page["commands"]]
            await browser.post(f"{V1}/commands", json=CONFIRMED)
            if (before := page["next"]) is None:
                break
        assert found == wanted
        assert (await browser.get(f"{V1}/commands?device=ps-00000")).json() == {"commands": [], "next": None}
        assert (await browser.get(f"{V1}/commands?device=nothing")).status_code == 404


@pytest.mark.parametrize(
    ("body", "wheres"),
    [
        ({}, {"body.device", "body.action"}),
        ({**START, "args": {"a": [1]}, "force": True}, {"body.args.a.float", "body.args.a.int", "body.args.a.bool",
                                                        "body.args.a.str", "body.force"}),
        ({**START, "because": "x" * 501}, {"body.because"}),
        ([], {"body"}),
    ],
)  # fmt: skip
async def test_a_body_that_is_not_a_command_is_explained(here: County, body: Any, wheres: set[str]):
    async with here.browser() as browser:
        answer = await browser.post(f"{V1}/commands", json=body)
    assert answer.status_code == 422
    assert {it["where"] for it in answer.json()["mistakes"]} == wheres
