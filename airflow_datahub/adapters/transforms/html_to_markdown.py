"""Write HTML as Markdown. Scripts and styles are left out, broken HTML is read as browsers do.

Example:
    html_to_markdown: {field: body}

Given:
    - {body: "<h2>Care</h2><p>Wash <b>cold</b>, see <a href='https://a.example/'>here</a>.</p>"}

Gives:
    - {body: "## Care\\n\\nWash **cold**, see [here](https://a.example/)."}
"""

from __future__ import annotations

from typing import Any

from airflow_datahub.conversion import Conversion, Convert, of_text, unfit
from airflow_datahub.extras import library


class HtmlToMarkdown(Conversion):
    def conversion(self) -> Convert:
        markdownify: Any = library("markdownify", "html-to-markdown")

        def convert(html: str) -> str:
            from bs4 import BeautifulSoup

            try:
                soup = BeautifulSoup(html, "html.parser")
                for element in soup.find_all(["script", "style", "head", "template"]):
                    element.decompose()
                return str(markdownify.MarkdownConverter(heading_style="ATX").convert_soup(soup)).strip()
            except (RecursionError, AssertionError, ValueError) as error:
                raise unfit(self.field, html, "is HTML too deep or too broken to be read") from error

        return of_text(self.field, convert)
