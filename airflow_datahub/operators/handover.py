"""What the engine is told of an Airflow task: run, params, connections. Airflow-free code below never asks Airflow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import msgspec

from airflow_datahub.contract import Connection, Counted, Log, Run, Trigger, UndefinedConnection
from airflow_datahub.environment import SECTION, option, redis_connection, spool_folder
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.masking import Mask, forms
from airflow_datahub.spec import Pipeline, plan, resolve_params
from airflow_datahub.spool.manifest import Manifest
from airflow_datahub.state import Replay, Which

if TYPE_CHECKING:
    from airflow_datahub.state.store import Store

REPLAY = "datahub_replay"
"""In the `conf` of a DAG run: it replays rejects."""
_TRIGGERS: Mapping[str, Trigger] = {
    "scheduled": "schedule",
    "backfill": "schedule",
    "asset_triggered": "event",
}
"""By Airflow's run type. What a person, the REST API or another DAG started is `manual`: a task cannot tell them apart
(3.3 keeps `triggered_by` from it)."""


def run_of(
    pipeline: Pipeline,
    context: Mapping[str, Any],
    log: Log,
    stopping: threading.Event,
    on_count: Callable[[Counted], None] = lambda counted: None,
) -> Run:
    """The run that a task serves, with the params that it was given."""
    dag_run = context["dag_run"]
    return Run(
        pipeline=pipeline.id,
        run_id=dag_run.run_id,
        dag=dag_run.dag_id,
        task=task_name(context["ti"].task_id, context["ti"].map_index),
        map_index=-1 if context["ti"].map_index is None else context["ti"].map_index,
        started=dag_run.run_after,
        revision=pipeline.revision,
        trigger="replay" if REPLAY in (dag_run.conf or {}) else _TRIGGERS.get(str(dag_run.run_type.value), "manual"),
        params=_given(pipeline, context),
        connections=connection,
        redis=redis_connection(),
        spool=spool_root(),
        log=log,
        mask=Mask(also=keep_from_logs),
        stopping=stopping,
        on_count=on_count,
    )


def replay_of(context: Mapping[str, Any]) -> tuple[Replay, str] | None:
    """What a run of a DAG is to replay, and with which revision; None: it is none that replays.

    Raises ConfigurationError for a `conf` that says something else."""
    conf = context["dag_run"].conf or {}
    if REPLAY not in conf:
        return None
    try:
        wanted = msgspec.convert(conf[REPLAY], _Wanted)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"conf {REPLAY!r}: {error}") from error
    ids = frozenset(wanted.ids) if wanted.ids is not None else None
    which = Which(
        ids=ids, run_id=wanted.run_id, step=wanted.step, operator=wanted.operator, reason=wanted.reason,
        since=wanted.since,
    )  # fmt: skip
    by = getattr(context["dag_run"], "triggering_user_name", None)
    return Replay(which, f"{by} (Airflow)" if by else "Airflow"), wanted.revision


def handed_to(pipeline: Pipeline, stage: str, context: Mapping[str, Any]) -> dict[str, Manifest]:
    """What the stages before a stage returned; `commit` is told of all."""
    given = {key: Manifest.of(context["ti"].xcom_pull(task_ids=key)) for key in plan(pipeline).read_by(stage)}
    return {key: manifest for key, manifest in given.items() if manifest}


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """What `conf` says of a replay."""

    ids: list[int] | None = None
    run_id: str | None = None
    step: str | None = None
    operator: str | None = None
    reason: str | None = None
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    revision: Literal["current", "original"] = "current"


def task_name(task_id: str, map_index: int | None) -> str:
    """What the ledger calls a task."""
    return task_id if map_index in (None, -1) else f"{task_id}[{map_index}]"


def most_mapped() -> int:
    """Mapped tasks that Airflow takes, a thousand at most."""
    from airflow.configuration import conf

    from airflow_datahub.engine.partitions import MOST_TASKS

    return min(MOST_TASKS, conf.getint("core", "max_map_length"))


def template_values(parsed: Pipeline, pinned: Pipeline, context: Mapping[str, Any]) -> dict[str, Any]:
    """The names that a template may use. Raises ConfigurationError for a param that is wrong."""
    return {"params": resolve_params(pinned, _given(parsed, context)), "run_id": context["dag_run"].run_id}


def _given(parsed: Pipeline, context: Mapping[str, Any]) -> dict[str, Any]:
    """Without the defaults that Airflow adds: it has those of the spec as it is now, the run those it began with.

    Nor with what others added to the DAG or its task, as OpenLineage's provider does; Airflow's form sends it, too."""
    said, schemas = context["dag_run"].conf or {}, parsed.params
    added = {name for part in ("dag", "task") for name in getattr(context.get(part), "params", ())} - schemas.keys()
    return {
        name: value
        for name, value in context["params"].items()
        if name not in added and name != REPLAY and (name in said or value != schemas.get(name, {}).get("default", ...))
    }


def under_way(context: Mapping[str, Any]) -> bool:
    """Whether Airflow still wants this task to run; also where that cannot be found out.

    A person who fails a task, or marks it as done, changes its state first; the signal follows from that.
    """
    task: Any = context["ti"]
    try:
        states = task.get_task_states(
            dag_id=task.dag_id, run_ids=[task.run_id], task_ids=[task.task_id], map_index=task.map_index
        )
    except Exception:  # the API server may be going down, too
        return True
    return "running" in states.get(task.run_id, {"": "running"}).values()


def spool_root() -> Path | None:
    """The folder of what tasks hand to one another; None where none is named and workers may share no disk."""
    named = option("spool")
    if not named or "://" not in named:
        return spool_folder()
    from airflow.sdk import ObjectStoragePath

    return cast("Path", ObjectStoragePath(named))


def open_store(log: Log) -> Store:
    """The store of the task's Airflow: the connection that an option names, or SQLite under AIRFLOW_HOME."""
    from airflow.configuration import conf  # airflow.sdk's own leaves the default key as the text "{FERNET_KEY}"

    from airflow_datahub.state.store import Store

    key = conf.get(SECTION, "encryption_key", fallback=None) or conf.get("core", "fernet_key", fallback=None)
    return Store.open(connection, key=key or None, log=log)


def connection(connection_id: str) -> Connection:
    """Airflow's connection of that id, from any thread; Airflow masks its secrets in logs from here on.

    Raises UndefinedConnection when there is none, or none that this task may have."""
    from airflow.sdk import Connection as AirflowConnection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        found = AirflowConnection.get(connection_id)
    except AirflowNotFoundException:
        raise UndefinedConnection(
            f"connection {connection_id!r} is not defined: add it in Airflow under Admin, Connections, "
            f"or set AIRFLOW_CONN_{connection_id.upper()}"
        ) from None
    given = Connection(
        id=connection_id,
        type=found.conn_type or "",
        host=found.host,
        login=found.login,
        password=found.password,
        schema=found.schema,
        port=found.port,
        extra=found.extra_dejson,
    )
    for secret in given.secrets:
        keep_from_logs(secret)
    return given


def keep_from_logs(secret: str) -> None:
    """Have Airflow mask a secret in whatever is logged from here on; by itself it masks none that is encoded."""
    from airflow.sdk.log import mask_secret

    mask_secret(list(forms(secret)))
