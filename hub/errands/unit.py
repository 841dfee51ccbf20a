"""fieldhub unit: a systemd unit for a site, with everything shut that a hub does not need."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hub.contract import BadConfig

UNIT = """\
# /etc/systemd/system/fieldhub.service, made by: fieldhub unit {folder}
#   useradd --system --home-dir {folder} --shell /usr/sbin/nologin {user}     (serial lines: --groups dialout)
#   chown -R {user}: {folder} && chmod 750 {folder}
#   systemctl daemon-reload && systemctl enable --now fieldhub
[Unit]
Description=FieldHub, the hub of a county's field hardware
After=network-online.target time-sync.target
Wants=network-online.target

[Service]
Type=notify
ExecStart={program} run {folder}
User={user}
WorkingDirectory={folder}
# Secrets that hub.toml names as env:NAME stand there, one NAME=value a line; mode 0600, owner root.
EnvironmentFile=-/etc/fieldhub.env
Restart=on-failure
RestartSec=5
WatchdogSec=60
TimeoutStopSec=30
LimitNOFILE=65536
UMask=0077

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ReadWritePaths={folder}
ProtectHome={home}
PrivateTmp=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources @mount
SystemCallErrorNumber=EPERM
{devices}
[Install]
WantedBy=multi-user.target
"""
NO_DEVICES = "PrivateDevices=yes\n"
SERIAL = "DevicePolicy=closed\nDeviceAllow=char-ttyS rw\nDeviceAllow=char-ttyUSB rw\nDeviceAllow=char-ttyACM rw\n"


def unit(args: argparse.Namespace, serial: bool) -> int:
    """`serial`: the site has devices on serial lines. Raises BadConfig."""
    folder, program = args.dir.resolve(), Path(sys.executable).with_name("fieldhub")
    for it in (folder, program):
        if any(letter in str(it) for letter in ' "\\%\n'):
            raise BadConfig(
                f'{it} › has a space, a quote, "\\" or "%": systemd reads these otherwise. Choose another place'
            )
    print(unit_text(folder, program, args.user, serial), end="")
    return 0


def unit_text(folder: Path, program: Path, user: str, serial: bool) -> str:
    """The unit (systemd.exec(5)). A site or a program below /home keeps it readable, and nothing else does."""
    at_home = any(it.parts[:2] in (("/", "home"), ("/", "root")) for it in (folder, program))
    return UNIT.format(
        folder=folder,
        program=program,
        user=user,
        home="read-only" if at_home else "yes",
        devices=SERIAL if serial else NO_DEVICES,
    )
