"""The OpenID provider of the site: its description and keys, those who went there, and what it says of who comes back.

authlib and joserfc are loaded with this file, and this file only where hub.toml has [openid]: a start need not wait.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from httpx2 import HTTPError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from msgspec import Struct

from dashboards.oidc import BACK, FLOW_S, Outside
from hub.clock import Clock
from hub.config import OpenIdTable
from hub.secrets import Secret

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]  # of an id token; never "none", never our own secret
MAX_FLOWS = 500  # under way at the same time; the oldest is forgotten
FLOWS_OF_ONE = 20  # of them from one address: a stranger cannot push everybody else out
KEEP_S = 3_600.0  # the provider's description and keys are asked for anew so often
ANSWER_S = 10.0  # the provider must answer within
LEEWAY_S = 60  # its clock may be off by so much


class _Flow(Struct, frozen=True):
    """Somebody who has been sent to the provider."""

    nonce: str
    verifier: str
    address: str
    began_s: float


class Provider:
    """The OpenID provider of the site."""

    def __init__(self, it: OpenIdTable, secret: Secret | None, folder: Path, clock: Clock) -> None:
        self.title = it.title
        self._it = it
        self._secret = secret
        self._clock = clock
        self._trust: ssl.SSLContext | bool = ssl.create_default_context(cafile=folder / it.ca) if it.ca else True
        self._flows: dict[str, _Flow] = {}
        self._facts: Mapping[str, Any] = {}
        self._keys: KeySet | None = None
        self._asked_s = 0.0

    # ---- there ------------------------------------------------------------------------------------------------------

    async def begin(self, address: str) -> tuple[str, str]:
        """Where to send the browser, and the state that it must bring back. Raises Outside."""
        facts = await self._described()
        nonce, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        async with self._client() as client:
            url, state = client.create_authorization_url(
                _text(facts, "authorization_endpoint"), nonce=nonce, code_verifier=verifier
            )
        now = self._clock.monotonic()
        self._flows = {key: it for key, it in self._flows.items() if now - it.began_s < FLOW_S}
        mine = [key for key, it in self._flows.items() if it.address == address]
        for old in mine[: max(0, len(mine) - FLOWS_OF_ONE + 1)]:
            del self._flows[old]
        if len(self._flows) >= MAX_FLOWS:
            del self._flows[next(iter(self._flows))]
        self._flows[state] = _Flow(nonce, verifier, address, now)
        return str(url), str(state)

    # ---- and back ---------------------------------------------------------------------------------------------------

    async def subject(self, state: str, code: str) -> str:
        """Who has come back. A state is good once. Raises Outside."""
        flow = self._flows.pop(state, None)
        if flow is None or self._clock.monotonic() - flow.began_s >= FLOW_S:
            raise Outside("late", "the state is not known, was used, or is too old")
        facts = await self._described()
        try:
            async with self._client() as client:
                told = await client.fetch_token(
                    _text(facts, "token_endpoint"),
                    code=code,
                    code_verifier=flow.verifier,
                    grant_type="authorization_code",
                )
        except (OAuthError, HTTPError, ValueError) as error:
            raise Outside("failed", f"the provider gave no token: {error}") from None
        claims = await self._checked(str(told.get("id_token", "")), flow.nonce)
        who = claims.get(self._it.claim)
        if not isinstance(who, str) or not who:
            raise Outside("unknown", f"the id token has no {self._it.claim}")
        return who

    async def _checked(self, token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of an id token of this provider, for us, now, and of this flow (OpenID Connect Core 3.1.3.7)."""
        try:
            read = jwt.decode(token, await self._verified_by(), algorithms=ALGORITHMS)
        except (JoseError, ValueError):  # its keys may have changed since
            try:
                read = jwt.decode(token, await self._verified_by(anew=True), algorithms=ALGORITHMS)
            except (JoseError, ValueError) as error:
                raise Outside("failed", f"the id token is not signed by the provider: {error}") from None
        options: Any = {"iss": {"essential": True, "value": self._it.issuer}, "aud": {"value": self._it.client_id}}
        claims = CodeIDToken(read.claims, read.header, options, {"nonce": nonce, "client_id": self._it.client_id})
        try:
            claims.validate(now=int(self._clock.now().timestamp()), leeway=LEEWAY_S)
        except JoseError as error:
            raise Outside("failed", f"the id token is not for us, or not for now: {error}") from None
        return dict(claims)

    # ---- what the provider says of itself ---------------------------------------------------------------------------

    async def _described(self) -> Mapping[str, Any]:
        if not self._facts or self._clock.monotonic() - self._asked_s > KEEP_S:
            facts = await self._get(self._it.issuer.rstrip("/") + "/.well-known/openid-configuration")
            if facts.get("issuer") != self._it.issuer:
                raise Outside(
                    "failed", f"the provider calls itself {facts.get('issuer')!r}, hub.toml {self._it.issuer!r}"
                )
            self._facts, self._keys, self._asked_s = facts, None, self._clock.monotonic()
        return self._facts

    async def _verified_by(self, anew: bool = False) -> KeySet:
        if self._keys is None or anew:
            try:
                found: Any = await self._get(_text(await self._described(), "jwks_uri"))
                self._keys = KeySet.import_key_set(found)
            except (JoseError, ValueError, KeyError) as error:
                raise Outside("failed", f"the provider's keys cannot be read: {error}") from None
        return self._keys

    async def _get(self, url: str) -> Mapping[str, Any]:
        try:
            async with self._client() as client:
                answer = await client.request("GET", url, withhold_token=True)
                answer.raise_for_status()
                told = answer.json()
        except (HTTPError, OAuthError, ValueError) as error:
            raise Outside("failed", f"{url} cannot be read: {error}") from None
        if not isinstance(told, dict):
            raise Outside("failed", f"{url} is not an object")
        return told

    def _client(self) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self._it.client_id,
            self._secret.reveal() if self._secret else None,
            redirect_uri=self._it.address.rstrip("/") + BACK,
            scope="openid profile",
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
            timeout=ANSWER_S,
            verify=self._trust,
        )


def _text(facts: Mapping[str, Any], key: str) -> str:
    found = facts.get(key)
    if not isinstance(found, str):
        raise Outside("failed", f"the provider names no {key}")
    return found
