"""What happened, append-only and chained by hash: alarm changes, commands, receipts, and who asked, and why."""

from hub.ledger.entries import Entry, Note, Noun
from hub.ledger.ledger import Ledger, Life
from hub.ledger.trouble import AlreadyWritten, LedgerUnavailable
from hub.ledger.writer import Trouble

__all__ = ["AlreadyWritten", "Entry", "Ledger", "LedgerUnavailable", "Life", "Note", "Noun", "Trouble"]
