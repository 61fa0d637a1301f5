"""Languages and where they are spoken, as the Unicode consortium's CLDR knows them (by Babel, which Airflow brings)."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from airflow_datahub.conversion import mistake


def _known(name: str) -> str:
    from babel import Locale, UnknownLocaleError

    try:
        return str(Locale.parse(name, sep="-" if "-" in name else "_"))
    except (UnknownLocaleError, ValueError, TypeError) as error:
        raise mistake(f"no locale {name!r}; it is a language, and where it is spoken: de, en_IN, fr_CH") from error


LocaleName = Annotated[str, AfterValidator(_known)]
"""A field of a model that names a locale."""
