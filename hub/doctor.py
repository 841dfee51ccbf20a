"""What is wrong with a hub's machine and site folder, and the line that mends it (pure: the facts come in).

for it in examine(facts): print(it.line)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, field

LEAST_FREE_BYTES = 2 * 1024**3  # of the disk that holds data/: some weeks of a county's readings
LOW_FREE_BYTES = 10 * 1024**3
LEAST_FREE_INODES = 10_000
LEAST_FILES = 4_096  # open at the same time: a county's links, a thousand streams, the ledger
CLOCK_SLACK = timedelta(seconds=2)
OPEN_TO_OTHERS = 0o007
VOLATILE = ("tmpfs", "ramfs", "overlay")
REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")


class State(StrEnum):
    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


class Finding(Struct, frozen=True):
    """One check."""

    state: State
    what: str
    mend: str = ""

    @property
    def line(self) -> str:
        return f"{self.state:5}  {self.what}" + (f"\n       {self.mend}" if self.mend else "")


class Port(Struct, frozen=True):
    """One that the hub listens on: `taken_by` "" when it is free, "fieldhub" when a hub answers there."""

    place: str
    host: str
    port: int
    taken_by: str = ""


class File(Struct, frozen=True):
    """One that holds a secret or what must not be read: mode bits, and whether it is ours."""

    path: str
    mode: int
    ours: bool = True


class Facts(Struct, frozen=True):
    """What errands/doctor.py found out; None: it could not be."""

    now: datetime
    python: tuple[int, int]
    missing: Sequence[str] = ()  # distributions that are not there, or of another version than is needed
    ports: Sequence[Port] = ()
    clock_synchronised: bool | None = None
    newest_entry: datetime | None = None  # of the ledger
    free_bytes: int = 0
    free_inodes: int | None = None  # None: this file system has no fixed number
    file_system: str = ""
    open_files: int = 0
    root: bool = False
    files: Sequence[File] = ()
    devices: Mapping[str, bool] = field(default_factory=dict)  # a serial port -> whether it can be opened
    revision: str = ""  # of the ledger; "": there is none yet
    revision_wanted: str = ""
    ledger_error: str = ""
    can_log_in: Sequence[str] = ()
    can_permit: Sequence[str] = ()
    demo_passwords: Sequence[str] = ()  # people who have one that everybody knows
    certificate: Sequence[str] = ()  # what is wrong with it
    certificate_ends: datetime | None = None


def examine(it: Facts, site: str) -> Iterator[Finding]:
    """Everything, in the order in which one mends it. `site`: how the folder is written in a command."""
    yield from _program(it)
    yield from _machine(it)
    yield from _files(it, site)
    yield from _ledger(it, site)
    yield from _people(it, site)
    yield from _doors(it, site)


def _ok(what: str) -> Finding:
    return Finding(State.OK, what)


def _note(what: str, mend: str = "") -> Finding:
    return Finding(State.NOTE, what, mend)


def _wrong(what: str, mend: str = "") -> Finding:
    return Finding(State.WRONG, what, mend)


def _program(it: Facts) -> Iterator[Finding]:
    if it.python < (3, 11):
        yield _wrong(f"Python {it.python[0]}.{it.python[1]} is too old", "Use Python 3.11 or newer")
    else:
        yield _ok(f"Python {it.python[0]}.{it.python[1]}")
    if it.missing:
        again = "Install what the lock names: pip install --require-hashes -r requirements/run.txt"
        yield _wrong(f"packages are missing or of another version: {', '.join(it.missing)}", again)
    else:
        yield _ok("every package is there, in a version that fits")


def _machine(it: Facts) -> Iterator[Finding]:
    if it.clock_synchronised is None:
        yield Finding(
            State.NOTE, "whether the clock is synchronised cannot be told here", "See that it is: chronyc tracking"
        )
    elif not it.clock_synchronised:
        yield _wrong(
            "the clock is not synchronised: alarms would have wrong times",
            "Run: apt install chrony; then wait for: timedatectl show -p NTPSynchronized",
        )
    else:
        yield _ok("the clock is synchronised")
    if it.newest_entry is not None and it.newest_entry - it.now > CLOCK_SLACK:
        yield _wrong(
            f"the clock says {it.now:%Y-%m-%d %H:%M}, the ledger's last entry is of {it.newest_entry:%Y-%m-%d %H:%M}",
            "Set the clock: timedatectl set-ntp true",
        )
    gb = it.free_bytes / 1024**3
    if it.free_bytes < LEAST_FREE_BYTES:
        yield Finding(
            State.WRONG, f"{gb:.1f} GB are free where data/ lies", "Make room, or move data/ to a larger disk"
        )
    elif it.free_bytes < LOW_FREE_BYTES:
        yield _note(f"{gb:.1f} GB are free where data/ lies", "Think of a larger disk")
    else:
        yield _ok(f"{gb:.0f} GB are free where data/ lies")
    if it.free_inodes is not None and it.free_inodes < LEAST_FREE_INODES:
        yield _wrong(
            f"the disk can hold {it.free_inodes} more files only",
            "Find what has so many: du --inodes -x / | sort -n | tail",
        )
    if it.file_system in VOLATILE:
        yield _note(
            f"data/ lies on {it.file_system}: it may be gone after a restart",
            "Put the site on a disk, or give the container a volume",
        )
    elif it.file_system in REMOTE:
        yield _wrong(f"data/ lies on {it.file_system}: SQLite cannot be safe there", "Use a local disk")
    if it.open_files < LEAST_FILES:
        yield _wrong(
            f"{it.open_files} files can be open at the same time; a county needs {LEAST_FILES}",
            "In the unit write LimitNOFILE=65536, in a shell: ulimit -n 65536",
        )
    else:
        yield _ok(f"{it.open_files} files can be open at the same time")
    if it.root:
        yield Finding(
            State.NOTE, "this is root: a hub needs none of its rights", "Run it as a user of its own: fieldhub unit"
        )
    for port, fit in it.devices.items():
        if fit:
            yield _ok(f"{port} can be opened")
        else:
            yield _wrong(f"{port} cannot be opened", "Plug it in, and: usermod -aG dialout fieldhub")


def _files(it: Facts, site: str) -> Iterator[Finding]:
    bad = [one for one in it.files if one.mode & OPEN_TO_OTHERS or not one.ours]
    for one in bad:
        if one.mode & OPEN_TO_OTHERS:
            yield _wrong(
                f"{one.path} can be read by others (mode {one.mode & 0o777:04o})", f"Run: chmod o-rwx {one.path}"
            )
        else:
            yield _wrong(f"{one.path} belongs to somebody else", f"Run: chown fieldhub {one.path}")
    if it.files and not bad:
        yield _ok("what must not be read by others is not")


def _ledger(it: Facts, site: str) -> Iterator[Finding]:
    if it.ledger_error:
        yield _wrong(f"the ledger cannot be read: {it.ledger_error}", "Bring it back from the backup")
    elif not it.revision:
        yield _note("there is no ledger yet: the first start makes it")
    elif it.revision > it.revision_wanted:
        newer = "A newer FieldHub has written it: run that one, or bring back the copy from before the update"
        yield _wrong(f"the ledger is at revision {it.revision}, this program knows {it.revision_wanted}", newer)
    elif it.revision < it.revision_wanted:
        yield _note(
            f"the ledger is at revision {it.revision}; the next start brings it to {it.revision_wanted}",
            f"Copy it first: cp {site}/data/ledger.sqlite* SOMEWHERE",
        )
    else:
        yield _ok(f"the ledger is at revision {it.revision}. Its entries: fieldhub audit {site} verify")


def _people(it: Facts, site: str) -> Iterator[Finding]:
    if it.demo_passwords:
        yield _wrong(
            f"everybody knows the password of {', '.join(it.demo_passwords)}",
            f"Run: fieldhub user {site} password NAME, or: fieldhub user {site} disable NAME",
        )
    if not it.revision or it.ledger_error:
        return
    if not it.can_permit:
        yield _note(
            "nobody may give permissions: the next start prints a one-time code for the first",
            f"Or: fieldhub user {site} grants NAME --role security_admin",
        )
    else:
        yield Finding(
            State.OK, f"{len(it.can_log_in)} people may log in; {', '.join(it.can_permit)} may give permissions"
        )


def _doors(it: Facts, site: str) -> Iterator[Finding]:
    for port in it.ports:
        where = f"{port.place}: {port.host}:{port.port}"
        if not port.taken_by:
            yield _ok(f"{where} is free")
        elif port.taken_by == "fieldhub":
            yield _ok(f"{where} is this hub, running")
        else:
            yield _wrong(f"{where} {port.taken_by}", f"Find who has it: ss -ltnp 'sport = :{port.port}'")
    for what in it.certificate:
        yield _wrong(what)
    if it.certificate_ends is not None and not it.certificate:
        left = (it.certificate_ends - it.now).days
        if left < 30:
            yield _note(f"the certificate ends in {left} days", f"Run: fieldhub cert {site} --renew")
        else:
            yield _ok(f"the certificate is good for {left} days")
