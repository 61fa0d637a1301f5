"""`partition` of an extract step: a source in parts, each with its key, its checkpoint and a task of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_datahub.contract import Partition
from airflow_datahub.quantities import Duration, SomeTime, wanted
from airflow_datahub.spec.cutting import MOST, Ranges, Windows, of_names, too_many
from airflow_datahub.spec.words import Moment, Positive, Word, no_flag

YEARS = range(1900, 2201)
"""In which windows may lie."""


def _of_our_time(moment: datetime) -> datetime:
    if moment.year not in YEARS:
        raise wanted(f"a date from {YEARS[0]} to {YEARS[-1]}")
    return moment


def _check_count(count: int) -> None:
    if count > MOST:
        raise PydanticCustomError("partition", "{reason}", {"reason": too_many(count)})


AnyMoment = Annotated[Moment, AfterValidator(_of_our_time)]


class Window(Word):
    """Windows of time: each begins where the one before ends."""

    start: AnyMoment = Field(alias="from")
    """Where the first one begins; in the pipeline's time zone unless it names one."""

    end: AnyMoment | Literal["now"] = Field(alias="to")
    """Where the last one ends. `now` is the moment that a run is for: the last window is the one that it lies in."""

    size: SomeTime
    """How long each is. Whole days are those of the calendar in the pipeline's time zone, also of 23 or 25 hours."""

    lag: Duration = timedelta(hours=1)
    """How long after its end a window may still get records: until then every run goes on in it, then none asks."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if isinstance(self.end, datetime):
            count = self.windows(self.end, UTC).count
            if not count:
                raise PydanticCustomError("partition", "`to` must be after `from`")
            _check_count(count)
        return self

    def windows(self, now: datetime, zone: Any) -> Windows:
        """What is cut."""
        whole = not isinstance(self.end, datetime)
        last = self.end if isinstance(self.end, datetime) else now
        return Windows(self.start, last, self.size, zone, self.lag, whole)


Number = Annotated[int, BeforeValidator(no_flag), Field(ge=0, le=2**63 - 1)]


class Range(Word):
    """Ranges of whole numbers, such as ids; both ends belong to them."""

    start: Number = Field(alias="from")
    """The first number."""

    end: Number = Field(alias="to")
    """The last number."""

    size: Positive
    """How many numbers are in each."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            raise PydanticCustomError("partition", "`to` must not be below `from`")
        _check_count(self.ranges.count)
        return self

    @property
    def ranges(self) -> Ranges:
        """What is cut."""
        return Ranges(self.start, self.end, self.size)


def _name(value: Any) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not 1 <= len(text) <= 200:
        raise wanted("a text of 1 to 200 characters")
    return text


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise PydanticCustomError("partition", "{name} stands there twice", {"name": repr(twice)})
    return names


Names = Annotated[
    tuple[Annotated[str, BeforeValidator(_name, json_schema_input_type=str | int)], ...],
    Field(min_length=1, max_length=10_000),
    AfterValidator(_different),
]


class Partitioning(Word):
    """How a source is cut into parts that are read by themselves."""

    by: Literal["window", "range", "list", "source"]
    """window: of time; range: of whole numbers; list: by name; source: those that the adapter itself knows."""

    window: Window | None = None
    """For `by: window`."""

    numbers: Range | None = Field(default=None, alias="range")
    """For `by: range`."""

    names: Names | None = Field(default=None, alias="list")
    """For `by: list`: their keys."""

    concurrency: Positive | None = None
    """How many Airflow reads at the same time at most; none: as many as it has room for."""

    @model_validator(mode="after")
    def _says_how(self) -> Self:
        given = {"window": self.window, "range": self.numbers, "list": self.names}
        if self.by in given and given[self.by] is None:
            raise PydanticCustomError("partition", "`by: {by}` wants `{by}`, too", {"by": self.by})
        for word, value in given.items():
            if value is not None and word != self.by:
                raise PydanticCustomError(
                    "partition", "`{word}` has no meaning with `by: {by}`", {"word": word, "by": self.by}
                )
        return self

    def cut(self, now: datetime, zone: str) -> Sequence[Partition]:
        """All partitions, in order; `now` is the run's moment, `zone` the pipeline's. By source: none, it says.

        Raises ConfigurationError where there are too many."""
        if self.window:
            return self.window.windows(now, ZoneInfo(zone)).parts()
        return self.numbers.ranges.parts() if self.numbers else of_names(self.names or ())
