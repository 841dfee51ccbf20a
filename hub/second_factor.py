"""The second factor: six digits that change every 30 s (TOTP, RFC 6238), and codes for when the phone is lost.

Pure: the secret, the time and randomness come in.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

import pyotp
import segno

STEP_S = 30
SLACK_STEPS = 1  # a phone's clock may be off by so many steps (RFC 6238 § 5.2)
RECOVERY_CODES = 10
RECOVERY_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that look alike
RECOVERY_LENGTH = 12  # 59 bits: a hash of it needs no salt


def new_secret() -> str:
    """160 bits in base 32, as authenticator apps take it (RFC 4226 § 4)."""
    return pyotp.random_base32()


def address(secret: str, person: str, house: str) -> str:
    """otpauth://totp/…: what the QR code holds."""
    return pyotp.TOTP(secret).provisioning_uri(name=person, issuer_name=house)


def picture(address: str) -> str:
    """The QR code as SVG, without styles or scripts."""
    out = io.BytesIO()
    segno.make(address, error="m").save(out, kind="svg", scale=5, border=2, xmldecl=False, svgns=True, nl=False)
    return out.getvalue().decode()


def step_of(secret: str, code: str, now: datetime, after: int) -> int | None:
    """The step whose code this is, when it is near `now` and later than `after`; None: the code is wrong or used."""
    digits = code.replace(" ", "")
    if len(digits) != 6 or not (digits.isascii() and digits.isdigit()):
        return None
    here = int(now.timestamp()) // STEP_S
    totp = pyotp.TOTP(secret)
    for step in range(here - SLACK_STEPS, here + SLACK_STEPS + 1):
        if step > after and pyotp.utils.strings_equal(totp.at(step * STEP_S), digits):
            return step
    return None


def recovery_codes(choose: Callable[[str], str]) -> list[str]:
    """Ten codes like "k7mw-29xq-hd3t"; `choose` picks a letter (secrets.choice)."""
    letters = ["".join(choose(RECOVERY_LETTERS) for _ in range(RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)]
    return [f"{it[:4]}-{it[4:8]}-{it[8:]}" for it in letters]


def recovery_hash(code: str) -> str:
    """What is kept of a code; spaces, dashes and case do not matter."""
    plain = "".join(letter for letter in code.lower() if letter.isalnum())
    return sha256(b"recovery " + plain.encode()).hexdigest()
