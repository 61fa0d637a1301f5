"""Take the text out of HTML: without tags, scripts and styles, entities read, white space as one space.

Blocks such as paragraphs and list items become lines of their own. Broken HTML is read as browsers do.

Example:
    strip_html: {field: description}

Given:
    - {description: "<p>Soft &amp; <b>warm</b></p><ul><li>S<li>M</ul><script>x()</script>"}

Gives:
    - {description: "Soft & warm\\nS\\nM"}
"""

from __future__ import annotations

from airflow_datahub.conversion import Conversion, Convert, of_text, unfit

_DROPPED = ["script", "style", "head", "template", "noscript"]
_BLOCKS = [
    "address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "figcaption", "figure", "footer",
    "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section",
    "table", "td", "th", "tr", "ul",
]  # fmt: skip


class StripHtml(Conversion):
    lines: bool = True
    """Give blocks lines of their own; false: all in one line."""

    def conversion(self) -> Convert:
        return of_text(self.field, self._text)

    def _text(self, html: str) -> str:
        from bs4 import BeautifulSoup

        try:
            soup = BeautifulSoup(html, "html.parser")
            for element in soup.find_all(_DROPPED):
                element.decompose()
            for element in soup.find_all(_BLOCKS):
                element.insert_before("\n")
                element.append("\n")
            text = soup.get_text()
        except (RecursionError, AssertionError, ValueError) as error:
            raise unfit(self.field, html, "is HTML too deep or too broken to be read") from error
        lines = [line for each in text.split("\n") if (line := " ".join(each.split()))]
        return ("\n" if self.lines else " ").join(lines)
