"""A spec's `notify` in Airflow's words: callbacks of the DAG and of its tasks, and a deadline alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from typing import Any

from airflow_datahub.spec import Pipeline
from airflow_datahub.spec.notices import Notice

LOOK = "airflow_datahub.dag_factory.silence.look"
"""What the deadline alert calls; Airflow keeps it as a text."""


@dataclass(frozen=True)
class Telling:
    """A callback that makes the notifier when there is something to tell: whoever parses need not import it."""

    path: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, context: Any) -> None:
        """Airflow calls it with the context of the run; what the notifier raises is logged there."""
        module, name = self.path.replace(":", ".").rsplit(".", 1)
        getattr(import_module(module), name)(**self.fields)(context)


@dataclass(frozen=True)
class Listening:
    """A callback of a run that has ended: has nothing come for too long?"""

    pipeline: str
    silence: timedelta
    notices: tuple[Notice, ...]

    def __call__(self, context: Any) -> None:
        """See Telling."""
        from airflow_datahub.dag_factory.silence import tell

        tell(self.pipeline, self.silence, self.notices, context)


def of_dag(pipeline: Pipeline) -> dict[str, Any]:
    """Arguments of the DAG; only what the spec asks for."""
    notify = pipeline.notify
    success, failure = _telling(notify.success), _telling(notify.failure)
    if notify.silence:
        listening = Listening(pipeline.id, notify.silence, notify.failure)
        success, failure = [*success, listening], [*failure, listening]
    callbacks = {"on_success_callback": success, "on_failure_callback": failure}
    given: dict[str, Any] = {name: found for name, found in callbacks.items() if found}
    return given | ({"deadline": _deadline(pipeline, notify.silence)} if notify.silence else {})


def of_task(pipeline: Pipeline) -> dict[str, Any]:
    """Arguments of a task."""
    retry = _telling(pipeline.notify.retry)
    return {"on_retry_callback": retry} if retry else {}


def _telling(notices: tuple[Notice, ...]) -> list[Any]:
    return [Telling(notice.path, notice.fields) for notice in notices]


def _deadline(pipeline: Pipeline, silence: timedelta) -> Any:
    """For a run that does not end; Airflow drops it when the run succeeds in time."""
    from airflow.sdk.definitions.callback import AsyncCallback
    from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

    notices = [{"path": each.path, "fields": dict(each.fields)} for each in pipeline.notify.failure]
    asked = {"pipeline": pipeline.id, "seconds": silence.total_seconds(), "notices": notices}
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=silence,
        callback=AsyncCallback(LOOK, kwargs=asked),
        name="silence",
    )
