"""Secrets are named in configuration, never written there: "env:NAME", or "file:PATH" with a mode that is checked.

    secret = Secret("env:FIELDHUB_OPENID_SECRET", folder, os.environ)
    secret.reveal()

A secret shows itself nowhere by accident: not in repr, not in errors, not in logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hub.contract import BadConfig

READ_BY_OTHERS = 0o007  # a group may read it: the one that the hub runs as
LARGEST_BYTES = 64 * 1024  # of a file that holds one


class Secret:
    """A secret that has been found. Raises BadConfig when it is not there, empty, or can be read by others."""

    __slots__ = ("_text", "name")

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str], place: str = "hub.toml") -> None:
        self.name = name
        kind, _, where = name.partition(":")
        if kind == "env" and where:
            self._text = _of_environment(where, environment, place)
        elif kind == "file" and where:
            self._text = _of_file(folder / where, place)
        else:  # what stands there may be the secret itself: it is not said back
            raise BadConfig(
                f'{place} › is not where a secret is. Write "env:NAME" or "file:PATH", and put the secret there'
            )

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"


def _of_environment(name: str, environment: Mapping[str, str], place: str) -> str:
    text = environment.get(name, "").strip()
    if not text:
        raise BadConfig(
            f"{place} › the environment has no {name}. Set it where the hub is started: in the unit's EnvironmentFile"
        )
    return text


def _of_file(file: Path, place: str) -> str:
    try:
        mode = file.stat().st_mode
        raw = file.read_bytes()[:LARGEST_BYTES]
        text = raw.decode("utf-8").strip()
    except OSError as error:
        raise BadConfig(f"{place} › {file} cannot be read: {error.strerror}. Put the secret there, alone") from None
    except UnicodeDecodeError:
        raise BadConfig(f"{place} › {file} is not text. Put the secret there, alone, in UTF-8") from None
    if mode & READ_BY_OTHERS:
        raise BadConfig(f"{place} › {file} can be read by others (mode {mode & 0o777:04o}). Run: chmod 600 {file}")
    if not text:
        raise BadConfig(f"{place} › {file} is empty. Put the secret there, alone")
    return text
