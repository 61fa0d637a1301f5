"""A source in parts in a real Airflow: a mapped task each; the one that fails is tried again alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Deployment

pytestmark = pytest.mark.airflow


def mapped(deployment: Deployment, run_id: str) -> list[dict[str, Any]]:
    """The tasks of the partitions, in their order."""
    tasks = [task for task in deployment.airflow.tasks("daily", run_id) if task["task_id"] == "events-load"]
    return sorted(tasks, key=lambda task: task["map_index"])


def test_one_that_fails_is_tried_again_alone_and_what_is_past_is_read_once(deployment: Deployment) -> None:
    api = deployment.windowed
    api.fails["2024-01-03"] = 1
    run_id, state = deployment.run("daily")
    assert state == "success"
    tasks = mapped(deployment, run_id)
    assert [(task["rendered_map_index"], task["try_number"]) for task in tasks] == [
        (day, 2 if day == "2024-01-03" else 1) for day in api.days
    ]
    times = [(task["start_date"], task["end_date"]) for task in tasks]
    assert max(sum(begin <= start < end for begin, end in times) for start, _ in times) <= 2, "concurrency: 2"
    assert [row[0] for row in deployment.query("select id from daily order by id")] == api.ids
    assert api.counts() == {day: -(-count // 3) + (day == "2024-01-03") for day, count in api.days.items()}
    finished = "select count(*) from _datahub_checkpoint where pipeline = 'daily' and counters->>'finished' = 'true'"
    assert deployment.query(finished) == [(5,)]

    run_id, state = deployment.run("daily")
    assert state == "success"
    assert [task["rendered_map_index"] for task in mapped(deployment, run_id)] == ["none"]
    assert api.counts() == {}
