"""The site's seal: an Ed25519 key of its own, so that whoever gets an export can tell that it is as the site made it.

    data/seal.key        made when it is first needed, for the hub's user alone (0600); back it up with the ledger
    ed25519:0Vd9…        its public half (`fieldhub audit DIR key`): print it, and give it to whoever checks

What is signed is a manifest: a text that names a file, its sha256, and what is in it. The seal, a small JSON file,
holds the manifest letter for letter, the signature, and the public key, which proves nothing by itself.
"""

from __future__ import annotations

import os
import stat
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from msgspec import Struct

from hub.contract import BadConfig

KEY_FILE = "seal.key"
SCHEME = "ed25519:"
OTHERS = stat.S_IRWXG | stat.S_IRWXO  # who may do nothing with the key


class BadSeal(ValueError):
    """The text says why a seal proves nothing."""


class Sealed(Struct):
    """A seal, as it lies beside a file or in it."""

    manifest: str
    key: str
    signature: str


class Seal:
    """The site's key. Raises BadConfig when there is one that cannot be used."""

    def __init__(self, data: Path) -> None:
        file = data / KEY_FILE
        try:
            self._key = _read(file) if file.exists() else _make(file)
        except FileExistsError:  # somebody else made it just now
            self._key = _read(file)
        except OSError as error:
            raise BadConfig(
                f"{file} › cannot be read or made: {error.strerror}. Check the rights of its folder"
            ) from None

    @property
    def public(self) -> str:
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return SCHEME + b64encode(raw).decode()

    def sign(self, manifest: Mapping[str, Any]) -> bytes:
        """The seal of whatever the manifest names, as a JSON file's bytes."""
        text = msgspec.json.encode(manifest).decode()
        signature = b64encode(self._key.sign(text.encode())).decode()
        return msgspec.json.format(msgspec.json.encode(Sealed(text, self.public, signature)), indent=2) + b"\n"


def opened(seal: bytes, public: str = "") -> tuple[dict[str, Any], str]:
    """(manifest, public key that signed it). With `public`: it must be that one. Raises BadSeal."""
    try:
        it = msgspec.json.decode(seal, type=Sealed)
        manifest: dict[str, Any] = msgspec.json.decode(it.manifest, type=dict[str, Any])
        signature = b64decode(it.signature, validate=True)
    except (msgspec.DecodeError, NotBase64, UnicodeError):
        raise BadSeal("is no seal of a FieldHub") from None
    if public and read_key(public) != read_key(it.key):
        raise BadSeal(f"was sealed with another key, {it.key}")
    try:
        Ed25519PublicKey.from_public_bytes(read_key(it.key)).verify(signature, it.manifest.encode())
    except InvalidSignature:
        raise BadSeal("was changed after it was sealed: the signature does not fit") from None
    return manifest, it.key


def read_key(public: str) -> bytes:
    """The bytes of a public key. Raises BadSeal."""
    try:
        raw = b64decode(public.strip().removeprefix(SCHEME), validate=True)
    except (NotBase64, ValueError):
        raw = b""
    if len(raw) != 32 or not public.strip().startswith(SCHEME):
        raise BadSeal(
            f"{public[:80]} is no public key. Write what `fieldhub audit DIR key` printed, like {SCHEME}0Vd9…"
        )
    return raw


def _read(file: Path) -> Ed25519PrivateKey:
    if file.stat().st_mode & OTHERS:
        raise BadConfig(f"{file} › others may read it, and could seal in this site's name. chmod 600 {file}")
    try:
        key = load_pem_private_key(file.read_bytes(), None)
        if isinstance(key, Ed25519PrivateKey):
            return key
    except (ValueError, TypeError):  # no key; one with a password
        pass
    raise BadConfig(f"{file} › is no Ed25519 key. Bring it back from a backup; a new one would be another seal")


def _make(file: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        out.flush()
        os.fsync(out.fileno())
    return key
