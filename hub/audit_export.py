"""Entries as JSON lines under the site's seal, and the check of such a file where there is no site.

    audit.zip            entries.jsonl and seal.json
    audit.jsonl          and audit.jsonl.seal beside it; so too of a CSV that was exported with --sign

A line holds an entry whole, its body as the text that was hashed: each line's hash can be computed again, and each
names the one before it.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec import Struct, structs

from hub.contract import BadConfig
from hub.ledger.entries import Entry, chain
from hub.ledger.inspection import Fault, Inspection
from hub.seal import BadSeal, Seal, opened

LINES, SEAL = "entries.jsonl", "seal.json"  # in a zip
BESIDE = ".seal"  # after the name of a file that is no zip
MAX_FAULTS = 100  # told in a manifest, and by a check
MAX_LINE_BYTES = 64 * 1024 * 1024  # of one entry
MAX_SEAL_BYTES = 1024 * 1024
BLOCK_BYTES = 1024 * 1024


class Exported(Struct):
    """What went into an export."""

    count: int = 0
    first: dict[str, Any] | None = None  # seq, hash, and prev: the hash of the entry before it
    last: dict[str, Any] | None = None
    faults: list[str] = []


def export(
    ledger: Inspection, output: Path, start: datetime, end: datetime, seal: Seal, site: str, now: datetime
) -> Exported:
    """The entries from the first to the last with a time in [start, end), and all between. Raises BadConfig."""
    if output.suffix not in (".zip", ".jsonl"):
        raise BadConfig(f"-o {output} › is of no kind that is known. Write a name that ends in .zip or .jsonl")
    lines = output if output.suffix == ".jsonl" else output.with_name(output.name + ".part")
    try:
        with lines.open("wb") as out:
            told = _write(ledger, out, start, end)
        span = {"from": start, "to": end, "made_at": now, **structs.asdict(told)}
        if output.suffix == ".jsonl":
            sign(output, seal, site, "audit", span)
        else:
            manifest = {"what": "audit", "site": site, "name": LINES, **_sum(lines), **span}
            with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as into:
                into.write(lines, LINES)
                into.writestr(SEAL, seal.sign(manifest))
            lines.unlink()
    except OSError as error:
        raise BadConfig(f"-o {output} › cannot be written: {error.strerror}. Choose another file") from None
    return told


def sign(file: Path, seal: Seal, site: str, what: str, more: Mapping[str, Any]) -> Path:
    """Put a seal beside a file; where it lies. Raises OSError."""
    beside = file.with_name(file.name + BESIDE)
    beside.write_bytes(seal.sign({"what": what, "site": site, "name": file.name, **_sum(file), **more}))
    return beside


def _sum(file: Path) -> dict[str, Any]:
    with file.open("rb") as it:
        return _sum_of(it)


def _sum_of(it: IO[bytes]) -> dict[str, Any]:
    total, length = sha256(), 0
    while block := it.read(BLOCK_BYTES):
        total.update(block)
        length += len(block)
    return {"bytes": length, "sha256": total.hexdigest()}


def _write(ledger: Inspection, out: IO[bytes], start: datetime, end: datetime) -> Exported:
    """From the first entry in the span on; what came after the last one in it is taken away again."""
    told, keep, count = Exported(), 0, 0
    faults: list[str] = []
    for it in ledger.walk():
        if isinstance(it, Fault):
            faults += [str(it)] if told.first is not None and len(faults) < MAX_FAULTS else []
            continue
        inside = start <= it.at < end
        if told.first is None and not inside:
            continue
        out.write(line(it))
        count += 1
        if inside:
            told.first = told.first or {"seq": it.seq, "hash": it.hash, "prev": it.prev}
            told.last, told.count, told.faults = {"seq": it.seq, "hash": it.hash}, count, list(faults)
            keep = out.tell()
    out.truncate(keep)
    out.flush()
    os.fsync(out.fileno())
    return told


def line(it: Entry) -> bytes:
    """An entry as a line of JSON."""
    at = it.at.astimezone(UTC).isoformat(timespec="microseconds")
    return msgspec.json.encode({**structs.asdict(it), "at": at}) + b"\n"


# ---- checking -----------------------------------------------------------------------------------------------------


def check(file: Path, public: str = "") -> tuple[dict[str, Any], str, list[str]]:
    """(manifest, key, what is wrong with the entries). Raises BadConfig when the file is not what was sealed."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as it:
                if it.getinfo(SEAL).file_size > MAX_SEAL_BYTES:
                    raise BadSeal("has a seal that is too large to be one")
                return _checked(file, it.read(SEAL), lambda: it.open(LINES), public)
        beside = file.with_name(file.name + BESIDE)
        return _checked(file, beside.read_bytes(), lambda: file.open("rb"), public)
    except BadSeal as bad:
        raise BadConfig(f"{file} › {bad}") from None
    except (KeyError, zipfile.BadZipFile):
        raise BadConfig(
            f"{file} › is no export of an audit: it has no {LINES} and {SEAL}, or they are damaged"
        ) from None
    except OSError as error:
        raise BadConfig(
            f"{error.filename} › cannot be read: {error.strerror}. Name an export; its seal lies beside it"
        ) from None


def _checked(file: Path, seal: bytes, content: Any, public: str) -> tuple[dict[str, Any], str, list[str]]:
    manifest, key = opened(seal, public)
    with content() as it:
        found = _sum_of(it)
    if {name: manifest.get(name) for name in found} != found:
        raise BadSeal("was changed after it was sealed: it is not the file that the manifest names")
    if manifest.get("what") != "audit":
        return manifest, key, []
    with content() as it:
        return manifest, key, [*manifest.get("faults", []), *_chain_faults(it, manifest)][:MAX_FAULTS]


def _chain_faults(it: IO[bytes], manifest: Mapping[str, Any]) -> Iterator[str]:
    """The lines once more as a chain: a site that signs what it has not must at least break no rule of arithmetic."""
    before: Mapping[str, Any] | None = None
    count = 0
    while raw := it.readline(MAX_LINE_BYTES):
        count += 1
        try:
            row = msgspec.json.decode(raw, type=dict[str, Any])
            if not isinstance(row["seq"], int):
                raise ValueError("no number")
            same = chain({**row, "at": datetime.fromisoformat(row["at"])}) == row["hash"]
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            yield f"line {count} › is no entry"
            continue
        if not same:
            yield f"entry {row['seq']} › was changed: its hash does not fit"
        elif before is not None and row["seq"] == before["seq"] + 1 and row["prev"] != before["hash"]:
            yield f"entry {row['seq']} › does not follow entry {before['seq']}"
        elif before is not None and row["seq"] != before["seq"] + 1:
            yield f"entry {before['seq'] + 1} › is missing, or more"
        before = row
    ends = {"seq": before["seq"], "hash": before["hash"]} if before else None
    if count != manifest.get("count") or ends != manifest.get("last"):
        yield f"the manifest speaks of {manifest.get('count')} entries up to {manifest.get('last')}; here are {count}"
