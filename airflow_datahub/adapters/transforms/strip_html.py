"""Take the text out of HTML: tags dropped, entities read, white space as one space.

Paragraphs, list items, rows of tables and other blocks become lines of their own. What nobody reads is left out:
comments, scripts, styles, templates, the title. Broken HTML gives what can be read of it.

Example:
    strip_html: {field: description}

Given:
    - {description: "<p>Soft &amp; <b>warm</b></p><ul><li>S<li>M</ul><script>x()</script>"}

Gives:
    - {description: "Soft & warm\\nS\\nM"}
"""

from __future__ import annotations

from airflow_datahub.conversion import Conversion, Convert, of_text


class StripHtml(Conversion):
    separator: str = "\n"
    """What stands between blocks; " " puts all in one line."""

    def conversion(self) -> Convert:
        from airflow_datahub.html_text import blocks

        separator = self.separator
        return of_text(self.field, lambda html: separator.join(blocks(html)))
