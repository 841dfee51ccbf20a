"""fieldhub cert: HTTPS for this hub, by an authority of its own."""

from __future__ import annotations

import argparse

from hub.certificate import NotFit, make, names_of
from hub.clock import SystemClock
from hub.contract import BadConfig

FOLDER = "data/tls"


def cert(args: argparse.Namespace) -> int:
    """Raises BadConfig."""
    folder = args.dir / FOLDER
    there = folder / "cert.pem"
    if not args.dir.is_dir():
        raise BadConfig(f"{args.dir} › is not a folder. Make a site with: fieldhub init {args.dir}")
    if there.exists() and not args.renew:
        raise BadConfig(f"{there} › is there already. Add --renew to make a new one by the same authority")
    try:
        names = args.name or (names_of(there) if there.exists() else [])
    except (OSError, ValueError) as error:
        raise BadConfig(f"{there} › cannot be read: {error}. Say the names again: --name …") from None
    if not names:
        raise BadConfig("--name › is missing. Write how browsers reach this hub: --name hub.county.example")
    try:
        folder.parent.mkdir(exist_ok=True, mode=0o700)
        certificate, key, authority = make(folder, names, args.days, SystemClock().now())
    except NotFit as wrong:
        raise BadConfig(*wrong.mistakes) from None
    except OSError as error:
        raise BadConfig(f"{folder} › cannot be written: {error.strerror}. Check who owns it") from None
    print(f"{certificate} is for {', '.join(names)}, for {args.days} days. In {args.dir}/hub.toml write:")
    print(f'  [http]\n  cert = "{FOLDER}/{certificate.name}"\n  key  = "{FOLDER}/{key.name}"')
    print(f"A running hub takes a renewed one by itself. Desks trust it once they trust {authority}:")
    print("  Windows: double-click ca.pem › Install › Local Machine › Trusted Root Certification Authorities")
    print("  Debian:  copy it to /usr/local/share/ca-certificates/fieldhub.crt and run update-ca-certificates")
    return 0
