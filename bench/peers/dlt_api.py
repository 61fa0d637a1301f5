"""dlt at its best: pages decoded by orjson into Arrow tables by hand, large files, several workers, merge by key.

    dlt_api.py csv|parquet http://127.0.0.1:PORT KEY postgresql://…

Prints `seconds rows`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

SETTINGS = {
    "RUNTIME__LOG_LEVEL": "ERROR", "DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
    "NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": "50000", "EXTRACT__DATA_WRITER__FILE_MAX_ITEMS": "50000",
    "NORMALIZE__WORKERS": "2", "LOAD__WORKERS": "4", "NORMALIZE__START_METHOD": "fork",
}  # fmt: skip
os.environ.update(SETTINGS)

import dlt  # noqa: E402
import orjson  # noqa: E402
import pyarrow as pa  # noqa: E402
from dlt.sources.helpers.rest_client import RESTClient  # noqa: E402
from dlt.sources.helpers.rest_client.auth import APIKeyAuth  # noqa: E402
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator  # noqa: E402

FORM, API, KEY, DSN = sys.argv[1:]
NAMES = {"id": "id", "type": "type", "userId": "user_id", "sessionId": "session_id"}


def moment(value: str | float) -> datetime:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return datetime.fromtimestamp(value / 1000 if value > 100_000_000_000 else value, UTC)


def table(records: list[dict]) -> pa.Table:
    columns = {to: [each[name] for each in records] for name, to in NAMES.items()}
    columns["ts"] = pa.array([moment(each["timestamp"]) for each in records], pa.timestamp("us", "UTC"))
    columns["payload"] = [orjson.dumps(each["properties"]).decode() for each in records]
    return pa.table(columns)


@dlt.resource(name="events", primary_key="id", write_disposition="merge", columns={"payload": {"data_type": "json"}})
def events() -> Iterator[pa.Table]:
    client = RESTClient(
        API, auth=APIKeyAuth("X-API-Key", KEY, "header"),
        paginator=JSONResponseCursorPaginator("nextCursor", "cursor"), data_selector="data",
    )  # fmt: skip
    records: list[dict] = []
    for page in client.paginate("/api/v1/events", params={"limit": 1000}):
        records.extend(page)
        if len(records) >= 20_000:
            yield table(records)
            records.clear()
    if records:
        yield table(records)


def main() -> None:
    started = time.perf_counter()
    destination = dlt.destinations.postgres(credentials=DSN)
    folder = os.path.join(os.environ["BENCH_FOLDER"], "dlt")
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench", pipelines_dir=folder)
    pipeline.run(events(), loader_file_format=FORM).raise_on_failed_jobs()
    seconds = time.perf_counter() - started
    with pipeline.sql_client() as client:
        print(f"{seconds:.4f} {client.execute_sql('select count(*) from events')[0][0]}")


if __name__ == "__main__":
    main()
