"""The Redis that processes share, from an Airflow connection of type redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_datahub.contract import Connection
from airflow_datahub.errors import ConfigurationError

if TYPE_CHECKING:
    from redis import Redis

CONNECT = 1.0
"""Seconds for connecting."""
CALL = 0.5
"""Seconds for one answer."""


class Extra(BaseModel):
    """The fields of a connection's extra that Airflow's own Redis provider knows; others are let be, as it does."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    db: int | None = Field(None, ge=0)
    cluster: bool = False
    ssl: bool = False
    ssl_cert_reqs: Literal["none", "optional", "required"] = "required"
    ssl_ca_certs: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_check_hostname: bool = True


def client_of(connection: Connection) -> Redis:
    """A client of the server that a connection of type redis names; it connects once it is used.

    Raises ConfigurationError where the library is missing or the connection cannot be used."""
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError as Lost
        from redis.retry import Retry
    except ImportError:
        raise _wrong(
            connection, "the library for Redis is missing: install it with `pip install 'airflow-datahub[redis]'`"
        ) from None
    extra, number = _extra(connection), _database(connection)
    number = number if extra.db is None else extra.db
    tls = extra.model_dump(include={name for name in Extra.model_fields if name.startswith("ssl_")})
    return Redis(
        host=connection.host or "localhost", port=connection.port or 6379, db=number,
        username=connection.login or None, password=_password(connection),
        socket_connect_timeout=CONNECT, socket_timeout=CALL,
        # once more, for a connection that the server closed while nothing was asked
        retry=Retry(NoBackoff(), 1, supported_errors=(Lost,)), decode_responses=True, protocol=2, ssl=extra.ssl,
        **(tls if extra.ssl else {}),
    )  # fmt: skip


def _extra(connection: Connection) -> Extra:
    if connection.type != "redis":
        hint = '; put "ssl": true into its extra' if connection.type == "rediss" else ""
        raise _wrong(connection, f"is of type {connection.type!r}; it must be redis{hint}")
    try:
        extra = Extra.model_validate(dict(connection.extra))
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise _wrong(connection, f"extra {'.'.join(map(str, first['loc']))!r}: {first['msg']}") from None
    if extra.cluster:
        raise _wrong(connection, "extra 'cluster': a cluster cannot keep what is shared here, one server can")
    return extra


def _database(connection: Connection) -> int:
    text = connection.schema or "0"
    if text.isascii() and text.isdigit():
        return int(text)
    raise _wrong(connection, f"its schema is {text[:80]!r}, not the number of a database")


def _password(connection: Connection) -> str | None:
    """As Airflow's provider reads it: its form cannot leave the password out."""
    text = connection.password or ""
    return None if text.lower() in ("none", "false", "") else text


def _wrong(connection: Connection, message: str) -> ConfigurationError:
    return ConfigurationError(f"connection {connection.id!r}: {message}")
