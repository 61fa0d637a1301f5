"""The `extra` of a connection of type http or http-api."""

from __future__ import annotations

import difflib
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_datahub.contract import Connection
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.breaker import Fuse
from airflow_datahub.http.limits import Limits
from airflow_datahub.http.rate import Allowance
from airflow_datahub.http.retrying import Policy

Kind = Literal["none", "api_key", "bearer", "basic", "hmac", "oauth2"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Extra(BaseModel):
    """A field that is not known, or belongs to another kind of `auth` than the one given, is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    auth: Kind | None = None
    """How requests are signed; basic where there are a login and a password, else none."""
    header: str | None = None
    """api_key: the header that carries the key (the password), X-API-Key unless `param` is given; hmac: the header that
    carries the signature, Authorization by default."""
    param: str | None = None
    """api_key: the query parameter that carries the key, in place of a header."""

    sign: str | None = None
    """hmac: the text that is signed, with {method}, {host}, {path}, {query}, {date}, {timestamp}, {body_sha256} and
    {login} filled in; by default method, path, query, date and body_sha256, a line each."""
    signature: str | None = None
    """hmac: the value of the header, with {signature} and the same names filled in; `HMAC-SHA256 {login}:{signature}`
    by default."""
    encoding: Literal["hex", "base64"] | None = None
    """hmac: how the signature is written; hex by default."""
    date_header: str | None = None
    """hmac: the header that carries what {date} is in the signed text; Date by default."""
    timestamp_header: str | None = None
    """hmac: a header that carries what {timestamp} is in the signed text."""

    oauth_url: str | None = None
    """oauth2: where tokens are fetched; login and password are the client's id and secret."""
    refresh_token: str | None = Field(None, repr=False)
    """oauth2: fetch tokens with this refresh token, in place of the client's credentials alone."""
    scope: str | None = None
    """oauth2: the scope to ask for."""
    audience: str | None = None
    """oauth2: the audience to ask for."""
    client_auth: Literal["basic", "body"] | None = None
    """oauth2: how the client's id and secret go to the token address; basic by default."""

    allow_private: bool = False
    """Requests may go to internal addresses, as far as they go to the host of the connection or of `oauth_url`."""
    verify: bool = True
    """false: any TLS certificate is taken; every run warns of it."""
    ca_file: str | None = None
    """File of certificates (PEM) that are trusted in place of the system's."""
    base_path: str = ""
    """Put in front of every path."""
    test_path: str = ""
    """Path that the test button of Airflow's form asks, as in /me: one that answers 200 only to good credentials."""

    timeout: float = Field(Policy().total, gt=0, le=3600)
    """Seconds for one try, from connecting to the last byte."""
    connect_timeout: float = Field(Policy().connect, gt=0, le=300)
    """Seconds for looking up the host, and for connecting with TLS."""
    min_rate: float = Field(Policy().min_rate, ge=0)
    """Bytes a second that a body has to come at, measured over 5 s; 0: at any."""
    retries: int = Field(Policy().retries, ge=0, le=20)
    """How often a request that failed is made again."""
    retry_delay: float = Field(Policy().delay, gt=0, le=60)
    """Seconds before the first retry; doubles with each, to `max_retry_delay`, and is drawn between 0 and that."""
    max_retry_delay: float = Field(Policy().longest_delay, gt=0, le=300)
    """Seconds that a delay grows to at most."""
    max_wait: float = Field(Policy().obeyed, ge=0, le=3600)
    """Seconds that a server may ask us to wait in place; the task comes back later where it asks for more."""
    max_total_wait: float = Field(Policy().patience, ge=0, le=86_400)
    """Seconds that all such waits of one request may come to; beyond them the task comes back later."""

    rate_limit: float | None = Field(None, gt=0, le=100_000)
    """Requests a second at most, of all that ask by this connection in a process; whatever a spec or the API allows."""
    burst: int | None = Field(None, gt=0, le=1000)
    """Requests that may go out at once after a rest, where `rate_limit` is given; 1 by default."""
    concurrency: int | None = Field(None, gt=0, le=100)
    """Requests of one step under way at once, at most; the spec's own `throughput` may ask for fewer."""

    max_body: int = Field(Limits().body, gt=0)
    """Bytes of a body, unpacked."""
    max_unannounced: int = Field(Limits().unannounced, gt=0)
    """Bytes of a body, unpacked, that is packed or whose length is not announced by Content-Length."""
    max_ratio: int = Field(Limits().ratio, gt=1)
    """How many times its packed size a body may have above 8 MiB."""
    max_headers: int = Field(Limits().headers, gt=0, le=1024 * 1024)
    """Bytes of all headers of an answer."""
    max_redirects: int = Field(Limits().redirects, ge=0, le=20)
    """Redirects that one request follows."""
    max_depth: int = Field(Limits().depth, gt=0, le=500)
    """Levels of lists and objects in a record; one with more is a reject."""
    max_record: int = Field(Limits().record, gt=0)
    """Bytes of one record in JSON; one with more is a reject."""

    breaker_failures: int = Field(Fuse().failures, gt=0)
    """Requests in a row that fail before the circuit opens: none is made for a while, the task comes back later."""
    breaker_seconds: float = Field(Fuse().seconds, gt=0, le=3600)
    """How long the circuit stays open."""
    breaker_trials: int = Field(Fuse().trials, gt=0)
    """Requests under way at once once that time is over."""
    breaker_successes: int = Field(Fuse().successes, gt=0)
    """Of those, how many in a row must succeed before the circuit closes."""

    @property
    def policy(self) -> Policy:
        """Times and retries."""
        return Policy(
            connect=self.connect_timeout, total=self.timeout, retries=self.retries, delay=self.retry_delay,
            longest_delay=self.max_retry_delay, min_rate=self.min_rate, obeyed=self.max_wait,
            patience=self.max_total_wait,
        )  # fmt: skip

    @property
    def limits(self) -> Limits:
        """Sizes."""
        return Limits(
            self.max_body, self.max_unannounced, self.max_ratio, self.max_headers, self.max_redirects,
            self.max_depth, self.max_record,
        )  # fmt: skip

    @property
    def allowed(self) -> Allowance:
        """How much may be asked."""
        return Allowance(self.rate_limit, self.burst or 1, self.concurrency)

    @property
    def fuse(self) -> Fuse:
        """The breaker."""
        return Fuse(self.breaker_failures, self.breaker_seconds, self.breaker_trials, self.breaker_successes)


def extra_of(connection: Connection) -> Extra:
    """Read the extra. Raises ConfigurationError, naming the connection and the field."""
    extra = _validated(connection)
    if extra.burst and not extra.rate_limit:
        raise wrong(connection, "extra 'burst' acts only together with 'rate_limit'")
    return extra


def _validated(connection: Connection) -> Extra:
    try:
        return Extra.model_validate({name: value for name, value in connection.extra.items() if _given(name, value)})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = ".".join(map(str, first["loc"]))
        given = connection.extra.get(name)
        known: list[str] = list(Extra.model_fields)
        if first["type"] == "extra_forbidden":
            near = _near(name, known) or f"; it knows {known}"
            raise wrong(connection, f"extra has no field {name!r}{near}") from None
        if name == "auth":
            raise wrong(connection, f"auth {given!r} is not one of {list(KINDS)}{_near(given, list(KINDS))}") from None
        raise wrong(connection, f"extra {name!r}: {first['msg']}") from None


def wrong(connection: Connection, message: str) -> ConfigurationError:
    """The error for a connection that cannot be used."""
    return ConfigurationError(f"connection {connection.id!r}: {message}")


def _given(name: str, value: object) -> bool:
    """Airflow's form stores null or an empty text for each field that nobody has touched."""
    return name not in Extra.model_fields or value not in (None, "")


def _near(word: object, known: list[str]) -> str:
    near = difflib.get_close_matches(str(word), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
