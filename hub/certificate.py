"""Certificates for HTTPS: a private authority of the site, server certificates signed by it, and whether one is fit.

An authority is made once and kept; desks trust it, so that a renewed server certificate asks nobody to click anything
away. Keys are EC P-256, readable by their owner only. Times and randomness of the machine; `now` is an argument.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3_650
SERVER_DAYS = 397  # browsers take no server certificate that lives longer
BACKDATE = timedelta(hours=1)  # desks' clocks are behind now and then
READ_BY_OTHERS = 0o007

Key = ec.EllipticCurvePrivateKey


class NotFit(ValueError):
    """`mistakes` say what is wrong and what to do."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


def make(folder: Path, names: Sequence[str], days: int, now: datetime) -> tuple[Path, Path, Path]:
    """(certificate, its key, the authority's certificate) in `folder`; the authority is made when there is none.

    `names`: host names and addresses of this hub. Raises NotFit and OSError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority, authority_key = _authority(folder, now)
    key = ec.generate_private_key(ec.SECP256R1())
    chosen = [_name(it) for it in names]
    builder = (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]), authority.subject, key, now, days)
        .add_extension(x509.SubjectAlternativeName(chosen), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    certificate = builder.sign(authority_key, hashes.SHA256())
    files = folder / "cert.pem", folder / "key.pem", folder / "ca.pem"
    # The key first: a certificate whose key is not there would stop the next start.
    _write(files[1], _pem_of(key), 0o600)
    _write(files[0], _pem(certificate) + _pem(authority), 0o644)
    return files


def check(certificate: Path, key: Path, now: datetime) -> list[str]:
    """What is wrong with a certificate and its key, with what to do; nothing when they are fit."""
    try:
        mode = key.stat().st_mode
        read = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except OSError as error:
        return [f"{error.filename} cannot be read: {error.strerror}. Make one with: fieldhub cert DIR --name …"]
    except (ValueError, TypeError, IndexError) as error:
        return [f"{certificate} and {key} are not a certificate and its key in PEM, without a password: {error}"]
    mistakes = []
    if mode & READ_BY_OTHERS:
        mistakes.append(f"{key} can be read by others (mode {mode & 0o777:04o}). Run: chmod 600 {key}")
    if private.public_key() != read.public_key():
        mistakes.append(f"{key} is not the key of {certificate}. Bring the right one, or make both anew")
    if read.not_valid_after_utc <= now:
        mistakes.append(f"{certificate} ended at {read.not_valid_after_utc:%Y-%m-%d}. Run: fieldhub cert DIR --renew")
    if read.not_valid_before_utc > now:
        mistakes.append(f"{certificate} begins at {read.not_valid_before_utc:%Y-%m-%d}. Is this machine's clock right?")
    return mistakes


def ends(certificate: Path) -> datetime:
    """When it ends. Raises OSError, ValueError."""
    return x509.load_pem_x509_certificates(certificate.read_bytes())[0].not_valid_after_utc


def names_of(certificate: Path) -> list[str]:
    """The host names and addresses it is for. Raises OSError, ValueError."""
    read = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(it.value) for it in names]


def _authority(folder: Path, now: datetime) -> tuple[x509.Certificate, Key]:
    file, key_file = folder / "ca.pem", folder / "ca-key.pem"
    if file.exists() and key_file.exists():
        if mistakes := check(file, key_file, now):
            raise NotFit(*mistakes)
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise NotFit(f"{key_file} is not a key on an elliptic curve. Take both ca files away to make new ones")
        return x509.load_pem_x509_certificate(file.read_bytes()), key
    if file.exists() or key_file.exists():
        raise NotFit(f"{folder} has one of ca.pem and ca-key.pem. Bring back the other, or take both away")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"FieldHub authority {now:%Y-%m-%d}")])
    certificate = (
        _builder(name, name, key, now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(key_file, _pem_of(key), 0o600)
    _write(file, _pem(certificate), 0o644)
    return certificate, key


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, now: datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.GeneralName:
    """Raises NotFit."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    labels = text.split(".")
    if not all(it and it.isascii() and it.replace("-", "").isalnum() for it in labels) or len(text) > 253:
        raise NotFit(f'"{text}" is no host name and no address. Write one like hub.county.example or 10.0.4.2')
    return x509.DNSName(text)


def _pem(it: x509.Certificate) -> bytes:
    return it.public_bytes(serialization.Encoding.PEM)


def _pem_of(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(file: Path, content: bytes, mode: int) -> None:
    """Whole or not at all: somebody may read it now."""
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
