"""What an Airflow connection of type http says: where requests go, and what signs them."""

from __future__ import annotations

import base64
import difflib
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, quote, quote_plus, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_datahub.contract import Connection
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.retrying import Policy

Auth = Literal["none", "api_key", "bearer", "basic"]
AUTHS: tuple[Auth, ...] = ("none", "api_key", "bearer", "basic")


class Extra(BaseModel):
    """The `extra` of a connection of type http."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    auth: Auth | None = None
    """How requests are signed; basic where there are a login and a password, else none."""
    header: str | None = None
    """api_key: the header that carries the key (the password); X-API-Key unless `param` is given."""
    param: str | None = None
    """api_key: the query parameter that carries the key, in place of a header."""
    allow_private: bool = False
    """Requests may go to internal addresses."""
    base_path: str = ""
    """Put in front of every path."""
    timeout: float = Field(Policy().total, gt=0, le=3600)
    """Seconds for one try, from connecting to the last byte."""
    retries: int = Field(Policy().retries, ge=0, le=20)
    retry_delay: float = Field(Policy().delay, gt=0, le=60)
    """Seconds before the first retry; doubles with each."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go and what they carry. The secrets are in `headers`, `params` and `secrets` only."""

    connection: str
    base: str
    """Scheme, host, port and base path, without a slash at the end."""
    host: str
    port: int
    allow_private: bool
    policy: Policy
    headers: dict[str, str] = field(repr=False)
    params: dict[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    """Every form in which the secret could turn up in a text, the longest first."""

    def masked(self, text: str) -> str:
        """The text without the connection's secret."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def target_of(connection: Connection) -> Target:
    """Read a connection. Raises ConfigurationError, naming the connection and its field."""
    _check_type(connection)
    extra = _extra(connection)
    url = _address(connection)
    port = _port(connection, url)
    host = str(url.hostname)
    shown = f"[{host}]" if ":" in host else host
    path = "/".join(p for p in (url.path.strip("/"), extra.base_path.strip("/")) if p)
    headers, params = _credentials(connection, extra)
    return Target(
        connection=connection.id,
        base=f"{url.scheme}://{shown}:{port}/{path}".rstrip("/"),
        host=host,
        port=port,
        allow_private=extra.allow_private,
        policy=Policy(total=extra.timeout, retries=extra.retries, delay=extra.retry_delay),
        headers=headers,
        params=params,
        secrets=_forms(connection),
    )


def _wrong(connection: Connection, message: str) -> ConfigurationError:
    return ConfigurationError(f"connection {connection.id!r}: {message}")


def _check_type(connection: Connection) -> None:
    if connection.type not in ("http", "https"):
        raise _wrong(connection, f"is of type {connection.type!r}; an HTTP API needs one of type http")


def _extra(connection: Connection) -> Extra:
    try:
        return Extra.model_validate(dict(connection.extra))
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = ".".join(map(str, first["loc"]))
        given = connection.extra.get(name)
        known: list[str] = list(Extra.model_fields)
        if first["type"] == "extra_forbidden":
            raise _wrong(connection, f"extra has no field {name!r}{_near(name, known)}; it knows {known}") from None
        if name == "auth":
            raise _wrong(connection, f"auth {given!r} is not one of {list(AUTHS)}{_near(given, list(AUTHS))}") from None
        raise _wrong(connection, f"extra {name!r}: {first['msg']}") from None


def _near(word: object, known: list[str]) -> str:
    near = difflib.get_close_matches(str(word), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _address(connection: Connection) -> SplitResult:
    host = (connection.host or "").strip()
    if not host:
        raise _wrong(connection, "has no host; put the address of the API there, as in https://api.example.com")
    if "://" not in host:
        host = f"{connection.schema or connection.type}://{host}"
    url = urlsplit(host)
    if url.scheme not in ("http", "https"):
        raise _wrong(connection, f"the scheme {url.scheme!r} is not http or https")
    if "@" in url.netloc:
        raise _wrong(connection, "the host holds a login; put login and password into their own fields")
    if not url.hostname or url.query or url.fragment:
        raise _wrong(connection, "the host is not an address like https://api.example.com/v1")
    return url


def _port(connection: Connection, url: SplitResult) -> int:
    try:
        given = url.port
    except ValueError:
        raise _wrong(connection, "the port in the host is not a number from 1 to 65535") from None
    return given or connection.port or {"http": 80, "https": 443}[url.scheme]


def _credentials(connection: Connection, extra: Extra) -> tuple[dict[str, str], dict[str, str]]:
    """The headers and the query parameters that sign a request."""
    auth = extra.auth or _default_auth(connection)
    if auth != "api_key" and (extra.header or extra.param):
        raise _wrong(connection, f"extra 'header' and 'param' belong to auth api_key, auth is {auth}")
    match auth:
        case "none":
            return {}, {}
        case "basic":
            return {"authorization": f"Basic {_pair(connection)}"}, {}
        case "bearer":
            return {"authorization": f"Bearer {_secret(connection, auth)}"}, {}
    return _api_key(connection, extra)


def _api_key(connection: Connection, extra: Extra) -> tuple[dict[str, str], dict[str, str]]:
    if extra.header and extra.param:
        raise _wrong(connection, "extra has both 'header' and 'param'; the API key goes into one of them")
    key = _secret(connection, "api_key")
    return ({}, {extra.param: key}) if extra.param else ({extra.header or "X-API-Key": key}, {})


def _default_auth(connection: Connection) -> Auth:
    if connection.login and connection.password:
        return "basic"
    if not connection.login and not connection.password:
        return "none"
    has = "a password and no login" if connection.password else "a login and no password"
    raise _wrong(connection, f'has {has}: put "auth": "api_key", "bearer", "basic" or "none" into its extra')


def _secret(connection: Connection, auth: Auth) -> str:
    """The password, which must be one that a header can carry."""
    secret = connection.password
    if not secret:
        raise _wrong(connection, f"has no password, which auth {auth} takes as its secret")
    if not (secret.isascii() and secret.isprintable() and secret == secret.strip()):
        raise _wrong(connection, "the password holds a line break, a space at an end or a letter beyond ASCII")
    return secret


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _pair(connection: Connection) -> str:
    return _base64(f"{connection.login or ''}:{connection.password or ''}")


def _forms(connection: Connection) -> tuple[str, ...]:
    secret = connection.password
    if not secret:
        return ()
    forms = {secret, quote(secret, safe=""), quote_plus(secret), _base64(secret), _pair(connection)}
    return tuple(sorted(forms, key=len, reverse=True))
