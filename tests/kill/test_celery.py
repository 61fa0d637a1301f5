"""A Celery worker dies with its task in the middle of a load: the other one brings the rest, 0 lost, 0 doubled."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.demo.postgres import EmbeddedPostgres
from airflow_datahub.environment import connection
from airflow_datahub.spec import write_stubs
from airflow_datahub.state.store import Store
from tests.kill.celery_airflow import RECOVERY, CeleryAirflow
from tests.kill.killing import KILLS, again_and_again
from tests.kill.load import APPENDING, Load, Standing
from tests.redis_server import RedisServer
from tests.world import World, http_connection

pytestmark = [pytest.mark.kill, pytest.mark.airflow, pytest.mark.timeout(600)]

DEATHS = max(2, KILLS // 20)
"""Each takes as long as a worker is missed for; `make soak` has 10."""
EVENTS = 12_000
STEPS = ("extract", "tidy", "load")
SPEC = APPENDING.replace("tags:", "retry_delay: 1s\ntags:")
"""20 commits, each of two pages."""


class CeleryLoad(Load):
    """A load by Airflow, whose worker dies."""

    def __init__(self, world: World, text: str, name: str, airflow: CeleryAirflow):
        super().__init__(world, text.replace("connection: warehouse", f"connection: {name}"), name=name)
        self.name, self.airflow = name, airflow

    def lose_worker(self, chance: random.Random) -> bool:
        """Run it to its end, its worker dead in the middle; whether that came in the middle."""
        run_id = self.airflow.trigger(self.name)
        died = self.dead_worker(run_id, chance.randint(2, 10), chance.uniform(0, 0.1))
        self.look()
        in_the_middle = self.before.rows < EVENTS
        self.airflow.start_again(died)
        if in_the_middle:
            until(lambda: self.task(run_id)["try_number"] == 2 and self.task(run_id)["state"] == "running")
            assert self.airflow.worker_of(self.task(run_id)["pid"]) != died
        assert self.airflow.wait(self.name, run_id) == "success"
        self.told(run_id, tries=2 if in_the_middle else 1)
        self.finished()
        return in_the_middle

    def dead_worker(self, run_id: str, version: int, delay: float) -> str:
        """Kill the run's worker some seconds after so many commits; its name."""
        until(lambda: self.standing().version >= 1)
        pid = self.task(run_id)["pid"]
        name = self.airflow.worker_of(pid)
        until(lambda: self.standing().version >= version)
        time.sleep(delay)
        self.airflow.kill(name, pid)
        return name

    def task(self, run_id: str) -> dict[str, Any]:
        """The run's only task."""
        (task,) = self.airflow.tasks(self.name, run_id)
        return task

    def told(self, run_id: str, tries: int) -> None:
        """The ledger has one run of so many tries, with each record once."""
        environ = self.airflow.environment()
        with Store.open(lambda id_: connection(id_, environ), key=self.airflow.secrets["fernet_key"]) as store:
            run, steps = store.run(self.name, run_id), store.steps(self.name, run_id)
        assert run
        assert (run.state, run.tries) == ("success", tries)
        assert [steps[key].records_out for key in STEPS] == [EVENTS] * len(STEPS)
        assert steps["load"].inserted == EVENTS


def until(so: Callable[[], bool], timeout: float = 120) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + timeout
    while not so():
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def loads(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, CeleryLoad]]:
    """The appending load and its twin in an Airflow with Celery: PostgreSQL, Redis and two workers."""
    folder = tmp_path_factory.mktemp("celery")
    metadata = postgres.create_database("celery_airflow").replace("postgresql://", "postgresql+psycopg2://")
    databases = {name: postgres.create_database(f"celery_{name}") for name in ("appending", "twin")}
    with ExitStack() as stack:
        api = stack.enter_context(MockApi(events=EVENTS, duplicates=0, latency=0.08))
        redis = stack.enter_context(RedisServer())
        environment = {
            **RECOVERY,
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{metadata}",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{redis.port}/0",
        }
        connections = {"datasync": http_connection(api), **databases, "datahub_store": databases["appending"]}
        airflow = CeleryAirflow(folder / "home", folder / "dags", connections=connections, environment=environment)
        worlds = {name: World(folder / "dags", dsn, api) for name, dsn in databases.items()}
        twin = SPEC.replace("adapter: postgres", "adapter: tests.kill.twin:CheckpointFirst")
        made = {
            name: CeleryLoad(worlds[name], text, name, airflow)
            for name, text in (("appending", SPEC), ("twin", twin))
        }  # fmt: skip
        write_stubs(folder / "dags")
        stack.enter_context(airflow)
        for name in made:
            airflow.wait_for_dag(name)
            airflow.unpause(name)
        yield made


def test_the_load_of_a_worker_that_died_goes_on_at_the_other(loads: dict[str, CeleryLoad]) -> None:
    again_and_again(loads["appending"].lose_worker, seed=12, times=DEATHS)
    assert loads["appending"].before == Standing()


def test_a_twin_that_writes_the_checkpoint_first_loses(loads: dict[str, CeleryLoad]) -> None:
    with pytest.raises(AssertionError, match="rows and position differ"):
        again_and_again(loads["twin"].lose_worker, seed=1, times=10)
