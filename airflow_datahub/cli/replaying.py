"""A replay, here and now or as a run of the pipeline's DAG."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import typer

if TYPE_CHECKING:
    from airflow_datahub.engine import Outcome
    from airflow_datahub.spec import Pipeline
    from airflow_datahub.state import Which

Revision = Literal["current", "original"]


def here(pipeline: Pipeline, which: Which, revision: Revision, resume: str | None) -> None:
    """Run it in this process, to its end."""
    from airflow_datahub.cli.console import Console
    from airflow_datahub.cli.run import stop_on_signals
    from airflow_datahub.contract import Run
    from airflow_datahub.engine import Task, in_time, run_pipeline
    from airflow_datahub.engine.replaying import original_of
    from airflow_datahub.environment import connection, redis_connection, spool_folder
    from airflow_datahub.state.store import Store

    started, log = datetime.now(UTC), Console()
    run_id = resume or f"replay__{started:%Y-%m-%dT%H:%M:%S}_{uuid.uuid4().hex[:8]}"
    with stop_on_signals() as stopping:
        run = Run(
            pipeline=pipeline.id, run_id=run_id, started=started, trigger="replay", connections=connection,
            redis=redis_connection(), log=log, stopping=stopping, spool=spool_folder(),
        )  # fmt: skip

        def replayed() -> Outcome:
            with Store.open(log=log) as store:
                chosen = pipeline if revision == "current" or resume else original_of(pipeline, store, which)
                return run_pipeline(chosen, run, store, Task(replay=which))

        try:
            outcome = in_time(replayed, stopping, log)
        except BaseException:
            log.warning(f"to go on with this replay: airflow-datahub rejects replay {pipeline.file} --resume {run_id}")
            raise
    print(f"{outcome.records - outcome.rejected} replayed, {outcome.rejected} refused again (run {run_id})")


def in_airflow(pipeline: Pipeline, which: Which, revision: Revision) -> None:
    """Trigger the pipeline's DAG, whose run then is the replay."""
    given: dict[str, Any] = {name: value for name, value in asdict(which).items() if value is not None}
    given |= {"ids": sorted(which.ids)} if which.ids else {}
    given |= {"since": which.since.isoformat()} if which.since else {}
    conf = json.dumps({"datahub_replay": {**given, "revision": revision}})
    command = [sys.executable, "-m", "airflow", "dags", "trigger", pipeline.id, "--conf", conf]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - no shell
    if done.returncode:
        raise typer.BadParameter(f"Airflow refuses: {(done.stderr or done.stdout).strip()[-500:]}")
    print(f"a run of {pipeline.id} is triggered; it waits for those that are under way")
