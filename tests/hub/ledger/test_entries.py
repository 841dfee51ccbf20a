"""What an entry says of a change: each field that differs, as it was and as it is, and no secret."""

from datetime import UTC, datetime

from msgspec.structs import replace

from hub.ledger import Person
from hub.ledger.entries import HIDDEN, as_alarm_change, as_command, as_receipt, changed, draft
from hub.model import Origin
from hub.rights import Grant

from .samples import command

WANG = Person("wang.min", "王敏", "$argon2id$old", (Grant("viewer"),), datetime(2026, 6, 1, tzinfo=UTC))
VIEWER = {"role": "viewer", "area": ""}


def test_a_change_names_the_fields_that_differ_with_both_values():
    after = replace(WANG, grants=(Grant("viewer"), Grant("auditor")), full_name="王敏敏")
    assert changed(WANG, after) == {
        "full_name": ["王敏", "王敏敏"],
        "grants": [[VIEWER], [VIEWER, {"role": "auditor", "area": ""}]],
    }


def test_what_stays_is_not_told():
    assert changed(WANG, WANG) == {}
    assert changed({"roles": ("viewer",)}, {"roles": ["viewer"]}) == {}, "a tuple and a list are one in JSON"


def test_what_came_has_nothing_before_and_what_went_nothing_after():
    came, went = changed(None, WANG), changed(WANG, None)
    assert came["grants"] == [None, [VIEWER]]
    assert came["created"] == [None, "2026-06-01T00:00:00Z"]
    assert went["grants"] == [[VIEWER], None]


def test_a_secret_is_told_to_have_changed_and_never_what_it_is():
    assert changed(WANG, replace(WANG, password="$argon2id$new")) == {"password": [HIDDEN, HIDDEN]}
    assert changed(None, WANG)["password"] == [None, HIDDEN]
    assert "argon2id" not in str(changed({"secret": "argon2id"}, {"secret": "argon2id2", "csrf": "argon2id"}))


def test_what_was_written_before_origins_were_reads_as_it_did():
    """Bodies as earlier commits wrote them, byte for byte."""
    asked = as_command(
        '{"id":"c1","device":"pump-7","action":"pump1.start","args":{},"asked_by":"wang.min","because":"",'
        '"asked_at":"2026-06-01T04:00:00Z","deadline":"2026-06-01T04:01:00Z","key":""}'
    )
    assert (asked.asked_by, asked.origin) == ("wang.min", None)
    told = as_receipt('{"command":"c1","stage":"cancelled","at":"2026-06-01T04:00:00Z","words":null,"last":true}')
    assert (told.last, told.by, told.origin) == (True, "", None)
    seen = as_alarm_change(
        '{"alarm":"a1","event":"acknowledged","device":"pump-7","rule":"r","at":"2026-06-01T04:00:00Z",'
        '"since":"2026-06-01T04:00:00Z","severity":2,"by":"li.na","note":"","say":{},"do":{},"facts":{}}'
    )
    assert (seen.by, seen.origin) == ("li.na", None)


def test_an_origin_holds_what_is_known_and_nothing_else():
    note = draft(replace(command("c1"), origin=Origin(address="10.0.4.2", session="3f9a2c10d2e4")))
    assert '"origin":{"address":"10.0.4.2","session":"3f9a2c10d2e4"}' in note.body
