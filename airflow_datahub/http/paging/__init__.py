"""From page to page of an API: every kind of paging as a frozen model of its fields, and its walk.

A walk says what asks for the page at a position, and reads from a page where to go on. It never asks itself: how many
requests are under way at once is decided elsewhere, and changes nothing about the order of the pages.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from airflow_datahub.http.paging.counted import OffsetPaging, PagePaging
from airflow_datahub.http.paging.cursor import CursorPaging
from airflow_datahub.http.paging.linked import LinkHeaderPaging, NextUrlPaging
from airflow_datahub.http.paging.walking import Fetched, Kind, NoPaging, Site, Step, Walk, not_a_position

Paging = Annotated[
    NoPaging | OffsetPaging | PagePaging | CursorPaging | LinkHeaderPaging | NextUrlPaging, Field(discriminator="type")
]

__all__ = [
    "CursorPaging",
    "Fetched",
    "Kind",
    "LinkHeaderPaging",
    "NextUrlPaging",
    "NoPaging",
    "OffsetPaging",
    "PagePaging",
    "Paging",
    "Site",
    "Step",
    "Walk",
    "not_a_position",
]
