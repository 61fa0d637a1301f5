"""OAuth 2 tokens: fetched with the client's credentials or a refresh token, kept in the process until they expire."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

import msgspec

from airflow_datahub.contract import Connection
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.auth import Asked, Post, Signed, secret_of
from airflow_datahub.http.extra import Extra, wrong
from airflow_datahub.http.retrying import TryAgain
from airflow_datahub.masking import Mask, basic

LIFETIME = 300.0
"""Seconds that a token is believed to live whose answer does not say."""

MARGIN = 30.0
"""Seconds before its end from which on a token is not used any more, at most a tenth of its life."""


class Tokens:
    """A signer that fetches its token when it needs one (RFC 6749, 4.4 and 6)."""

    anonymous = False

    def __init__(self, url: str, form: Mapping[str, str], headers: Mapping[str, str], mask: Mask):
        self._url = url
        self._form = dict(form)
        self._headers = headers
        self._mask = mask
        self._signed: Signed | None = None
        self._until = 0.0

    async def sign(self, asked: Asked, post: Post, clock: Callable[[], float] = time.monotonic) -> Signed:
        """The token that there is, or a new one."""
        if self._signed is None or clock() >= self._until:
            began = clock()
            answer = _read(await post(self._url, self._form, self._headers), self._url)
            life = _life(answer)
            self._until = began + life - min(MARGIN, life / 10)
            self._signed = self._take(answer)
        return self._signed

    def _take(self, answer: Mapping[str, Any]) -> Signed:
        token, following = str(answer["access_token"]), answer.get("refresh_token")
        self._mask.add(token)
        if "refresh_token" in self._form and isinstance(following, str) and following:
            self._mask.add(following)
            self._form["refresh_token"] = following  # the old one may be void from now on
        return Signed({"authorization": f"Bearer {token}"})

    def renew(self, used: Signed) -> bool:
        """Fetch another one, unless that has happened since."""
        if self._signed is used:
            self._signed = None
        return True


def _life(answer: Mapping[str, Any]) -> float:
    """Seconds; some servers give them as text."""
    try:
        return min(max(float(answer.get("expires_in") or LIFETIME), 1.0), 86_400.0)
    except (TypeError, ValueError):
        return LIFETIME


def _read(body: bytes, url: str) -> Mapping[str, Any]:
    try:
        answer = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise TryAgain(f"the answer of {url} is not JSON") from None
    if not isinstance(answer, dict) or not _is_token(answer.get("access_token")):
        raise ConfigurationError(f"the answer of {url} has no 'access_token'")
    return answer


def _is_token(value: object) -> bool:
    """Text that a header can carry."""
    return isinstance(value, str) and value != "" and value.isascii() and value.isprintable() and " " not in value


def tokens_of(connection: Connection, extra: Extra, mask: Mask) -> Tokens:
    """Read a connection. Raises ConfigurationError."""
    if not extra.oauth_url:
        raise wrong(connection, "auth oauth2 needs 'oauth_url' in its extra: the address that gives tokens")
    if not connection.login:
        raise wrong(connection, "has no login, which auth oauth2 takes as the client's id")
    mask.add(extra.refresh_token)
    form = {"grant_type": "client_credentials"}
    if extra.refresh_token:
        form = {"grant_type": "refresh_token", "refresh_token": extra.refresh_token}
    form |= {name: text for name in ("scope", "audience") if (text := getattr(extra, name))}
    if not extra.refresh_token or connection.password:
        return _confidential(connection, extra, form, mask)
    return Tokens(extra.oauth_url, form | {"client_id": connection.login}, {}, mask)


def _confidential(connection: Connection, extra: Extra, form: dict[str, str], mask: Mask) -> Tokens:
    """A client that has a secret."""
    secret, login = secret_of(connection, "oauth2"), str(connection.login)
    if extra.client_auth == "body":
        return Tokens(str(extra.oauth_url), form | {"client_id": login, "client_secret": secret}, {}, mask)
    packed = basic(quote_plus(login), quote_plus(secret))  # RFC 6749, 2.3.1: both are form-encoded first
    mask.add(packed)
    return Tokens(str(extra.oauth_url), form, {"authorization": f"Basic {packed}"}, mask)
