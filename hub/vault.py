"""Secrets that must be read again are kept sealed: who has the ledger's file alone has none of them.

The key lies in the site's data/keys/vault.key, made at the first start, readable by its owner only. Whoever loses it
loses what was sealed: people then set up their second factors anew.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from hub.contract import BadConfig

READ_BY_OTHERS = 0o077


class Vault:
    """Seals and opens short texts (AES-128-CBC with HMAC-SHA256: Fernet)."""

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)

    @classmethod
    def open(cls, file: Path) -> Vault:
        """With the key in `file`, which is made when there is none. Raises BadConfig: file › what › remedy."""
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
                made.write(Fernet.generate_key())
        except FileExistsError:
            pass
        except OSError as error:
            raise BadConfig(f"{file} › cannot be made: {error.strerror}. Check the folder's rights") from None
        try:
            mode, key = file.stat().st_mode, file.read_bytes().strip()
        except OSError as error:
            raise BadConfig(f"{file} › cannot be read: {error.strerror}. Check who owns it") from None
        if mode & READ_BY_OTHERS:
            raise BadConfig(f"{file} › can be read by others (mode {mode & 0o777:04o}). Run: chmod 600 {file}")
        try:
            return cls(key)
        except ValueError:
            raise BadConfig(
                f"{file} › is not a key. Bring it back from the backup, or take it away: people then set up their "
                "second factors anew"
            ) from None

    def seal(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode()

    def unseal(self, sealed: str) -> str | None:
        """None when it was sealed with another key, or changed."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            return None
