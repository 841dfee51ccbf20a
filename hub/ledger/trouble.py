"""What can go wrong with the ledger, in words that say what to do."""

from __future__ import annotations

from sqlalchemy.exc import StatementError


class LedgerUnavailable(RuntimeError):
    """The database cannot be opened, read or written: place › what › remedy. What was not confirmed is not written."""


class AlreadyWritten(ValueError):
    """A command with this id, or with this asker's idempotency key, stands in the ledger (see `command_by_key`).

    Also a person, session or token of that name.
    """


# What SQLite, PostgreSQL and the machine say, and what a person can do about it.
_REMEDIES = (
    ("disk is full", "Free space on its disk; writing goes on by itself."),
    ("no space left", "Free space on its disk; writing goes on by itself."),
    ("readonly", "Let the hub's user write the file and its folder."),
    ("read-only", "Let the hub's user write the file and its folder."),
    ("disk i/o error", "Check the disk and the space on it; writing goes on by itself when they are well."),
    ("locked", "Another program holds it: close that program."),
    ("not a database", "Something else has that name: move it away, or bring back a copy from a backup."),
    ("malformed", "The file is damaged: stop the hub and bring back a copy from a backup."),
    ("unable to open", "Check that its folder is there and that the hub's user may read and write it."),
    ("connection", "Check that the database server runs and that the URL is right."),
)
_ELSE = {
    "cannot be opened": "Nothing was changed.",
    "cannot be written": "Nothing of it was written; the hub tries again by itself.",
    "cannot be read": "The next read tries again.",
}


def unavailable(place: str, what: str, error: StatementError) -> LedgerUnavailable:
    """`what` is one of _ELSE."""
    reason = " ".join(str(error.orig).split())
    low = reason.lower()
    remedy = next((remedy for sign, remedy in _REMEDIES if sign in low), _ELSE[what])
    return LedgerUnavailable(f"{place} › {what}: {reason.rstrip('.?')}. {remedy}")
