"""The text in HTML, in a time proportional to its length.

Beautiful Soup would build a tree first: a kilobyte for each tag, and for what html.parser does at the end of a broken
document the square of the time. So its events are read here, and that end is not left to it.
"""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

_UNREAD = frozenset({"script", "style", "template", "noscript", "title"})
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "br", "caption", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header",
    "hr", "html", "legend", "li", "main", "nav", "ol", "option", "p", "pre", "section", "summary", "table", "tbody",
    "tfoot", "thead", "tr", "ul",
}  # fmt: skip
_CELLS = frozenset({"td", "th"})
_CDATA = re.compile(r"<!\[CDATA\[(.*?)(?:\]\]>|\Z)", re.DOTALL)
_HUGE_REFERENCE = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")
"""No character has so large a number; Python cannot even read one of more than 4,300 digits."""
_CUT_OFF = re.compile(r"<(?:[!/?]|[a-zA-Z][a-zA-Z0-9]*(?:\s*/?\Z|\s+[^\s=]+\s*=))")
"""The start of a tag or comment without an end; `<M and larger` is text."""


def blocks(html: str) -> list[str]:
    """The texts of the blocks that have any, in order; white space in them is one space."""
    reader = _Reader()
    reader.feed(_HUGE_REFERENCE.sub("\ufffd", _CDATA.sub(r"\1", html)))
    lines = reader.text().split("\n")
    return [line for each in lines if (line := " ".join(each.split()))]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._unread: dict[str, int] = {}
        """Elements that are not read and stand open, each with how often."""

    def text(self) -> str:
        """What was read. Call it last."""
        if not self.cdata_elem:
            self._last_words(self.rawdata)
        return "".join(self._parts)

    def _last_words(self, rest: str) -> None:
        """What the parser kept because it waits for more: text, a tag without an end, a comment without one."""
        if not _CUT_OFF.match(rest):
            self.handle_data(unescape(rest))

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self._parts.append(data.replace("\n", " "))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNREAD:
            self._unread[tag] = self._unread.get(tag, 0) + 1
        self._part(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._part(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unread:
            self._unread[tag] -= 1
            self._unread = {name: times for name, times in self._unread.items() if times}
        self._part(tag)

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """As browsers read it, up to the next `>`; Python's fails on those that it does not know."""
        return self.parse_bogus_comment(i, bool(report))

    def _part(self, tag: str) -> None:
        if tag in _BLOCKS or tag in _CELLS:
            self._parts.append("\n" if tag in _BLOCKS else " ")
