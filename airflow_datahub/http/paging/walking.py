"""What all kinds of paging share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from airflow_datahub.contract import Cursor, Log, Silence
from airflow_datahub.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_datahub.http.page import Page

Name = Annotated[str, Field(min_length=1)]


@dataclass(slots=True)
class Fetched:
    """A page as it came."""

    page: Page
    headers: Mapping[str, str]
    """Of the answer."""
    retries: int = 0
    missing: bool = False
    """Whether it is an answer of status 404, taken for a page without records."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a page says about going on."""

    behind: Cursor | None
    """The position behind the page; None: it has none."""
    more: bool
    """Whether to go on there now."""
    total: int | None = None
    """Records in all, where the API says."""
    proven: bool = True
    """False: only records on the page behind prove that this one is full, and that a later run may begin there."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a walk takes place."""

    address: str = ""
    """Of the first page, absolute and without a query: what relative links are relative to."""
    signs: frozenset[str] = frozenset()
    """Query parameters that carry a credential; they are taken out of links before anybody keeps one, as is each whose
    value is a secret."""
    log: Log = field(default_factory=Silence)
    masked: Callable[[str], str] = str
    """Takes the connection's secrets out of a text."""
    check: Callable[[str], object] = str
    """Raises ConfigurationError for an address that is not followed: such a one is no position to keep."""


class Walk(ABC):
    """Goes from page to page in one read."""

    @abstractmethod
    def query(self, position: Cursor | None) -> Mapping[str, Any]:
        """What asks for the page at this position, beside what asks for all of them."""

    def address(self, position: Cursor | None) -> str | None:
        """The absolute address of the page, which then says everything; None: the address of all pages."""
        return None

    @abstractmethod
    def step(self, position: Cursor | None, fetched: Fetched) -> Step:
        """Read the page at a position; called page after page, in order. Raises RunError."""

    def may_be_missing(self, position: Cursor | None) -> bool:
        """Whether the page may lie behind the end, where some APIs answer 404."""
        return False

    def measure(self, first: Fetched) -> None:
        """Learn from the first page, fetched apart, how large pages are."""
        return

    def ahead(self, position: Cursor) -> Iterable[Cursor]:
        """The positions that probably follow this one, where they can be known before its page has come."""
        return ()


class Kind(BaseModel, ABC):
    """One kind of paging; its fields are the YAML."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    perishable: ClassVar[bool] = False
    """Whether a stored position can expire."""

    @property
    def paths(self) -> list[str]:
        """Where an answer says how to go on: the values that its page is read with."""
        return []

    @property
    def params(self) -> set[str]:
        """The query parameters that it sets."""
        return set()

    @abstractmethod
    def walk(self, start: Cursor | None, site: Site) -> Walk:
        """A walk from a position. Raises ConfigurationError for a position that is none of its own."""


class Sized(Kind):
    """A kind that asks for so many records in a page."""

    limit: Annotated[int, Field(ge=1)] | None = 1000
    """Records to ask for in a page; null leaves it to the API."""

    limit_param: Name = "limit"
    """The query parameter that carries the limit."""

    @property
    def params(self) -> set[str]:
        return set() if self.limit is None else {self.limit_param}

    def sized(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """The query with the limit."""
        return dict(query) if self.limit is None else {self.limit_param: self.limit, **query}


class NoPaging(Kind):
    """The answer is all there is."""

    type: Literal["none"] = "none"

    def walk(self, start: Cursor | None, site: Site) -> Walk:
        if start is not None:
            raise not_a_position(start, "a position without paging")
        return _OnePage()


class _OnePage(Walk):
    def query(self, position: Cursor | None) -> Mapping[str, Any]:
        return {}

    def step(self, position: Cursor | None, fetched: Fetched) -> Step:
        return Step(None, False)


def not_a_position(start: Cursor, what: str) -> ConfigurationError:
    """The error for a stored position of another kind."""
    return ConfigurationError(f"the stored position {str(start)[:80]!r} is not {what}; run once with --full")


def is_count(value: object) -> bool:
    """A whole number from 0 on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def count_at(page: Page, index: int, field_name: str, path: str | None) -> int | None:
    """The whole number that the answer has at one of the paths; None where it has none."""
    value = page.values[index] if path is not None else None
    if value is not None and not is_count(value):
        raise ConfigurationError(f"{page.shown}: {field_name} {path!r} is {str(value)[:80]!r}, not a whole number")
    return value
