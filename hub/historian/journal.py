"""The store's SQLite file: the journal of batches that are not sealed yet, the catalogue, and the list of segments.

They are in one file, so that what belongs together is one transaction: a batch and the numbers it uses; a new segment
and the end of the journal rows that are in it. Used by one thread.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import zstandard
from msgspec import Struct

from hub.historian.base import Batch, HistoryUnavailable, Series
from hub.historian.catalogue import Entry, TextCode
from hub.model import Kind

FORMAT = 2  # 1: without roll-ups; brought to 2 at opening
ROW_BYTES = 4 + 8 + 8 + 1
NO_FLOOR = -(1 << 62)

_ROLLUPS = """
CREATE TABLE rollup (
    id INTEGER NOT NULL, tier INTEGER NOT NULL, day INTEGER NOT NULL,
    t0 INTEGER NOT NULL, t1 INTEGER NOT NULL, n INTEGER NOT NULL, bytes INTEGER NOT NULL, file TEXT NOT NULL UNIQUE,
    PRIMARY KEY (tier, day)) WITHOUT ROWID;
"""
_TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('format', {FORMAT}), ('floor_us', {NO_FLOOR}), ('readings_floor_us', {NO_FLOOR});
CREATE TABLE series (
    sid INTEGER PRIMARY KEY, device TEXT NOT NULL, point TEXT NOT NULL, kind TEXT NOT NULL, unit TEXT NOT NULL,
    area TEXT NOT NULL);
CREATE TABLE text (
    sid INTEGER NOT NULL, code INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (sid, code)) WITHOUT ROWID;
CREATE TABLE journal (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, sum INTEGER NOT NULL, b BLOB NOT NULL);
CREATE TABLE damaged (id INTEGER PRIMARY KEY, n INTEGER, sum INTEGER, b BLOB, why TEXT NOT NULL);
CREATE TABLE segment (
    id INTEGER PRIMARY KEY, level INTEGER NOT NULL, day INTEGER NOT NULL,
    t0 INTEGER NOT NULL, t1 INTEGER NOT NULL, n INTEGER NOT NULL, bytes INTEGER NOT NULL, file TEXT NOT NULL UNIQUE);
{_ROLLUPS}
"""  # nosec B608: numbers of this file
_TO_2 = f"""
{_ROLLUPS}
INSERT INTO meta VALUES ('readings_floor_us', {NO_FLOOR});
UPDATE meta SET value = 2 WHERE key = 'format';
"""  # nosec B608: numbers of this file


class Segment(Struct, frozen=True):
    """One sealed file. Holds readings of t0_us..t1_us, both included.

    Where two know the same series and time, the one with the higher id was written later and is right. (A file that
    is merged from others must therefore take the highest of their ids.)
    """

    id: int
    level: int  # 0 as sealed; merged ones are higher
    day: int  # days since 1970 UTC of its first reading
    t0_us: int
    t1_us: int
    points: int
    bytes: int
    file: str


class Rollup(Struct, frozen=True):
    """One day's readings folded into steps of `tier` µs: of the segment of the same id, all that the day had then."""

    id: int
    tier: int
    day: int
    t0_us: int
    t1_us: int
    rows: int
    bytes: int
    file: str


class BadBlob(ValueError):
    """A journal row is not what was written."""


def pack(batch: Batch) -> bytes:
    """The columns one after the other, zstd."""
    plain = b"".join((batch.series.tobytes(), batch.at_us.tobytes(), batch.value.tobytes(), batch.quality.tobytes()))
    return zstandard.ZstdCompressor(level=1).compress(plain)


def unpack(blob: bytes, points: int) -> Batch:
    try:
        plain = zstandard.ZstdDecompressor().decompress(blob, max_output_size=points * ROW_BYTES)
    except zstandard.ZstdError as failure:
        raise BadBlob(f"zstd: {failure}") from failure
    if len(plain) != points * ROW_BYTES:
        raise BadBlob(f"{points * ROW_BYTES} bytes expected, got {len(plain)}")
    return Batch(
        np.frombuffer(plain, np.int32, points, 0),
        np.frombuffer(plain, np.int64, points, 4 * points),
        np.frombuffer(plain, np.float64, points, 12 * points),
        np.frombuffer(plain, np.uint8, points, 20 * points),
    )


def checksum(id: int, points: int, blob: bytes) -> int:
    """Of the row, not only of the blob: a blob in another's place is damage too."""
    return zlib.crc32(blob, zlib.crc32(f"{id} {points}".encode()))


class Journal:
    """Opens or makes the file. Every public method is one transaction, and raises HistoryUnavailable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        is_new = not path.exists()
        with self._blaming("cannot be opened", "check the folder's owner and rights, or give the hub another folder"):
            self._db = sqlite3.connect(path, isolation_level=None)
            with contextlib.ExitStack() as undo:
                undo.callback(self._db.close)
                self._set_up()
                undo.pop_all()
        if is_new:
            keep_names(path.parent)
        self._next_id = 1 + max(self._one("SELECT max(id) FROM journal"), self._one("SELECT max(id) FROM damaged"))
        self._next_segment = 1 + self._one("SELECT max(id) FROM segment")
        self._read_floors()

    def _read_floors(self) -> None:
        """Of everything, and of the readings themselves: older ones are there as roll-ups only."""
        self.floor_us = self._one("SELECT value FROM meta WHERE key = 'floor_us'")
        readings = self._one("SELECT value FROM meta WHERE key = 'readings_floor_us'")
        self.readings_floor_us = max(self.floor_us, readings or NO_FLOOR)

    def _set_up(self) -> None:
        self._db.execute("PRAGMA page_size = 16384")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        # One transaction: a file without its format row is a file that was never finished, and is begun again.
        if not self._one("SELECT count(*) FROM sqlite_master WHERE name = 'meta'"):
            self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
        if self._check_format() == 1:
            self._db.executescript(f"BEGIN IMMEDIATE; {_TO_2} COMMIT;")

    def _check_format(self) -> int:
        written = self._one("SELECT value FROM meta WHERE key = 'format'")
        if not 1 <= written <= FORMAT:
            raise HistoryUnavailable(
                f"{self.path} › is written in format {written}, this program reads format {FORMAT} › "
                "start the version of FieldHub that wrote it, or give the hub another folder"
            )
        return written

    # ---- batches --------------------------------------------------------------------------------------------------

    def append(self, batch: Batch, entries: Sequence[Entry]) -> tuple[int, int]:
        """A batch and what the catalogue has not saved yet. Returns its id and its bytes; durable on return."""
        blob, id = pack(batch), self._next_id
        with self._transaction():
            for it in entries:
                if isinstance(it, Series):
                    named = (it.id, it.device, it.point, it.kind.value, it.unit, it.area)
                    self._db.execute("INSERT INTO series VALUES (?, ?, ?, ?, ?, ?)", named)
                else:
                    self._db.execute("INSERT INTO text VALUES (?, ?, ?)", (it.series, it.code, it.text))
            row = (id, len(batch), checksum(id, len(batch), blob), blob)
            self._db.execute("INSERT INTO journal VALUES (?, ?, ?, ?)", row)
        self._next_id = id + 1
        return id, len(blob)

    def replay(self) -> Iterator[tuple[int, Batch] | str]:
        """All batches that are not sealed, in order. A damaged one is put aside, and told as a sentence."""
        with self._blaming("cannot be read", "restore it from a backup"):
            rows = self._db.execute("SELECT id FROM journal ORDER BY id").fetchall()
        for (id,) in rows:
            try:
                yield id, self.read(id)
            except (BadBlob, sqlite3.DatabaseError) as failure:
                self.put_aside(id, str(failure))
                yield f"{self.path} › batch {id} is damaged ({failure}) › it is not told; see the table 'damaged'"

    def read(self, id: int) -> Batch:
        """One batch. Raises BadBlob, sqlite3.DatabaseError."""
        points, total, blob = self._db.execute("SELECT n, sum, b FROM journal WHERE id = ?", (id,)).fetchone()
        if not isinstance(blob, bytes) or total != checksum(id, points, blob):
            raise BadBlob("its checksum does not fit")
        return unpack(blob, points)

    def put_aside(self, id: int, why: str) -> None:
        """Into the table `damaged`: it is not told, and not lost."""
        # It may be beyond copying; then it stays where it is. What counts is not to believe it.
        with contextlib.suppress(HistoryUnavailable), self._transaction():
            self._db.execute("INSERT INTO damaged SELECT id, n, sum, b, ? FROM journal WHERE id = ?", (why, id))
            self._db.execute("DELETE FROM journal WHERE id = ?", (id,))

    def waiting(self) -> list[tuple[int, int, int]]:
        """(id, readings, bytes) of each batch that is not sealed, in order."""
        with self._blaming("cannot be read", "restore it from a backup"):
            return self._db.execute("SELECT id, n, length(b) FROM journal ORDER BY id").fetchall()

    def forget(self, upto: int, dropped: int = 0) -> None:
        """The batches up to `upto` are elsewhere; or so many readings of them are lost, which is kept in mind."""
        with self._transaction():
            self._db.execute("DELETE FROM journal WHERE id <= ?", (upto,))
            if dropped:
                self._db.execute("INSERT OR REPLACE INTO meta VALUES ('dropped', ?)", (self.dropped + dropped,))

    @property
    def dropped(self) -> int:
        """How many readings `forget` has lost, ever."""
        return self._one("SELECT value FROM meta WHERE key = 'dropped'")

    def entries(self) -> Iterator[Entry]:
        """The catalogue as it was saved, series in the order of their numbers."""
        with self._blaming("cannot be read", "restore it from a backup"):
            for sid, device, point, kind, unit, area in self._db.execute("SELECT * FROM series ORDER BY sid"):
                yield Series(sid, device, point, Kind(kind), unit, area)
            for sid, code, text in self._db.execute("SELECT * FROM text ORDER BY sid, code"):
                yield TextCode(sid, code, text)

    # ---- segments -------------------------------------------------------------------------------------------------

    def take_segment_id(self) -> int:
        """A number for a new segment's file; no other segment gets it as long as this journal is open."""
        self._next_segment += 1
        return self._next_segment - 1

    def segments(self) -> list[Segment]:
        with self._blaming("cannot be read", "restore it from a backup"):
            rows = self._db.execute("SELECT id, level, day, t0, t1, n, bytes, file FROM segment ORDER BY id")
            return [Segment(*row) for row in rows]

    def swap(self, new: Sequence[Segment], upto: int) -> None:
        """From now on the batches up to `upto` are in these segments."""
        with self._transaction():
            self._insert(new)
            self._db.execute("DELETE FROM journal WHERE id <= ?", (upto,))

    def _insert(self, segments: Sequence[Segment]) -> None:
        for it in segments:
            row = (it.id, it.level, it.day, it.t0_us, it.t1_us, it.points, it.bytes, it.file)
            self._db.execute("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def rollups(self) -> list[Rollup]:
        with self._blaming("cannot be read", "restore it from a backup"):
            rows = self._db.execute("SELECT id, tier, day, t0, t1, n, bytes, file FROM rollup ORDER BY tier, day")
            return [Rollup(*row) for row in rows]

    def exchange(self, old: Sequence[Segment], new: Sequence[Segment], rollups: Sequence[Rollup] = ()) -> None:
        """From now on what was in the old segments is in the new ones, and folded in these roll-ups."""
        with self._transaction():
            self._db.executemany("DELETE FROM segment WHERE id = ?", [(it.id,) for it in old])
            self._insert(new)
            for it in rollups:
                row = (it.id, it.tier, it.day, it.t0_us, it.t1_us, it.rows, it.bytes, it.file)
                self._db.execute("INSERT OR REPLACE INTO rollup VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def drop(
        self, segments: Sequence[Segment], rollups: Sequence[Rollup], floor_us: int, readings_floor_us: int
    ) -> None:
        """These, and whatever is older than the floors, are no longer told."""
        with self._transaction():
            self._db.executemany("DELETE FROM segment WHERE id = ?", [(it.id,) for it in segments])
            gone = [(it.tier, it.day) for it in rollups]
            self._db.executemany("DELETE FROM rollup WHERE tier = ? AND day = ?", gone)
            floors = [(floor_us, "floor_us"), (readings_floor_us, "readings_floor_us")]
            self._db.executemany("UPDATE meta SET value = ? WHERE key = ?", floors)
        self.floor_us, self.readings_floor_us = floor_us, readings_floor_us

    def complaints(self) -> list[str]:
        """What SQLite finds wrong with its own file, and batches that were put aside."""
        with self._blaming("cannot be read", "restore it from a backup"):
            said = [str(row[0]) for row in self._db.execute("PRAGMA quick_check(10)") if row[0] != "ok"]
            aside = self._db.execute("SELECT id, why FROM damaged ORDER BY id").fetchall()
        return said + [f"batch {id} was put aside: {why}" for id, why in aside]

    def copy_to(self, path: Path) -> None:
        """All of it, as it is at one moment, into a new file."""
        remedy = f"check that {path.parent} can be written, and has room"
        with self._blaming("cannot be copied", remedy), contextlib.closing(sqlite3.connect(path)) as copy:
            self._db.backup(copy)
        with path.open("rb") as file:
            os.fsync(file.fileno())

    def close(self) -> None:
        self._db.close()

    # ---- SQLite ---------------------------------------------------------------------------------------------------

    def _one(self, question: str) -> int:
        value = self._db.execute(question).fetchone()
        return int(value[0] or 0) if value else 0

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._blaming("cannot be written", "free space on its disk, or check the disk"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextlib.contextmanager
    def _blaming(self, what: str, remedy: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise  # our bug, not the disk's
        except sqlite3.Error as failure:
            raise HistoryUnavailable(f"{self.path} › {what}: {failure} › {remedy}") from failure


class JournalSeen(Journal):
    """The file as it was at one moment, for a process that does not own it: nothing is written or put aside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._blaming("cannot be read", "check that you may read it, and the files beside it"):
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            with contextlib.ExitStack() as undo:
                undo.callback(self._db.close)
                self._db.execute("BEGIN")
                self._check_format()  # the first question: from here on it is this moment
                self._read_floors()
                undo.pop_all()

    @classmethod
    def at_once(cls, path: Path) -> contextlib.closing[JournalSeen]:
        """For a `with`: the moment holds up the owner's tidying of its own file, so let it be short."""
        return contextlib.closing(cls(path))

    def put_aside(self, id: int, why: str) -> None:
        """Its owner will."""


def keep_names(folder: Path) -> None:
    """A new or renamed file is durable only when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
