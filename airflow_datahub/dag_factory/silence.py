"""Look whether records have stopped to come, and tell of it: at the end of a run, and when a run does not end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import structlog

from airflow_datahub.operators.handover import open_store
from airflow_datahub.quantities import shortest
from airflow_datahub.spec.notices import Notice
from airflow_datahub.state.arrivals import TOLD


async def look(pipeline: str, seconds: float, notices: list[dict[str, Any]], context: Any = None) -> str:
    """Airflow's triggerer calls it when a run has not ended in time: by then other runs may have brought something."""
    from asgiref.sync import sync_to_async  # the way in which Airflow's connections can be asked from here

    wanted = tuple(Notice(**each) for each in notices)
    told = await sync_to_async(tell)(pipeline, timedelta(seconds=seconds), wanted, _as_elsewhere(context or {}))
    return "told" if told else "nothing to tell"


def tell(pipeline: str, silence: timedelta, notices: Iterable[Notice], context: Any) -> bool:
    """Tell every notifier, unless a record has come meanwhile or they were told already; whether there was cause.

    Their context holds `reason` and `silent_since` besides Airflow's own. One that fails does not keep the others from
    being told; it is raised at the end, and all are told again at the next look."""
    from airflow_datahub.dag_factory.notifying import Telling

    log = structlog.get_logger(__name__)
    with open_store(log) as store:
        since = store.silent_since(pipeline, silence)
        if since is None:
            return False
        reason = f"no record has come for {shortest(silence)} or longer, since {since:%Y-%m-%d %H:%M:%S} UTC"
        failures = []
        for notice in notices:
            try:
                Telling(notice.path, notice.fields)({**context, "reason": reason, "silent_since": since.isoformat()})
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]
        store.audit("airflow", TOLD, pipeline, reason)
    log.warning("silence_told", pipeline=pipeline, reason=reason)
    return True


def _as_elsewhere(context: Any) -> dict[str, Any]:
    """Airflow gives a deadline's callback a run as its REST API has it; templates know it by other names."""
    run = {**context.get("dag_run", {})}
    run["run_id"] = run.get("dag_run_id")
    return {**context, "dag_run": run, "run_id": run["run_id"]}
