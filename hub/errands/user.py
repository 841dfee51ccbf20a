"""fieldhub user: who may log in, set at the server's own console."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from hub.clock import SystemClock
from hub.config import Site
from hub.contract import BadConfig
from hub.house import open_ledger
from hub.ledger.entries import Note, changed
from hub.ledger.ledger import Ledger
from hub.ledger.people import Person
from hub.ledger.trouble import AlreadyWritten
from hub.mistakes import near
from hub.passwords import WeakPassword, add_person, set_password
from hub.rights import ROLES, Grant, read_grant, write_grant

CONSOLE = "(console)"  # who did it, in the ledger: whoever may write the site's files. Nobody can have this name


def user(args: argparse.Namespace, site: Callable[[], Site]) -> int:
    """Raises BadConfig."""
    if args.what != "list" and not args.name:
        raise BadConfig(f"user {args.what} › name the user: fieldhub user {args.dir} {args.what} wang.min")
    os.umask(0o077)  # it may be the one that makes the ledger
    here = site()
    grants = [_grant(text, here) for text in args.role]
    if args.what in ("add", "grants") and not grants:
        raise BadConfig(f"--role is missing › write one or more of: {', '.join(ROLES)}")
    return asyncio.run(_user_in(args, here, grants))


def _grant(text: str, site: Site) -> Grant:
    try:
        it = read_grant(text)
    except ValueError as error:
        raise BadConfig(f"--role {text} › {error}") from None
    codes = {area.code for area in site.areas}
    if it.area and it.area not in codes:
        raise BadConfig(f'--role {text} › there is no area "{it.area}".{near(it.area, codes)}')
    return it


def _password(args: argparse.Namespace) -> str:
    if args.password_file is None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", getpass.GetPassWarning)  # it would be shown while it is written
                first = getpass.getpass("password: ")
                if first != getpass.getpass("once more: "):
                    raise BadConfig("the two passwords differ. Nothing was changed")
        except (EOFError, getpass.GetPassWarning):
            raise BadConfig(
                "there is nobody to ask for the password. Write --password-file FILE, or - for stdin"
            ) from None
        return first
    if str(args.password_file) == "-":
        return sys.stdin.readline().rstrip("\n")
    try:
        return str(args.password_file.read_text("utf-8").splitlines()[0])
    except (OSError, IndexError) as error:
        why = f"cannot be read: {error}. Its first line must be the password"
        raise BadConfig(f"{args.password_file} › {why}") from None


async def _user_in(args: argparse.Namespace, site: Site, grants: Sequence[Grant]) -> int:
    ledger = await open_ledger(site, SystemClock())
    try:
        if args.what == "list":
            for it in await ledger.people.persons():
                out = "  (may not log in)" if it.disabled else ""
                print(f"{it.name:24} {', '.join(map(write_grant, it.grants)):40} {it.full_name}{out}")
            return 0
        there = await ledger.people.person(args.name)  # before anybody thinks of a password
        if args.what == "add":
            if there is not None:
                raise AlreadyWritten(args.name)
            await _add(args, site, ledger, grants)
        elif there is None:
            known = ", ".join(sorted(it.name for it in await ledger.people.persons())) or "none"
            raise LookupError(f"there is no such user. Users: {known}")
        elif args.what == "password":
            shortest = site.hub.security.password_length
            await set_password(ledger, args.name, _password(args), CONSOLE, shortest=shortest, where=_where())
            print(f"{args.name} has a new password; open sessions have ended.")
        else:
            await _change(args, ledger, there, grants)
    except AlreadyWritten:
        raise BadConfig(f"{args.name} › is a user already. `fieldhub user {args.dir} password {args.name}`") from None
    except (WeakPassword, LookupError) as error:
        raise BadConfig(f"{args.name} › {error}") from None
    finally:
        await ledger.close()
    return 0


async def _add(args: argparse.Namespace, site: Site, ledger: Ledger, grants: Sequence[Grant]) -> None:
    name, password, language = args.full_name or args.name, _password(args), site.hub.site.language
    shortest = site.hub.security.password_length
    await add_person(ledger, args.name, name, password, grants, language, CONSOLE, shortest=shortest, where=_where())
    print(f"{args.name} may log in now ({', '.join(map(write_grant, grants))}).")


async def _change(args: argparse.Namespace, ledger: Ledger, there: Person, grants: Sequence[Grant]) -> None:
    """grants, disable, enable, second."""
    now = SystemClock().now()

    def note(did: str, **more: Any) -> Note:
        return Note("person", now, CONSOLE, args.name, body={"did": did, **more, **_where()})

    match args.what:
        case "grants":
            was, are = ([write_grant(it) for it in held] for held in (there.grants, grants))
            told = note("grants set", changed=changed({"grants": was}, {"grants": are}))
            await ledger.people.change(replace(there, grants=tuple(grants)), told)
            print(f"{args.name} may from now on what these allow: {', '.join(are)}.")
        case "disable" | "enable":
            out = args.what == "disable"
            told = note("changed", changed=changed({"disabled": there.disabled}, {"disabled": out}))
            await ledger.people.change(replace(there, disabled=out), told)
            print(f"{args.name} may {'not ' if out else ''}log in{' any more' if out else ' again'}.")
        case "second":
            await ledger.people.set_second(args.name, "", (), note("second factor taken away"))
            print(f"{args.name} signs in with the password alone, until a new second factor is set up.")


def _where() -> dict[str, str]:
    return {"address": "console", "agent": getpass.getuser()}
