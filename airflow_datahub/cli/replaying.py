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
    from airflow_datahub.spec import Pipeline
    from airflow_datahub.state import Which
    from airflow_datahub.state.store import Store

Revision = Literal["current", "original"]


def here(pipeline: Pipeline, which: Which, revision: Revision, resume: str | None, yes: bool) -> None:
    """Run it in this process, to its end; `yes` approves at gates."""
    from airflow_datahub.cli.actor import actor
    from airflow_datahub.cli.console import Console
    from airflow_datahub.cli.run import approver, stop_on_signals
    from airflow_datahub.contract import Run
    from airflow_datahub.engine import in_time
    from airflow_datahub.engine.pinning import pinned
    from airflow_datahub.engine.replaying import original_of
    from airflow_datahub.engine.whole import run_whole
    from airflow_datahub.environment import connection, redis_connection, spool_folder
    from airflow_datahub.state import Replay
    from airflow_datahub.state.store import Store

    started, log = datetime.now(UTC), Console()
    run_id = resume or f"replay__{started:%Y-%m-%dT%H:%M:%S}_{uuid.uuid4().hex[:8]}"
    with stop_on_signals() as stopping:
        run = Run(
            pipeline=pipeline.id, run_id=run_id, started=started, trigger="replay", connections=connection,
            redis=redis_connection(), log=log, stopping=stopping, spool=spool_folder(),
        )  # fmt: skip

        def replayed() -> str | None:
            with Store.open(log=log) as store:
                chosen = original_of(pipeline, run_id, store, which) if revision == "original" else pipeline
                chosen, replay = pinned(chosen, run_id, store), Replay(which, actor())
                outcome = run_whole(chosen, run, store, approver(yes), replay=replay)
                return None if outcome.skipped else _told(chosen, run_id, store)

        try:
            told = in_time(replayed, stopping, log)
        except BaseException:
            log.warning(_to_go_on(pipeline, run_id))
            raise
    print(told or f"a gate was refused; {_to_go_on(pipeline, run_id)}")


def _told(pipeline: Pipeline, run_id: str, store: Store) -> str:
    """What became of the rejects; the ledger counts as unchanged what a load has left as it was."""
    taken, again = store.replays.result(pipeline.id, run_id)
    passed_over = sum(counters.unchanged for counters in store.steps(pipeline.id, run_id).values())
    superseded = f", {passed_over} of them superseded by what is there" if passed_over else ""
    return f"{taken - again} replayed{superseded}, {again} refused again (run {run_id})"


def _to_go_on(pipeline: Pipeline, run_id: str) -> str:
    return f"to go on with this replay: airflow-datahub rejects replay {pipeline.file} --resume {run_id}"


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
