"""Follows a run of a pipeline by what PostgreSQL itself counts."""

from __future__ import annotations

import re
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from airflow_datahub.demo.airflow_rest import FINAL, AirflowRest
from airflow_datahub.demo.postgres import EmbeddedPostgres
from airflow_datahub.errors import RunFailed

RATE = re.compile(r"ingestion complete: .*\(([\d,.]+)/s\)")
PLAIN_EVERY = 5.0
"""Seconds between two lines where the output is no terminal and no bar can move."""


def count(postgres: EmbeddedPostgres, database: str, table: str) -> int:
    """The rows of the table; 0 where there is no such table yet."""
    if postgres.execute(f"select to_regclass('{table}')", database) == [(None,)]:
        return 0
    return int(postgres.execute(f"select count(*) from {table}", database)[0][0])  # noqa: S608


class Follower:
    """Shows how the rows of a table become more while a run goes on."""

    def __init__(self, airflow: AirflowRest, postgres: EmbeddedPostgres, database: str, table: str, console: Console):
        self.airflow, self.postgres, self.database, self.table = airflow, postgres, database, table
        self.console = console
        self.shown = 0.0

    def rows(self) -> int:
        """What PostgreSQL counts now."""
        return count(self.postgres, self.database, self.table)

    def follow(self, dag_id: str, run_id: str, total: int, timeout: float) -> str:
        """Show a bar of rows until the run has ended: success or failed. RunFailed when it takes too long."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        deadline = time.monotonic() + timeout
        with Progress(*columns, console=self.console, disable=not self.console.is_terminal) as progress:
            bar = progress.add_task("queued", total=total)
            while True:
                state, rows = self.airflow.state(dag_id, run_id), self.rows()
                progress.update(bar, completed=rows, description=state)
                self.plain(state, rows, total)
                if state in FINAL:
                    return state
                if time.monotonic() > deadline:
                    raise RunFailed(f"run {run_id} is still {state} after {timeout:.0f} s, with {rows:,} rows")
                time.sleep(0.3)

    def plain(self, state: str, rows: int, total: int) -> None:
        """A line now and then, in place of the bar."""
        if not self.console.is_terminal and time.monotonic() - self.shown > PLAIN_EVERY:
            self.shown = time.monotonic()
            self.console.print(f"{state}: {rows:,} of {total:,} rows")

    def task_logs(self, dag_id: str, run_id: str) -> dict[str, str]:
        """The log of the last try of each task that had one, by task id and state."""
        tried = [task for task in self.airflow.tasks(dag_id, run_id) if task["try_number"]]
        return {
            f"{task['task_id']} ({task['state']})": self.airflow.task_log(
                dag_id, run_id, task["task_id"], task["try_number"], task["map_index"]
            )
            for task in tried
        }


def rate(logs: dict[str, str]) -> str | None:
    """Records per second by the task's own time, as its last line says; None where no task says it."""
    found = [match[1] for log in logs.values() for match in RATE.finditer(log)]
    return found[-1] if found else None
