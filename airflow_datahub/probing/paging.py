"""How an API pages, told from the names and values beside its records and from its headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_datahub.http.page import Page
from airflow_datahub.http.paging import Fetched, LinkHeaderPaging
from airflow_datahub.probing.shape import Path, Records, dotted, walk

GUESSED = 100
"""Records a page, where no sizes were tried."""

CURSORS = frozenset({
    "nextcursor", "cursornext", "cursor", "endcursor", "nextpagetoken", "pagetoken", "nexttoken", "continuationtoken",
    "continuation", "nextpagecursor", "scrollid", "after", "startingafter",
})  # fmt: skip
LINKS = frozenset(
    {"next", "nexturl", "nextlink", "nextpage", "nextpageurl", "nextpagelink", "nexthref", "odatanextlink"}
)
MORE = frozenset({"hasmore", "hasnext", "hasnextpage", "more", "moreavailable", "morerecords"})
PAGE = frozenset({"page", "currentpage", "pagenumber", "pageno", "pageindex"})
PAGES = frozenset({"totalpages", "pages", "pagecount", "lastpage", "numpages", "totalpagecount"})
OFFSET = frozenset({"offset", "skip", "startat", "startindex"})
TOTAL = frozenset({"total", "totalcount", "totalresults", "totalrecords", "totalitems", "totalelements", "count"})


@dataclass(frozen=True, slots=True)
class Proposal:
    """A `paging` for a spec."""

    paging: Mapping[str, Any]
    why: str
    doubts: tuple[str, ...] = ()
    """What a person has to find out in the API's documentation."""


@dataclass(frozen=True)
class Evidence:
    """What was asked and what came."""

    answer: Any
    """The JSON."""
    headers: Mapping[str, str]
    records: Records
    size_param: str
    """The query parameter that carries the size of pages; may be empty."""
    sizes: Mapping[int, int]
    """Records that came, by how many were asked for."""

    def proposal(self) -> Proposal:
        """The paging that most speaks for."""
        tries = (self._link_header, self._in_the_body, self._by_page, self._by_offset)
        found = next(filter(None, (each() for each in tries)), None) or self._without_a_sign()
        if found.paging["type"] == "none":
            return found
        sized, doubts = self._sized()
        return Proposal({**found.paging, **sized}, found.why, found.doubts + doubts)

    # --- kinds

    def _link_header(self) -> Proposal | None:
        fetched = Fetched(Page([], [], bytearray(), ""), self.headers)
        if LinkHeaderPaging(type="link_header").link(fetched) is None:
            return None
        return Proposal({"type": "link_header"}, 'the Link header has a rel="next"')

    def _in_the_body(self) -> Proposal | None:
        for path, value in self._beside():
            if _name(path) in LINKS and (value is None or _is_link(value)):
                return Proposal(
                    {"type": "next_url", "next": dotted(path)}, f"{dotted(path)!r} {_is(value, 'an address')}"
                )
            if self._is_cursor(path, value):
                return self._by_cursor(path, value)
        return None

    def _by_cursor(self, path: Path, value: Any) -> Proposal:
        param = _param(path[-1])
        paging = {"type": "cursor", "param": param, "next": dotted(path), **self._first("more", MORE, bool)}
        doubt = f"that the parameter's name is {param!r} is told by the field's name alone"
        return Proposal(paging, f"{dotted(path)!r} {_is(value, 'a cursor')}", (doubt,))

    def _is_cursor(self, path: Path, value: Any) -> bool:
        if _name(path) in CURSORS:
            return value is None or _is_text_or_count(value)
        return _name(path) in LINKS - {"nextpage"} and isinstance(value, str) and bool(value)

    def _by_page(self) -> Proposal | None:
        number, pages = self._first("page", PAGE, int), self._first("pages", PAGES, int)
        if not number and not pages:
            return self._by_headers()
        values = {dotted(path): value for path, value in self._beside()}
        last = number["page"].rpartition(".")[2] if number else "page"
        param = "page" if last.lower().startswith("current") else last
        start = 0 if number and values[number["page"]] == 0 else 1
        told = " and ".join(map(repr, (number | pages).values()))
        doubt = f"that the parameter's name is {param!r} is a guess"
        return Proposal({"type": "page", "param": param, "start": start, **pages}, f"there is {told}", (doubt,))

    def _by_headers(self) -> Proposal | None:
        if not {"x-total-pages", "x-page"} & self.headers.keys():
            return None
        return Proposal({"type": "page", "param": "page"}, "the headers number the pages")

    def _by_offset(self) -> Proposal | None:
        offset, total = self._first("offset", OFFSET, int), self._first("total", TOTAL, int)
        if total.get("total", "").lower().endswith("count") and "total" not in total["total"].lower():
            total = total if dict(self._totals()).get(total["total"]) != len(self.records.items) else {}
        if not offset and not total:
            return None
        param = offset["offset"].rpartition(".")[2] if offset else "offset"
        told = " and ".join(map(repr, (offset | total).values()))
        doubts = () if offset else ("that it takes an offset is a guess",)
        return Proposal({"type": "offset", "param": param, **total}, f"there is {told}", doubts)

    def _without_a_sign(self) -> Proposal:
        if not self._obeyed:
            why = "nothing in the answer tells of pages, and it does not have the size that was asked for"
            return Proposal({"type": "none"}, why, ("it may be all there is, or the size is another parameter's",))
        why = "the size of pages is obeyed; nothing else in the answer tells of pages"
        return Proposal({"type": "offset", "param": "offset"}, why, ("that it takes an offset is a guess",))

    # --- what they are told from

    def _beside(self) -> Iterable[tuple[Path, Any]]:
        """The values beside the records."""
        return [] if self.records.path == "" else [found for found in walk(self.answer) if found[0]]

    def _totals(self) -> Iterable[tuple[str, Any]]:
        return ((dotted(path), value) for path, value in self._beside())

    def _first(self, name: str, known: frozenset[str], kind: type) -> dict[str, str]:
        """The path of the first value of that type under a known name, as a field of a paging."""
        paths = (dotted(path) for path, value in self._beside() if type(value) is kind and _name(path) in known)
        path = next(paths, "")
        return {name: path} if path else {}

    @property
    def _obeyed(self) -> bool:
        return bool(self.size_param) and any(asked == came for asked, came in self.sizes.items())

    def _sized(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The size of pages to ask for, and what is doubtful about it."""
        param = {} if self.size_param in ("", "limit") else {"limit_param": self.size_param}
        if any(came > asked for asked, came in self.sizes.items()) or not self.size_param:
            return {"limit": None}, ("the size of pages is left to the API: it did not obey the one asked for",)
        if len(self.sizes) > 1:
            return {"limit": max(1, *self.sizes.values()), **param}, ()
        return {"limit": GUESSED, **param}, (f"a page of {GUESSED} is a guess: `--try sizes` finds the largest",)


def _name(path: Path) -> str:
    """The last name in small letters alone; of a link that is an object with `href`, the link's."""
    last = path[-2] if path[-1] == "href" and len(path) > 1 else path[-1]
    return re.sub(r"[^a-z]", "", last.lower())


def _is_link(value: Any) -> bool:
    return isinstance(value, str) and ("://" in value or value.startswith(("/", "?")))


def _is_text_or_count(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is(value: Any, what: str) -> str:
    return f"is null, as behind a last page, and by its name {what}" if value is None else f"holds {what}"


def _param(field: str) -> str:
    """The parameter that goes with a field: `cursor` with `nextCursor`, `page_token` with `next_page_token`."""
    if field.lower() == "next":
        return "cursor"
    if re.sub("[^a-z]", "", field.lower()) == "endcursor":
        return "after"
    found = re.fullmatch(r"next_?(\w+)", field)
    if not found or found[1].lower() == "token":
        return field
    return found[1][0].lower() + found[1][1:]
