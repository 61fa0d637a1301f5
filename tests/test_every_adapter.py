"""What every adapter promises, tested for each by being there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from airflow_datahub.contract import Batch, Connection, Record, Run, Source, Transform
from airflow_datahub.errors import RejectRecord
from airflow_datahub.testing import RUN, AdapterSuite, Subject
from tests.hostile import Asked, Hostile, Reply, reply


class TestEveryAdapter(AdapterSuite):
    package = "airflow_datahub."
    readable = ("inline", "http_api")

    @pytest.fixture
    def reader(self, source: Subject) -> Iterator[tuple[Source, Run]]:
        if source.name != "http_api":
            yield cast("Source", source.example()), RUN
            return
        with Hostile(_pages_of_events) as server:
            connection = Connection("datasync", "http", "127.0.0.1", port=server.port, extra={"allow_private": True})
            config = {**source.config(), "query": {}}
            made = cast("Source", source.adapter.model_validate(config))
            yield made, Run(pipeline="p", run_id="r", connections=lambda _: connection)


def _pages_of_events(asked: Asked) -> Reply:
    start = int(asked.query.get("cursor", "0"))
    more = start < 4
    events = [{"id": start}, {"id": start + 1}]
    return reply({"data": events, "hasMore": more, "nextCursor": str(start + 2) if more else None})


class _Mutates(Transform):
    def compile(self, run: Run) -> Any:
        def change(record: Record) -> Record:
            for value in record.values():
                if isinstance(value, list):
                    value.append(1)
            return record

        return change


class _Fails(Transform):
    def compile(self, run: Run) -> Any:
        return lambda record: {"a": record["a"] + 1}


class _Forgets(Source):
    token: str = ""

    def read(self, run: Run, cursor: Any) -> Any:
        yield Batch([{"id": 1}])


class _Stand(Subject):
    """A subject made of a class in this file."""

    def __init__(self, adapter: type[Any]) -> None:
        super().__init__("transforms", adapter.__name__, __name__)
        object.__setattr__(self, "_adapter", adapter)

    @property
    def adapter(self) -> type[Any]:
        return self._adapter  # type: ignore[attr-defined, no-any-return]

    def section(self, title: str) -> Any:
        return [{"a": 1, "l": [2]}]

    def config(self) -> dict[str, Any]:
        return {}


def test_the_suite_sees_a_change_to_what_is_nested() -> None:
    with pytest.raises(AssertionError, match="was changed"):
        AdapterSuite().test_hostile_records_end_in_a_record_or_a_reject(_Stand(_Mutates))


def test_the_suite_sees_an_exception_that_is_no_reject() -> None:
    with pytest.raises(Exception) as caught:
        AdapterSuite().test_hostile_records_end_in_a_record_or_a_reject(_Stand(_Fails))
    assert not isinstance(caught.value, RejectRecord | AssertionError)


def test_the_suite_sees_a_source_that_begins_again() -> None:
    class Again(_Forgets):
        def read(self, run: Run, cursor: Any) -> Any:
            batch = next(super().read(run, None))
            batch.cursor = 1
            yield batch

    with pytest.raises(AssertionError):
        AdapterSuite().test_a_second_read_brings_nothing_new((Again(), RUN))


def test_the_suite_sees_fields_without_a_docstring_and_secrets_in_plain_text() -> None:
    with pytest.raises(AssertionError, match=r"_Forgets\.token"):
        AdapterSuite().test_it_is_documented(_Stand(_Forgets))
    with pytest.raises(AssertionError, match=r"_Forgets\.token"):
        AdapterSuite().test_its_secrets_are_no_plain_text(_Stand(_Forgets))
