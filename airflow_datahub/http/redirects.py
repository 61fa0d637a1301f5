"""Addresses as text, and where a redirect may lead: nowhere that would see what it must not (S3, S4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from urllib.parse import quote, unquote_plus

from yarl import URL

from airflow_datahub.errors import ConfigurationError

FOLLOWED = frozenset({301, 302, 303, 307, 308})


def parsed(text: str) -> URL:
    """An address as it came, where it is clean, so that what its server has signed stays as it is. Raises
    ConfigurationError."""
    try:
        url = URL(text, encoded=text.isascii() and text.isprintable() and " " not in text)
        url.port  # noqa: B018 - which finds out whether it is one
    except (ValueError, UnicodeError) as error:
        raise ConfigurationError(f"{text[:200]!r} is not an address: {error}") from None
    return url


def is_web(url: URL) -> bool:
    """Whether it names a host of http or https, and no login that would be sent there."""
    return url.scheme in ("http", "https") and bool(url.host) and url.raw_user is None and url.raw_password is None


def place(url: URL) -> tuple[str, str | None, int | None]:
    """Scheme, host and port, to which credentials are bound. (A URL's own origin keeps capitals, and tells a default
    port that is written from one that is not.)"""
    return url.scheme, url.host, url.port


def with_query(url: URL, pairs: Sequence[tuple[str, str]]) -> URL:
    """The address with parameters set; those of other names stay as they came."""
    names = {name for name, _ in pairs}
    parts = filter(None, url.raw_query_string.split("&"))
    kept = [part for part in parts if unquote_plus(part.partition("=")[0]) not in names]
    query = "&".join([*kept, *(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)])
    return URL(f"{str(url).partition('#')[0].partition('?')[0]}?{query}", encoded=True)


class Trail:
    """The addresses that one request has led to. `anonymous`: it carries nothing that another host must not see.
    `masked` takes secrets out of an error text."""

    def __init__(self, start: URL, most: int, anonymous: bool, masked: Callable[[str], str] = str):
        self._been = [start]
        self._most = most
        self._anonymous = anonymous
        self._masked = masked

    def follow(self, status: int, location: str) -> URL:
        """The next address. Raises ConfigurationError where it may not be followed."""
        here = self._been[-1]
        try:
            there = here.join(parsed(location)).with_fragment(None) if location else None
        except (ValueError, ConfigurationError):
            there = None
        if there is None:
            raise self._refused(status, location, "which is not an address")
        if reason := self._objection(here, there):
            raise self._refused(status, str(there), reason)
        self._been.append(there)
        return there

    def _objection(self, here: URL, there: URL) -> str | None:
        if not is_web(there):
            return "which is not an address of http or https without a login"
        if here.scheme == "https" and there.scheme == "http":
            return "which is not encrypted, while the address before is"
        if place(there) != place(self._been[0]) and not self._anonymous:
            return "another scheme, host or port; the credentials of a connection stay with its own"
        if there in self._been:
            return "where it was before: the redirects lead in a circle"
        if not self._most:
            return "and redirects are not followed here (max_redirects is 0)"
        if len(self._been) > self._most:
            return f"the redirect after {self._most}, which are allowed ('max_redirects')"
        return None

    def _refused(self, status: int, location: str, reason: str) -> ConfigurationError:
        shown = self._masked(location[:4096])[:200]
        return ConfigurationError(
            f"HTTP {status} {HTTPStatus(status).phrase}: it redirects to {shown!r}, {reason}; "
            "put the right address into the connection or `path`"
        )
