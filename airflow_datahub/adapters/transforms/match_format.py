"""Reject values that do not have the form that they should have.

Check digits count where a form has them: of a GTIN, an IBAN.

Example:
    match_format: {field: ean, format: gtin}

Given:
    - {ean: "4006381333931"}

Gives:
    - {ean: "4006381333931"}
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from airflow_datahub.conditions.patterns import Search, searcher
from airflow_datahub.conversion import Conversion, Convert, mistake, unfit
from airflow_datahub.formats_of_text import FORMATS, normal_email, phone_reader

Name = Literal[
    "email", "url", "phone", "gtin", "iban", "country", "currency", "uuid", "ipv4", "ipv6", "date", "datetime", "regex"
]


class MatchFormat(Conversion):
    format: Name
    """The form. country is two letters of ISO 3166, currency three of ISO 4217, phone an international number, or one
    of `region`, date and datetime ISO 8601."""

    pattern: Search | None = None
    """With regex: the RE2 regex that must match the whole text."""

    region: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    """With phone: the country of numbers without a country code."""

    normalize: bool = False
    """Write it as the form's own rules have it: an e-mail address with a small domain, a phone number as E.164, a GTIN
    or IBAN without spaces."""

    @model_validator(mode="after")
    def _fits(self) -> MatchFormat:
        if (self.format == "regex") is (self.pattern is None) or (self.region and self.format != "phone"):
            raise mistake("takes `pattern` exactly for regex, and `region` for phone only")
        return self

    def conversion(self) -> Convert:
        read = self._reader()

        def convert(value: object) -> object:
            normal = read(value) if isinstance(value, str) and len(value) <= 10_000 else None
            if normal is None:
                raise unfit(self.field, value, f"has not the form {self.pattern or self.format}")
            return normal if self.normalize else value

        return convert

    def _reader(self) -> Convert:
        if self.format == "regex":
            whole = searcher(rf"\A(?:{self.pattern})\z")

            def matched(text: str) -> str | None:
                try:
                    return text if whole.search(text) else None
                except UnicodeEncodeError:
                    return None

            return matched
        if self.format == "phone":
            return phone_reader(self.region)
        return normal_email() if self.format == "email" else FORMATS[self.format]
