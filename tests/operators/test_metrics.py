"""What a task counts reaches a StatsD socket through Airflow's own metrics."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import statsd
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

from airflow_datahub.contract import Silence
from airflow_datahub.errors import RunFailed
from airflow_datahub.operators.metrics import Meter
from tests.operators.test_stage_operator import context, operator, pipeline


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[socket.socket]:
    """A socket that Airflow's metrics are sent to, tags in InfluxDB's form."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.5)
        settings = {"ON": "True", "HOST": "127.0.0.1", "PORT": str(server.getsockname()[1]), "INFLUXDB_ENABLED": "True"}
        for name, value in settings.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__STATSD_{name}", value)
        stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
        yield server
    monkeypatch.undo()
    stats.initialize(factory=get_stats_factory(), export_legacy_names=False)


def ours(server: socket.socket) -> dict[str, str]:
    """What has come, by name and tags."""
    found: dict[str, str] = {}
    while True:
        try:
            name, _, value = server.recv(65536).decode().partition(":")
        except TimeoutError:
            return found
        if name.startswith("airflow.datahub."):
            assert name not in found, "told twice"
            found[name.removeprefix("airflow.datahub.")] = value


def test_a_task_that_goes_well(received: socket.socket) -> None:
    operator(pipeline()).execute(context())
    found = ours(received)
    assert found["records_in,pipeline=given,step=extract"] == "1|c"
    assert found["inserted,pipeline=given,step=print"] == "1|c"
    assert found["commits,pipeline=given,step=print"] == "1|c"
    assert found["tries,pipeline=given,outcome=success"] == "1|c"
    assert re.fullmatch(r"[0-9.]+\|ms", found["seconds,pipeline=given,step=print"])
    tags = {tag.partition("=")[0] for name in found for tag in name.split(",")[1:]}
    assert tags == {"pipeline", "step", "outcome"}, "nothing of a run, which is another one each time"


def test_a_task_that_fails_has_counted_up_to_there(received: socket.socket) -> None:
    with pytest.raises(RunFailed):
        operator(pipeline("failed")).execute(context())
    found = ours(received)
    assert found["records_in,pipeline=given,step=extract"] == "1|c"
    assert found["tries,pipeline=given,outcome=RunFailed"] == "1|c"


def test_metrics_that_cannot_be_sent_end_nothing(received: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(statsd.StatsClient, "_send", broken)
    counted = operator(pipeline()).execute(context())
    assert counted["records"] == 1


def test_a_meter_sums_up_what_it_is_told() -> None:
    meter = Meter("given", Silence())
    for _ in range(2):
        meter.add({"load": {"inserted": 2, "seconds": 0.5}})
    assert meter.totals == {"load": {"inserted": 4, "seconds": 1.0}}
