"""Sign requests with what a connection holds: a key, a token, login and password, or a hash of the request (HMAC)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Protocol

from airflow_datahub.contract import Connection
from airflow_datahub.http.extra import Extra, Kind, wrong
from airflow_datahub.masking import basic


@dataclass(frozen=True, slots=True)
class Asked:
    """What is about to be asked, as the server will see it."""

    method: str
    host: str
    """With the port, where it is not the scheme's own."""
    path: str
    query: str
    """Encoded."""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request carries on top."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)


Post = Callable[[str, Mapping[str, str], Mapping[str, str]], Awaitable[bytes]]
"""Sends a form with headers to an address and returns what it answers."""


class Signer(Protocol):
    """One kind of authentication."""

    @property
    def anonymous(self) -> bool:
        """Whether requests carry nothing that another host must not see."""

    async def sign(self, asked: Asked, post: Post) -> Signed:
        """What this request carries. Raises RunError or TryAgain where it has to be fetched and is not to be had."""

    def renew(self, used: Signed) -> bool:
        """The server did not take `used` (401): forget it; True where another try may carry something else."""


class Fixed:
    """The same for every request."""

    def __init__(self, headers: Mapping[str, str], params: Mapping[str, str]):
        self._signed = Signed(headers, params)
        self.anonymous = not headers and not params

    async def sign(self, asked: Asked, post: Post) -> Signed:
        """Nothing to compute."""
        return self._signed

    def renew(self, used: Signed) -> bool:
        """There is nothing else."""
        return False


SIGN = "{method}\n{path}\n{query}\n{date}\n{body_sha256}"
SIGNATURE = "HMAC-SHA256 {login}:{signature}"
_NAME = re.compile(r"\{(\w+)\}")
_KNOWN = frozenset({"method", "host", "path", "query", "date", "timestamp", "body_sha256", "login"})


class Hmac:
    """HMAC-SHA256 with the password as key, over a text made from the request."""

    anonymous = False

    def __init__(self, key: str, login: str, extra: Extra):
        self._key = key.encode()
        self._login = login
        self._sign = extra.sign or SIGN
        self._value = extra.signature or SIGNATURE
        self._header = extra.header or "Authorization"
        self._date = extra.date_header or "Date"
        self._timestamp = extra.timestamp_header
        self._base64 = extra.encoding == "base64"

    async def sign(self, asked: Asked, post: Post) -> Signed:
        """Dates are those of this moment, so that each try is signed anew."""
        now = time.time()
        values = {
            "method": asked.method, "host": asked.host, "path": asked.path, "query": asked.query,
            "date": formatdate(now, usegmt=True), "timestamp": str(int(now)), "login": self._login,
            "body_sha256": hashlib.sha256(asked.body).hexdigest(),
        }  # fmt: skip
        digest = hmac.new(self._key, fill(self._sign, values).encode(), hashlib.sha256).digest()
        signature = base64.b64encode(digest).decode() if self._base64 else digest.hex()
        headers = {self._date: values["date"], self._header: fill(self._value, {**values, "signature": signature})}
        if self._timestamp:
            headers[self._timestamp] = values["timestamp"]
        return Signed(headers)

    def renew(self, used: Signed) -> bool:
        """The key stays what it is."""
        return False


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values in place of {names}; nothing else in the template means anything."""
    return _NAME.sub(lambda found: values[found[1]], template)


def unknown_names(template: str | None, *more: str) -> list[str]:
    """The names in a template that nothing stands for."""
    return sorted(set(_NAME.findall(template or "")) - _KNOWN - set(more))


# --- what a connection says


FIELDS: Mapping[str, tuple[Kind, ...]] = {
    "header": ("api_key", "hmac"),
    "param": ("api_key",),
    **dict.fromkeys(("sign", "signature", "encoding", "date_header", "timestamp_header"), ("hmac",)),
    **dict.fromkeys(("oauth_url", "refresh_token", "scope", "audience", "client_auth"), ("oauth2",)),
}
"""Which kinds a field of the extra belongs to."""


def kind_of(connection: Connection, extra: Extra) -> Kind:
    """The kind that is given, or that login and password tell. Raises ConfigurationError."""
    kind = extra.auth or _default(connection)
    for name, kinds in FIELDS.items():
        if getattr(extra, name) is not None and kind not in kinds:
            raise wrong(connection, f"extra {name!r} belongs to auth {' or '.join(kinds)}, auth is {kind}")
    return kind


def _default(connection: Connection) -> Kind:
    if connection.login and connection.password:
        return "basic"
    if not connection.login and not connection.password:
        return "none"
    has = "a password and no login" if connection.password else "a login and no password"
    raise wrong(connection, f'has {has}: put "auth": "api_key", "bearer", "basic" or "none" into its extra')


def fixed(connection: Connection, extra: Extra, kind: Kind) -> Fixed:
    """The signer for what never changes."""
    match kind:
        case "none":
            return Fixed({}, {})
        case "basic":
            return Fixed({"authorization": f"Basic {basic(connection.login or '', connection.password or '')}"}, {})
        case "bearer":
            return Fixed({"authorization": f"Bearer {secret_of(connection, kind)}"}, {})
    if extra.header and extra.param:
        raise wrong(connection, "extra has both 'header' and 'param'; the API key goes into one of them")
    key = secret_of(connection, "api_key")
    return Fixed({}, {extra.param: key}) if extra.param else Fixed({extra.header or "X-API-Key": key}, {})


def hashed(connection: Connection, extra: Extra) -> Hmac:
    """The signer that hashes the request."""
    for name, template, more in (("sign", extra.sign, ()), ("signature", extra.signature, ("signature",))):
        if unknown := unknown_names(template, *more):
            raise wrong(connection, f"extra {name!r}: {{{unknown[0]}}} is not known; there are {sorted(_KNOWN)}")
    return Hmac(secret_of(connection, "hmac"), connection.login or "", extra)


def secret_of(connection: Connection, kind: Kind) -> str:
    """The password, which must be one that a header can carry."""
    secret = connection.password
    if not secret:
        raise wrong(connection, f"has no password, which auth {kind} takes as its secret")
    if not (secret.isascii() and secret.isprintable() and secret == secret.strip()):
        raise wrong(connection, "the password holds a line break, a space at an end or a letter beyond ASCII")
    return secret
