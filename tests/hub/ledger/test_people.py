"""People, sessions and tokens. For every database that is tested."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from hub.clock import ManualClock
from hub.ledger import AlreadyWritten, Ledger, Note, Person, Session, Token
from hub.rights import Grant

from .samples import at

WANG = Person("wang.min", "王敏", "hash one", (Grant("water_operator", "340299101000"), Grant("viewer")), at(0))
DAY = timedelta(days=1)


def session(id: str, seconds: float = 0, person: str = "wang.min") -> Session:
    return Session(id, person, f"csrf {id}", at(seconds), at(seconds), at(seconds) + DAY)


def token(id: str, seconds: float = 0) -> Token:
    return Token(id, "data board", "wang.min", "hash", (Grant("viewer"),), at(seconds))


async def test_a_person_is_kept_with_the_note_of_who_added_them(ledger: Ledger):
    await ledger.people.add(WANG, Note("person", at(0), by="admin", subject="wang.min", body={"event": "added"}))
    assert await ledger.people.person("wang.min") == WANG
    assert await ledger.people.person("nobody") is None
    (note,) = await ledger.entries("person")
    assert (note.by, note.says) == ("admin", {"event": "added"})


async def test_a_name_is_taken_once_and_a_refused_change_leaves_no_note(ledger: Ledger):
    await ledger.people.add(WANG)
    with pytest.raises(AlreadyWritten):
        await ledger.people.add(replace(WANG, full_name="somebody else"), Note("person", at(1)))
    with pytest.raises(LookupError, match=r'there is no "li.na"'):
        await ledger.people.change(replace(WANG, name="li.na"), Note("person", at(1)))
    assert await ledger.people.persons() == [WANG]
    assert await ledger.entries() == []
    assert ledger.healthy


async def test_grants_and_words_change_and_the_time_of_coming_does_not(ledger: Ledger):
    await ledger.people.add(WANG)
    changed = replace(WANG, grants=(Grant("auditor"),), language="en", full_name="Wang Min")
    await ledger.people.change(replace(changed, created=at(99)))
    assert await ledger.people.person("wang.min") == changed


async def test_who_is_disabled_is_out_at_once_and_does_not_come_in_again(ledger: Ledger):
    await ledger.people.add(WANG)
    await ledger.people.open_session(session("s1"))
    await ledger.people.change(replace(WANG, disabled=True))
    assert await ledger.people.session("s1") is None
    with pytest.raises(LookupError, match="may log in"):
        await ledger.people.open_session(session("s2"))
    with pytest.raises(LookupError, match="may log in"):
        await ledger.people.add_token(token("t1"))


async def test_a_new_password_ends_the_other_sessions(ledger: Ledger):
    await ledger.people.add(WANG)
    for id in ("here", "elsewhere"):
        await ledger.people.open_session(session(id))
    await ledger.people.set_password("wang.min", "hash two", at(9), keep_session="here")
    assert [it.id for it in await ledger.people.sessions("wang.min")] == ["here"]
    assert await ledger.people.person("wang.min") == replace(WANG, password="hash two", password_set=at(9))


async def test_hashing_anew_does_not_bring_back_a_password_that_was_changed_meanwhile(ledger: Ledger):
    await ledger.people.add(WANG)
    assert await ledger.people.rehash("wang.min", "hash one", "hash one, stronger")
    await ledger.people.set_password("wang.min", "hash two", at(9))
    assert not await ledger.people.rehash("wang.min", "hash one, stronger", "hash one, stronger still")
    assert await ledger.people.person("wang.min") == replace(WANG, password="hash two", password_set=at(9))


async def test_a_session_tells_whose_it_is_until_it_is_closed(ledger: Ledger):
    await ledger.people.add(WANG)
    await ledger.people.open_session(session("s1"), Note("login", at(0), by="wang.min"))
    assert await ledger.people.session("s1") == (session("s1"), WANG)
    await ledger.people.close_session("s1", Note("logout", at(9), by="wang.min"))
    await ledger.people.close_session("s1")
    assert await ledger.people.session("s1") is None
    assert [it.kind for it in await ledger.entries()] == ["logout", "login"]


async def test_seen_is_true_at_once_and_on_the_disk_later(url: str):
    clock = ManualClock()
    ledger = await Ledger.open(url, clock)
    await ledger.people.add(WANG)
    await ledger.people.open_session(session("s1"))
    await ledger.people.add_token(token("t1"))
    ledger.people.touch("s1", at(10))
    ledger.people.used("t1", at(20))
    assert (await ledger.people.sessions("wang.min"))[0].seen == at(10)
    assert (await ledger.people.tokens())[0].last_used == at(20)
    other = await Ledger.open(url, clock)
    assert (await other.people.sessions("wang.min"))[0].seen == at(0)
    ledger.people.touch("s1", at(100))  # more than a minute later: saved
    await ledger.people.save_seen()
    assert (await other.people.sessions("wang.min"))[0].seen == at(100)
    ledger.people.touch("s1", at(110))
    await ledger.close()
    assert (await other.people.sessions("wang.min"))[0].seen == at(110)
    assert (await other.people.tokens())[0].last_used == at(20)
    await other.close()


async def test_what_expired_is_dropped(ledger: Ledger):
    await ledger.people.add(WANG)
    await ledger.people.open_session(session("old"))
    await ledger.people.open_session(session("new", 60))
    await ledger.people.add_token(replace(token("t1"), expires=at(0) + DAY))
    await ledger.people.add_token(token("for ever"))
    assert await ledger.people.drop_expired(at(0) + DAY) == 2
    assert [it.id for it in await ledger.people.sessions("wang.min")] == ["new"]
    assert [it.id for it in await ledger.people.tokens("wang.min")] == ["for ever"]


async def test_a_token_is_made_and_ended(ledger: Ledger):
    await ledger.people.add(WANG)
    await ledger.people.add_token(token("t1"), Note("token", at(0), by="wang.min", subject="t1"))
    assert await ledger.people.token("t1") == (token("t1"), WANG)
    with pytest.raises(AlreadyWritten):
        await ledger.people.add_token(token("t1"))
    await ledger.people.end_token("t1")
    assert await ledger.people.token("t1") is None
    with pytest.raises(LookupError, match=r'there is no "t1"'):
        await ledger.people.end_token("t1")


# ---- second factor ------------------------------------------------------------------------------------------------


async def test_a_step_of_the_second_factor_is_used_once_and_none_before_it(ledger: Ledger):
    await ledger.people.add(WANG)
    await ledger.people.set_second("wang.min", "sealed", ["code one", "code two"])
    assert [await ledger.people.use_step("wang.min", step) for step in (5, 5, 4, 6)] == [True, False, False, True]
    person = await ledger.people.person("wang.min")
    assert person is not None
    assert (person.second, person.second_step, person.recovery) == ("sealed", 6, ("code one", "code two"))


async def test_a_recovery_code_opens_once_and_a_wrong_one_leaves_no_note(ledger: Ledger):
    await ledger.people.add(WANG)
    await ledger.people.set_second("wang.min", "sealed", ["code one", "code two"])
    used = Note("login", at(1), "wang.min", body={"did": "recovery_code_used"})
    assert [await ledger.people.use_recovery("wang.min", it, used) for it in ("code one", "code one", "no")] == [
        True,
        False,
        False,
    ]
    assert len(await ledger.entries("login")) == 1
    person = await ledger.people.person("wang.min")
    assert person is not None
    assert person.recovery == ("code two",)


async def test_changing_a_name_leaves_password_and_second_factor_as_they_are(ledger: Ledger):
    await ledger.people.add(WANG)
    await ledger.people.set_second("wang.min", "sealed", ["code one"])
    await ledger.people.set_password("wang.min", "hash two", at(9), must_change=True)
    await ledger.people.change(replace(WANG, full_name="Wang"))
    person = await ledger.people.person("wang.min")
    assert person is not None
    assert (person.full_name, person.second, person.password) == ("Wang", "sealed", "hash two")
    assert (person.must_change, person.password_set) == (True, at(9))


async def test_somebody_is_found_by_what_the_openid_provider_calls_them(ledger: Ledger):
    await ledger.people.add(replace(WANG, subject="https://id.example 4711"))
    await ledger.people.add(replace(WANG, name="li.na"))
    found = await ledger.people.person_of("https://id.example 4711")
    assert found is not None
    assert found.name == "wang.min"
    assert await ledger.people.person_of("") is None


async def test_all_of_somebodys_sessions_end_together(ledger: Ledger):
    await ledger.people.add(WANG)
    await ledger.people.add(replace(WANG, name="li.na"))
    for id, whose in (("a", "wang.min"), ("b", "wang.min"), ("c", "li.na")):
        await ledger.people.open_session(session(id, person=whose))
    assert await ledger.people.close_sessions("wang.min", Note("person", at(1))) == 2
    assert await ledger.people.session("c") is not None
