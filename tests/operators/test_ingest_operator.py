"""Hand-written DAGs with IngestOperator, run by Airflow into a real PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
import pytest
from airflow.sdk import DAG, Param, TaskGroup, task, task_group

from airflow_datahub.adapters.sinks.postgres import Postgres
from airflow_datahub.adapters.sources.inline import Inline
from airflow_datahub.adapters.transforms.rename import Rename
from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.errors import SpecError
from airflow_datahub.operators import IngestOperator, adapter
from airflow_datahub.operators.naming import identity
from tests.operators.conftest import Run
from tests.world import http_connection

TABLE = Postgres(connection="warehouse", table="things", strategy="append", columns={"id": "text", "n": "integer"})


@pytest.fixture
def query(database: str, mock_api: MockApi, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ask the warehouse."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database)
    monkeypatch.setenv("AIRFLOW_CONN_DATASYNC", http_connection(mock_api))
    with psycopg.connect(database, autocommit=True) as connection:
        yield lambda sql: connection.execute(sql.encode()).fetchall()


def dag(name: str, **words: Any) -> DAG:
    """An empty DAG."""
    return DAG(name, schedule=None, start_date=datetime(2024, 1, 1), **words)


def test_an_api_into_a_table_between_functions(run_dag: Run, query: Any, mock_api: MockApi) -> None:
    with dag("shop", params={"limit": Param(500, type="integer", minimum=1), "other": "a"}) as made:

        @task
        def since() -> str:
            return "2020-01-01T00:00:00Z"

        @task
        def report(counts: dict[str, Any]) -> int:
            return int(counts["records"])

        ingest = IngestOperator(
            task_id="events",
            source=adapter.http_api(
                connection="datasync", path="/events", records="data",
                query={"since": since(), "note": "{{ params.limit }}"},
                paging={"type": "cursor", "param": "cursor", "next": "nextCursor", "more": "hasMore"},
            ),
            transforms=[Rename(from_="type", to="event_type"), adapter.parse_date(field="timestamp")],
            sink=adapter.postgres(
                connection="warehouse", table="events", key=["id"], columns={"data": {"type": "jsonb", "from": "$"}}
            ),
        )  # fmt: skip
        report(ingest.output)
    assert ingest.upstream_task_ids == {"since"}
    assert (ingest.max_active_tis_per_dag, [asset.name for asset in ingest.outlets]) == (1, ["warehouse/public.events"])
    assert ingest.doc_md == f"```yaml\n{ingest.pipeline.text.strip()}\n```"
    found = run_dag(made)
    assert (found["report"], found["events"]["rejected"]) == (10_000, 0)
    assert query("select count(*) from events") == [(mock_api.stats()["unique"],)]
    assert query("select pipeline, stream from _datahub_checkpoint") == [("shop__events", "extract>load")]
    assert run_dag(made)["report"] == 0


def test_records_that_a_function_returned_come_once_a_run(run_dag: Run, query: Any) -> None:
    with dag("by_hand") as made:

        @task
        def fetch() -> list[Any]:
            return [{"id": "a", "n": "1"}, {"id": "b", "n": "2"}, "no record"]

        IngestOperator(
            task_id="things",
            source=fetch(),
            transforms=[adapter.to_number(field="n")],
            sink=TABLE,
            pipeline_id="things",
        )
    for run in (1, 2):
        counted = run_dag(made)["things"]
        assert (counted["records"], counted["rejected"]) == (3, 1)
        assert query("select id, count(*) from things group by 1 order by 1") == [("a", run), ("b", run)]
    assert query("select pipeline from _datahub_checkpoint") == [("things",)]


def test_a_mapped_task_in_a_group_has_a_checkpoint_for_each_partition(run_dag: Run, query: Any) -> None:
    with dag("mapped") as made, TaskGroup("all"):

        @task
        def countries() -> list[dict[str, Any]]:
            return [{"source": {"inline": {"rows": [{"id": c, "n": 1}]}}, "partition": c} for c in ("de", "f.r")]

        IngestOperator.partial(task_id="things", sink=TABLE).expand_kwargs(countries())
        IngestOperator.partial(task_id="forgotten", sink=TABLE).expand(source=[{"inline": {"rows": []}}])
    found = run_dag(made)
    assert [each["records"] for each in found["all.things"]] == [1, 1]
    assert found["all.forgotten"] == ["failed"]
    names = [identity("mapped", "all.things", each) for each in ("de", "f.r")]
    assert sorted(query("select pipeline from _datahub_checkpoint")) == sorted((name,) for name in names)
    assert [each["records"] for each in run_dag(made)["all.things"]] == [0, 0]


def test_a_mapped_group_gives_its_argument_to_a_field(run_dag: Run, query: Any) -> None:
    with dag("groups") as made:

        @task_group
        def one(rows: Any, name: Any) -> None:
            IngestOperator(task_id="things", source=rows, sink=TABLE, partition=name)

        one.expand_kwargs([{"rows": [{"id": c, "n": 1}], "name": c} for c in "ab"])
    assert made.get_task("one.things").max_active_tis_per_dag is None
    assert [each["records"] for each in run_dag(made)["one.things"]] == [1, 1]
    assert query("select id from things order by 1") == [("a",), ("b",)]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ({"source": adapter.http_apy()}, ["step 'extract': no source 'http_apy'; did you mean 'http_api'?"]),
        ({"source": adapter.inline(row=[])}, ["step 'extract': no field 'row'; did you mean 'rows'?"]),
        ({"source": TABLE}, ["step 'extract': Postgres is not a source"]),
        ({"sink": Inline(rows=[])}, ["step 'load': Inline is not a sink"]),
        ({"transforms": [TABLE]}, ["step 'transform': Postgres is not an operator"]),
        (
            {"sink": adapter("tests.operators.endings:Hides", token="open")},
            ["step 'load': 'token' is a secret; put it"],
        ),
        ({"rejects": {"max": "2 %"}, "on_error": "flag"}, ["'max' wants", "step 'extract': 'on_error' wants"]),
        ({"source": object()}, ["step 'extract': a source is given by name, as adapter.<name>(…) or as an object"]),
        ({"pipeline_id": "a.b"}, ["a pipeline's id is made of letters, digits, _ and -, at most 200: 'a.b'"]),
    ],
)
def test_what_is_wrong_is_said_at_its_line_when_the_dag_is_parsed(words: Any, wanted: list[str]) -> None:
    with dag("wrong"), pytest.raises(SpecError) as caught:
        IngestOperator(task_id="one", **{"source": Inline(rows=[]), "sink": TABLE} | words)
    lines = str(caught.value).splitlines()[1:]
    for want in wanted:
        assert any(line.startswith("operators/test_ingest_operator.py:") and f":1: {want}" in line for line in lines)


def test_an_operator_wants_a_dag() -> None:
    with pytest.raises(SpecError, match="make it inside a DAG"):
        IngestOperator(task_id="one", source=Inline(rows=[]), sink=TABLE)


def test_ids_never_stand_for_two_tasks() -> None:
    assert identity("shop", "orders") == "shop__orders"
    names = [
        ("a", "b"),
        ("a__b",),
        ("a_", "b"),
        ("a", "_b"),
        ("a.b",),
        ("a-b",),
        ("a", "b", "c"),
        ("a__b", "c"),
        ("ä",),
    ]
    made = [identity(*each) for each in names]
    assert len(set(made)) == len(made)
    long = identity("d" * 250, "t" * 250)
    assert len(long) == 200
    assert long != identity("d" * 250, "t" * 249)
