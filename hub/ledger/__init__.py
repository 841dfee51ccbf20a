"""What happened, append-only and chained by hash: alarm changes, commands, receipts, and who asked, and why."""

from hub.ledger.entries import Entry, Note, Noun
from hub.ledger.ledger import Ledger, Life
from hub.ledger.people import People, Person, Session, Token
from hub.ledger.places import Change, Placed, Places, Put, Retire
from hub.ledger.trouble import AlreadyWritten, LedgerUnavailable
from hub.ledger.writer import Trouble

__all__ = [
    "AlreadyWritten",
    "Change",
    "Entry",
    "Ledger",
    "LedgerUnavailable",
    "Life",
    "Note",
    "Noun",
    "People",
    "Person",
    "Placed",
    "Places",
    "Put",
    "Retire",
    "Session",
    "Token",
    "Trouble",
]
