"""A DAG of one's own: what an API says, extracted, transformed and loaded by a task each, between functions.

A table of what a function knows is written by IngestOperator, which does all of it in one task (docs/python.md).
"""

from datetime import datetime

from airflow.sdk import DAG, task

from airflow_datahub.operators import ExtractOperator, IngestOperator, LoadOperator, TransformOperator, adapter

with DAG(
    "hand_written", schedule=None, start_date=datetime(2024, 1, 1), max_active_runs=1, tags=["example"], doc_md=__doc__
) as dag:

    @task
    def since() -> str:
        """From when on; whatever a function can find out."""
        return "2020-01-01T00:00:00Z"

    @task
    def origins() -> list[dict[str, str]]:
        """Records that a function makes."""
        return [{"id": "datasync", "name": "the DataSync API"}]

    IngestOperator(
        task_id="tell_origins",
        source=origins(),
        sink=adapter.postgres(connection="warehouse", table="origins", key=["id"], strategy="upsert"),
    )

    extract = ExtractOperator(
        task_id="extract",
        source=adapter.http_api(
            connection="datasync",
            path="/events",
            query={"since": since()},
            records="data",
            paging={"type": "cursor", "param": "cursor", "next": "nextCursor", "more": "hasMore"},
        ),
    )
    transform = TransformOperator(
        task_id="transform",
        records=extract.output,
        transforms=[adapter.parse_date(field="timestamp"), adapter.rename(from_="type", to="event_type")],
    )
    load = LoadOperator(
        task_id="load",
        records=transform.output,
        sink=adapter.postgres(
            connection="warehouse", table="hand_written", key=["id"], columns={"timestamp": "timestamptz"}
        ),
    )

    @task
    def report(counts: dict[str, int]) -> str:
        """What the load counted."""
        return f"{counts['records']} records, {counts['rejected']} rejected"

    report(load.output)
