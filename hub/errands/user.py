"""fieldhub user: who may log in, set at the server's own console."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
import warnings
from collections.abc import Callable

from hub.clock import SystemClock
from hub.config import Site
from hub.contract import BadConfig
from hub.house import open_ledger
from hub.ledger.trouble import AlreadyWritten
from hub.passwords import WeakPassword, add_person, set_password
from hub.rights import ROLES


def user(args: argparse.Namespace, site: Callable[[], Site]) -> int:
    """Raises BadConfig."""
    if args.what != "list" and not args.name:
        raise BadConfig(f"user {args.what} › name the user: fieldhub user {args.dir} {args.what} wang.min")
    unknown = [role for role in args.role if role not in ROLES]
    if unknown or (args.what == "add" and not args.role):
        raise BadConfig(f"--role {', '.join(unknown) or 'is missing'} › write one or more of: {', '.join(ROLES)}")
    return asyncio.run(_user_in(args, site()))


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


async def _user_in(args: argparse.Namespace, site: Site) -> int:
    ledger = await open_ledger(site, SystemClock())
    try:
        if args.what == "list":
            for person in await ledger.people.persons():
                print(f"{person.name:24} {', '.join(person.roles):32} {person.full_name}")
            return 0
        there = await ledger.people.person(args.name)  # before anybody thinks of a password
        if args.what == "add":
            if there is not None:
                raise AlreadyWritten(args.name)
            name = args.full_name or args.name
            await add_person(ledger, args.name, name, _password(args), args.role, site.hub.site.language)
            print(f"{args.name} may log in now ({', '.join(args.role)}).")
        else:
            if there is None:
                known = ", ".join(sorted(person.name for person in await ledger.people.persons())) or "none"
                raise LookupError(f"there is no such user. Users: {known}")
            await set_password(ledger, args.name, _password(args))
            print(f"{args.name} has a new password; open sessions have ended.")
    except AlreadyWritten:
        raise BadConfig(f"{args.name} › is a user already. `fieldhub user {args.dir} password {args.name}`") from None
    except (WeakPassword, LookupError) as error:
        raise BadConfig(f"{args.name} › {error}") from None
    finally:
        await ledger.close()
    return 0
