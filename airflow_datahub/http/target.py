"""What a connection of type http or http-api says: where requests go, what signs them, and what limits them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from airflow_datahub.contract import Connection
from airflow_datahub.http.auth import Signer, fixed, hashed, kind_of
from airflow_datahub.http.breaker import Fuse
from airflow_datahub.http.extra import Extra, Kind, extra_of, wrong
from airflow_datahub.http.limits import Limits
from airflow_datahub.http.oauth import tokens_of
from airflow_datahub.http.rate import Allowance
from airflow_datahub.http.retrying import Policy
from airflow_datahub.masking import Mask

TYPES = ("http", "https", "http-api")
SHORTEST = 8
"""Characters of a secret: Airflow's logs do not mask a very short one, and masking a short one garbles other words."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go and what they carry. The secrets are in `signer` and `masked` only."""

    connection: str
    base: str
    """Scheme, host, port and base path, without a slash at the end."""
    host: str
    port: int
    trusted: frozenset[str]
    """Hosts that may have internal addresses."""
    verify: bool
    ca_file: str | None
    policy: Policy
    limits: Limits
    fuse: Fuse
    allowed: Allowance
    params: frozenset[str]
    """Query parameters that carry a credential."""
    signer: Signer = field(repr=False)
    masked: Mask = field(repr=False)
    """Takes every secret out of a text."""


def target_of(connection: Connection, also: Callable[[str], None] | None = None) -> Target:
    """Read a connection; `also` is told its secrets, and tokens once they are there.

    Raises ConfigurationError, naming the connection and its field."""
    _check_type(connection)
    extra = extra_of(connection)
    url = _address(connection)
    port = _port(connection, url)
    host = str(url.hostname)
    shown = f"[{host}]" if ":" in host else host
    path = "/".join(p for p in (url.path.strip("/"), extra.base_path.strip("/")) if p)
    masked = Mask(connection.secrets, also)
    signer = _signer(connection, extra, masked)
    _check_length(connection)
    return Target(
        connection=connection.id, base=f"{url.scheme}://{shown}:{port}/{path}".rstrip("/"), host=host, port=port,
        trusted=_trusted(host, extra), verify=extra.verify, ca_file=extra.ca_file,
        policy=extra.policy, limits=extra.limits, fuse=extra.fuse, allowed=extra.allowed,
        params=frozenset([extra.param] if extra.param else []),
        signer=signer, masked=masked,
    )  # fmt: skip


def _signer(connection: Connection, extra: Extra, masked: Mask) -> Signer:
    kind: Kind = kind_of(connection, extra)
    if kind == "oauth2":
        _check_oauth_url(connection, extra.oauth_url or "")
        return tokens_of(connection, extra, masked)
    return hashed(connection, extra) if kind == "hmac" else fixed(connection, extra, kind)


def _check_oauth_url(connection: Connection, url: str) -> None:
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc):
        raise wrong(
            connection, f"extra 'oauth_url': {url[:80]!r} is not an address like https://login.example.com/token"
        )


def _trusted(host: str, extra: Extra) -> frozenset[str]:
    if not extra.allow_private:
        return frozenset()
    return frozenset(filter(None, (host, urlsplit(extra.oauth_url or "").hostname)))


def _secrets(connection: Connection) -> dict[str, str]:
    given = {"password": connection.password, "refresh_token": connection.extra.get("refresh_token")}
    return {name: str(secret) for name, secret in given.items() if secret}


def _check_length(connection: Connection) -> None:
    for name, secret in _secrets(connection).items():
        if len(secret) < SHORTEST:
            raise wrong(
                connection,
                f"the {name} has fewer than {SHORTEST} characters: logs could not mask it without garbling others, "
                "and it is easily guessed; have the API give a longer one",
            )


def _check_type(connection: Connection) -> None:
    if _type(connection) not in TYPES:
        raise wrong(connection, f"is of type {connection.type!r}; an HTTP API needs one of type http or http-api")


def _type(connection: Connection) -> str:
    return connection.type.lower().replace("_", "-")


def _address(connection: Connection) -> SplitResult:
    host = (connection.host or "").strip()
    if not host:
        raise wrong(connection, "has no host; put the address of the API there, as in https://api.example.com")
    if "://" not in host:
        host = f"{_scheme(connection)}://{host}"
    url = urlsplit(host)
    if url.scheme not in ("http", "https"):
        raise wrong(connection, f"the scheme {url.scheme!r} is not http or https")
    if "@" in url.netloc:
        raise wrong(connection, "the host holds a login; put login and password into their own fields")
    if not url.hostname or url.query or url.fragment:
        raise wrong(connection, "the host is not an address like https://api.example.com/v1")
    return url


def _scheme(connection: Connection) -> str:
    kind = _type(connection)
    scheme = connection.schema or ("https" if kind == "http-api" else kind)
    if scheme.lower() in ("http", "https"):
        return scheme
    raise wrong(
        connection,
        f"its schema is {scheme[:80]!r}, not http or https; to Airflow the path of a connection's URI is its schema: "
        'write JSON, with the whole address as host: {"conn_type": "http", "host": "https://api.example.com/v1"}',
    )


def _port(connection: Connection, url: SplitResult) -> int:
    try:
        given = url.port
    except ValueError:
        raise wrong(connection, "the port in the host is not a number from 1 to 65535") from None
    return given or connection.port or {"http": 80, "https": 443}[url.scheme]
