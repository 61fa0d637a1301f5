"""The case `parse`: specs of five steps become DAGs, in our factory and in the plain loop that a person would write,
which makes a task of each step.

python -m bench.parsing ours|reference FOLDER prints the CPU seconds of the loop; Airflow is imported before it."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.measuring import Measured, Program, run_program

SPECS = 200
SPEC = """version: 1
description: Events of shop {number}, once a day.
schedule: "{minute} 3 * * *"
timezone: Europe/Berlin
owner: shops
tags: [events, shop]
retries: 3
steps:
  - key: extract
    type: extract
    adapter: http_api
    config:
      connection: api
      path: /shops/{number}/events
      records: data
      paging: {{type: cursor, param: cursor, next: nextCursor, more: hasMore, limit: 1000}}
  - key: name
    type: transform
    operators:
      - rename: {{fields: {{id: event_id, type: event_type}}}}
  - key: keep
    type: transform
    operators:
      - filter: {{drop: {{field: event_type, eq: never}}}}
  - key: tidy
    type: transform
    operators:
      - to_number: {{field: amount}}
  - key: load
    type: load
    adapter: postgres
    config: {{connection: warehouse, table: shop_{number}, strategy: upsert, key: [event_id]}}
"""


def write_specs(folder: Path, count: int = SPECS) -> None:
    """`shop_0.yaml` and so on."""
    for number in range(count):
        (folder / f"shop_{number}.yaml").write_text(SPEC.format(number=number, minute=number % 60))


def rounds(count: int) -> list[dict[str, Measured]]:
    """Both in turn, each in a process of its own; every other round in the opposite order."""
    with tempfile.TemporaryDirectory() as folder:
        write_specs(Path(folder))
        return [one_round(folder, ("reference", "ours")[:: 1 if number % 2 == 0 else -1]) for number in range(count)]


def one_round(folder: str, order: tuple[str, ...]) -> dict[str, Measured]:
    found = {name: measure(name, folder) for name in order}
    text = ", ".join(f"{name} {run.seconds / SPECS * 1000:.2f} ms a DAG" for name, run in found.items())
    print(f"  {text}", file=sys.stderr, flush=True)
    return {name: found[name] for name in ("reference", "ours")}


def measure(name: str, folder: str) -> Measured:
    text, usage = run_program(Program(name, [sys.executable, "-m", "bench.parsing", name, folder]), "")
    seconds = float(text.split()[-1])
    cpu = (usage.ru_utime + usage.ru_stime) * 1e6 / SPECS
    return Measured(name, seconds, SPECS, SPECS / seconds, usage.ru_maxrss / 1024, cpu, 0.0)


def ours() -> Callable[[Path], Any]:
    from airflow_datahub.dag_factory import build

    return lambda spec: build(f"{spec}.py")


def reference() -> Callable[[Path], Any]:
    """No checks, no plan, no page beside it: a task a step, one after the other, each given its part of the YAML."""
    import yaml
    from airflow.sdk import DAG, BaseOperator, CronTriggerTimetable

    class Step(BaseOperator):
        def __init__(self, *, step: dict[str, Any], **kwargs: Any):
            super().__init__(**kwargs)
            self.step = step

    def made(path: Path) -> DAG:
        spec = yaml.load(path.read_bytes(), yaml.CSafeLoader)
        with DAG(
            dag_id=path.stem, description=spec["description"], tags=spec["tags"], catchup=False,
            schedule=CronTriggerTimetable(spec["schedule"], timezone=spec["timezone"]),
            start_date=datetime(2024, 1, 1, tzinfo=UTC),
            default_args={"owner": spec["owner"], "retries": spec["retries"]},
        ) as dag:  # fmt: skip
            before = None
            for step in spec["steps"]:
                task = Step(task_id=step["key"], step=step)
                if before:
                    before >> task
                before = task
        return dag

    return made


def main() -> None:
    name, folder = sys.argv[1:]
    make = {"ours": ours, "reference": reference}[name]()
    first, *specs = sorted(Path(folder).glob("*.yaml"))
    make(first)  # what is imported for the first is Airflow's start
    started = time.process_time()
    dags = [make(spec) for spec in specs]
    seconds = (time.process_time() - started) * SPECS / len(specs)
    assert {len(dag.tasks) for dag in dags} == {1 if name == "ours" else 5}
    print(seconds)


if __name__ == "__main__":
    main()
