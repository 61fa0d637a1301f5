"""Paging by links: each answer names the address of the next one, in its `Link` header or in its body."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import unquote_plus, urljoin, urlsplit, urlunsplit

from airflow_datahub.contract import Cursor
from airflow_datahub.errors import ConfigurationError, StopRun
from airflow_datahub.http.paging.loops import Seen, Watch
from airflow_datahub.http.paging.walking import Fetched, Site, Sized, Step, Walk, not_a_position
from airflow_datahub.masking import MASKED
from airflow_datahub.paths import FieldPath

LONGEST_ADDRESS = 16_384


class _Linked(Sized):
    perishable: ClassVar[bool] = True

    def walk(self, start: Cursor | None, site: Site) -> Walk:
        if start is not None:
            _check_stored(start, site)
        return _LinkedWalk(self, start, site)

    @abstractmethod
    def link(self, fetched: Fetched) -> object:
        """What the answer has as its next address; None and what is empty or false mean the end."""

    @abstractmethod
    def where(self) -> str:
        """Where that stands, for an error text."""


def _check_stored(link: Cursor, site: Site) -> None:
    if not isinstance(link, str) or urlsplit(link).scheme not in ("http", "https"):
        raise not_a_position(link, "an address")
    try:
        site.check(link)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"the stored link: {error}. If the API has moved, begin at its start: `airflow-datahub checkpoint reset`, "
            "or `airflow-datahub run --full`"
        ) from None


class LinkHeaderPaging(_Linked):
    """Each answer has the address of the next one in its `Link` header, as `rel="next"` (RFC 8288)."""

    type: Literal["link_header"]

    def link(self, fetched: Fetched) -> object:
        links = _links(fetched.headers.get("link", ""))
        return next((address for address, relations in links if "next" in relations), None)

    def where(self) -> str:
        return "the Link header"


class NextUrlPaging(_Linked):
    """Each answer has the address of the next one in its body, absolute or relative."""

    type: Literal["next_url"]

    next: FieldPath
    """Where the answer has the next address; the last page has none, null, false or an empty text there."""

    @property
    def paths(self) -> list[str]:
        return [self.next]

    def link(self, fetched: Fetched) -> object:
        return fetched.page.values[0]

    def where(self) -> str:
        return f"paging.next {self.next!r}"


class _LinkedWalk(Walk):
    def __init__(self, paging: _Linked, start: Cursor | None, site: Site):
        self._paging = paging
        self._site = site
        self._seen = Seen(start)
        self._watch = Watch()

    def query(self, position: Cursor | None) -> Mapping[str, Any]:
        return self._paging.sized({}) if position is None else {}

    def address(self, position: Cursor | None) -> str | None:
        return position

    def step(self, position: Cursor | None, fetched: Fetched) -> Step:
        page = fetched.page
        following = self._next(position or self._site.address, fetched)
        if following is not None and self._seen.again(following):
            raise StopRun(
                f"{page.shown}: looping link: {self._paging.where()} leads to {following[:200]!r}, which this read has "
                "asked for before"
            )
        self._watch.look(page, "does the API follow its own links")
        if following is None:
            return Step(None, False)
        self._watch.go_on(page)
        return Step(following, True)

    def _next(self, here: str, fetched: Fetched) -> str | None:
        link = self._paging.link(fetched)
        if link is None or link is False or link == "":
            return None
        if not isinstance(link, str) or len(link) > LONGEST_ADDRESS:
            raise self._odd(link, fetched)
        try:
            found = urlsplit(urljoin(here, link.strip()))
        except ValueError:
            raise self._odd(link, fetched) from None
        if found.scheme not in ("http", "https") or not found.netloc:
            raise self._odd(link, fetched)
        address = urlunsplit(found._replace(query=self._unsigned(found.query), fragment=""))
        try:
            self._site.check(address)
        except ConfigurationError as error:
            raise ConfigurationError(f"{fetched.page.shown}: {self._paging.where()}: {error}") from None
        return address

    def _odd(self, link: object, fetched: Fetched) -> ConfigurationError:
        return ConfigurationError(
            f"{fetched.page.shown}: {self._paging.where()} is {str(link)[:80]!r}, not an address to go on at"
        )

    def _unsigned(self, query: str) -> str:
        """The query as it is, but for what signs a request: some APIs write a token into their links that they got in
        a header."""
        return "&".join(pair for pair in query.split("&") if not self._signs(*map(unquote_plus, pair.split("=", 1))))

    def _signs(self, name: str, value: str = "") -> bool:
        return name in self._site.signs or (value != "" and self._site.masked(value) == MASKED)


_VALUE = r"(?:\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)\"|([^\s;,\"]*+))"
_PARAMETER = re.compile(rf"\s*+;\s*+([^\s=;,]*+)(?:\s*+=\s*+{_VALUE})?")
_TARGET = re.compile(r"[\s,]*+<([^>]*+)>")


def _links(header: str) -> Iterator[tuple[str, set[str]]]:
    """The addresses of a Link header with their relations, in lower case; ends at what is not understood."""
    position = 0
    while target := _TARGET.match(header, position):
        position = target.end()
        relations: set[str] | None = None
        while match := _PARAMETER.match(header, position):
            position = match.end()
            if match[1].lower() == "rel" and relations is None:  # only the first one counts
                relations = set((match[2] or match[3] or "").lower().split())
        yield target[1], relations or set()
