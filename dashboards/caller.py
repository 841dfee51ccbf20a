"""Who asks: a person with what they may now, let in by a session or a token."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from msgspec import Struct

from hub.clock import Clock
from hub.config import SecurityTable
from hub.ledger.people import Person, Session, Token
from hub.model import Device
from hub.rights import Grant, Right, rights_of
from hub.sight import Sight, View

SESSION_LETTERS = 12  # of a session's id in an entry: enough to tell sessions apart, and the id is a hash already


class Must(StrEnum):
    """What somebody has to do before they may do anything else."""

    PASSWORD = "password"  # choose one: somebody else did, or it is too old
    SECOND = "second"  # set up a second factor: the site wants one for a role of theirs


class Rules(Struct, frozen=True):
    """What the site says about signing in ([security] of hub.toml)."""

    idle: timedelta
    longest: timedelta
    password_age: timedelta | None
    password_length: int
    second_for: frozenset[str]

    @classmethod
    def of(cls, it: SecurityTable) -> Rules:
        return cls(
            timedelta(minutes=it.idle_minutes),
            timedelta(hours=it.session_hours),
            timedelta(days=it.password_days) if it.password_days else None,
            it.password_length,
            frozenset(it.second_factor),
        )

    def musts(self, person: Person, way: str, signed_in: datetime) -> tuple[Must, ...]:
        """What this person has to do first. Who signs in at the OpenID provider has both there."""
        if way == "openid":
            return ()
        old = self.password_age is not None and (
            person.password_set is None or signed_in - person.password_set > self.password_age
        )
        needs = not person.second and any(it.role in self.second_for for it in person.grants)
        return (*((Must.PASSWORD,) if person.must_change or old else ()), *((Must.SECOND,) if needs else ()))


class Caller:
    """Somebody who is let in. It is the stream's ticket too."""

    def __init__(
        self,
        clock: Clock,
        rules: Rules,
        sight: Sight,
        person: Person,
        grants: Iterable[Grant],
        by: Session | Token,
    ) -> None:
        now = clock.now()
        self.person = person
        self.session = by if isinstance(by, Session) else None
        self.token = by if isinstance(by, Token) else None
        self.must = rules.musts(person, self.session.way, self.session.created) if self.session else ()
        self.grants = () if self.must else tuple(grants)
        self.rights = rights_of(self.grants) | {Right.SELF}
        self.expires: datetime | None = by.expires
        self.seen = self.session.seen if self.session else now
        self.checked_s = clock.monotonic()
        self.ended = False
        self._clock = clock
        self._rules = rules
        self._sight = sight

    @property
    def name(self) -> str:
        return self.person.name

    @property
    def idle(self) -> timedelta:
        """A session of theirs ends after so long without a request."""
        return self._rules.idle

    def may(self, right: Right) -> bool:
        """Whether they have the right somewhere."""
        return right in self.rights

    def may_with(self, right: Right, device: Device) -> bool:
        """Whether they have it over this device."""
        return self._sight.allows(self.grants, right, device)

    @property
    def view(self) -> View:
        """The devices that they may see."""
        return self._sight.view(self.grants)

    @property
    def over(self) -> bool:
        """Whether an open stream must end. That it is open counts as presence: a duty desk watches without clicking."""
        now = self._clock.now()
        self.seen = now
        return self.out_of_time(now)

    def out_of_time(self, now: datetime) -> bool:
        if self.ended or (self.expires is not None and now >= self.expires):
            return True
        return self.session is not None and now - self.seen > self._rules.idle

    def like(self, other: Caller) -> bool:
        """Whether the other may the same, so that streams opened by one may go on under the other."""
        return (self.grants, self.must) == (other.grants, other.must)


def address_of(scope: Any) -> str:
    """The other side's address, as the server (or the proxy that it trusts) says."""
    client = scope.get("client")
    return client[0] if client else ""


def agent_of(scope: Any) -> str:
    """The program at the other side, as it calls itself."""
    return plain(dict(scope["headers"]).get(b"user-agent", b"").decode("latin-1"))


def where_from(scope: Any) -> dict[str, str]:
    """For a note: from where somebody asked, with what, and in which session or with which token."""
    told = {"address": address_of(scope), "agent": agent_of(scope)}
    who: Caller | None = scope.get("caller")
    if who is not None and who.session is not None:
        told["session"] = who.session.id[:SESSION_LETTERS]
    if who is not None and who.token is not None:
        told["token"] = who.token.id
    return told


def plain(text: str) -> str:
    """What may stand in the ledger: printable and short."""
    return "".join(letter for letter in text[:200] if letter.isprintable())
