"""The operator behind every task of a pipeline: one stage of its plan."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
)

from airflow_datahub.errors import ConfigurationError, Interrupted, RetryLater, SpecError, StopRun
from airflow_datahub.operators.handover import (
    handed_to,
    most_mapped,
    open_store,
    replay_of,
    run_of,
    template_values,
    under_way,
)
from airflow_datahub.spec import plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    import jinja2
    from airflow.sdk import Context

    from airflow_datahub.engine import Outcome, Task
    from airflow_datahub.operators.metrics import Meter
    from airflow_datahub.spec import AnyStep, Pipeline

LONGEST_WAIT = timedelta(hours=24)
"""How long the tries of one task may be put off together before it fails."""

SOONEST = timedelta(seconds=30)
"""Before a task that was put off may run again. Airflow's scheduler takes the end of the process for that of the new
try when it hears of it after that was queued: it then starts a second one beside it (seen with 0 s on 3.3.2)."""

_WAITED = "datahub_waited_seconds"


class StageOperator(BaseOperator):
    """Runs the stage of a pipeline in this task's process; the DAG factory makes it.

    What was parsed is for a run that begins; one that has begun, here or elsewhere, goes on with what it began with.
    """

    template_fields: Sequence[str] = ("templated",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"templated": "json"}
    shallow_copy_attrs: Sequence[str] = ("pipeline",)
    _asked: tuple[Pipeline, dict[str, Any]] | None = None
    """What the run began with and the values of its templates, once they are known."""

    def __init__(self, *, pipeline: Pipeline, stage: str | None = None, **kwargs: Any):
        """`stage`: the key of the one that it runs; None: the only one."""
        super().__init__(**kwargs)
        self.pipeline, self.stage = pipeline, stage
        self.templated: dict[str, Any] = {}

    @cached_property
    def stopping(self) -> threading.Event:
        """Set once the task is to end; made late, because an operator that is only parsed gets copied."""
        return threading.Event()

    @cached_property
    def meter(self) -> Meter:
        """What this try has counted, for metrics and lineage."""
        from airflow_datahub.operators.metrics import Meter

        return Meter(self.pipeline.id, self.log)

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Show Airflow what our renderer made of the templates; Airflow's own never sees them."""
        from airflow_datahub.engine.pinning import pinned
        from airflow_datahub.engine.rendering import rendered_fields

        try:
            with open_store(self.log) as store:
                pipeline = pinned(self.pipeline, context["dag_run"].run_id, store)
            values = template_values(self.pipeline, pipeline, dict(context))
            self.templated = rendered_fields(self._steps(pipeline), values)
            self._asked = (pipeline, values)
            self.meter  # noqa: B018 - named now: a partition's own name would be one more value of a metric's tag
        except (SpecError, ConfigurationError) as error:
            raise AirflowFailException(f"pipeline {self.pipeline.id!r}: {error}") from error

    def execute(self, context: Context) -> Any:
        """Run the stage; what it counted, small enough for an XCom. Where it cuts the source: what each mapped task is
        to read."""
        outcome = self._run(dict(context))
        if outcome.skipped is not None:
            raise AirflowSkipException(outcome.skipped)
        if outcome.packs is not None:
            return [pack.as_json() for pack in outcome.packs]
        counted = {"records": outcome.records, "rejected": outcome.rejected, "seconds": round(outcome.seconds, 3)}
        return {**(outcome.manifest.as_json() if outcome.manifest else {}), **counted}

    def get_openlineage_facets_on_start(self) -> Any:
        """Airflow's OpenLineage provider asks for it, in a process of its own."""
        from airflow_datahub.operators import lineage

        return lineage.on_start(*self._part(), self.log)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """The same at the end of a try, however it ended."""
        from airflow_datahub.operators import lineage

        return lineage.on_complete(*self._part(), self.meter.totals, self.log)

    def _part(self) -> tuple[Pipeline, dict[str, Any]]:
        """What this task runs, and the values of its templates."""
        from airflow_datahub.engine.parts import part_of

        pipeline, values = self._asked or (self.pipeline, {})
        if self.stage is None:
            return pipeline, values
        return part_of(pipeline, plan(pipeline).stage(self.stage)), {"inputs": [], "spool": {}, **values}

    def on_kill(self) -> None:
        """Airflow's SIGTERM, five seconds before it kills: tell the engine to leave."""
        self.stopping.set()

    def _run(self, context: Mapping[str, Any]) -> Outcome:
        """The engine's errors in Airflow's words; what is not named here is for the task's retries."""
        from airflow_datahub.engine import in_time

        try:
            with self.meter.timed():
                return in_time(lambda: self._ingest(context), self.stopping, self.log)
        except (SpecError, ConfigurationError, StopRun) as error:
            raise AirflowFailException(str(error)) from error
        except RetryLater as error:
            raise self._put_off(error, context["task_state_store"]) from error
        except Interrupted as error:
            raise self._stopped(error, context) from error

    def _ingest(self, context: Mapping[str, Any]) -> Outcome:
        from airflow_datahub.engine import run_pipeline
        from airflow_datahub.engine.replaying import original_of

        run = run_of(self.pipeline, context, self.log, self.stopping, self.meter.add)
        replay, revision = replay_of(context) or (None, "current")
        with open_store(self.log) as store:
            pipeline = self.pipeline
            if replay and revision == "original":
                pipeline = original_of(pipeline, run.run_id, store, replay.which)
            return run_pipeline(pipeline, run, store, self._task(context))

    def _task(self, context: Mapping[str, Any]) -> Task:
        """What is to be done."""
        from airflow_datahub.engine import Task

        replay, _ = replay_of(context) or (None, "")
        last_try = context["ti"].try_number > (context["ti"].max_tries or 0)
        handed = handed_to(self.pipeline, self.stage, context) if self.stage else {}
        return Task(stage=self.stage, handed=handed, replay=replay, last_try=last_try, most=most_mapped())

    def _steps(self, pipeline: Pipeline) -> list[AnyStep]:
        keys = plan(pipeline).stage(self.stage).steps if self.stage else pipeline.order
        return [step for step in pipeline.steps if step.key in keys]

    def _stopped(self, error: Interrupted, context: Mapping[str, Any]) -> AirflowException:
        """What a deployment stopped goes on by itself, without using up a try; what a person ended stays so.

        Airflow's server would refuse to put off what a person ended; it is asked first for the sake of log and
        callbacks."""
        if not under_way(context):
            return AirflowFailException(f"ingestion interrupted: {error}")
        self.log.info("stopped_by_the_deployment", goes_on="by itself, without using up a try")
        return _again_after(SOONEST)

    def _put_off(self, error: RetryLater, memory: Any) -> AirflowException:
        """Another try after the delay that was asked for, without using one up; a failure after a day of that.

        Delays are added up rather than clocks compared; Airflow's task state store keeps the sum between tries."""
        waited = float(memory.get(_WAITED, 0.0)) + error.delay
        if waited > LONGEST_WAIT.total_seconds():
            memory.delete(_WAITED)
            return AirflowFailException(f"{error} (put off for more than 24 hours in this run: given up)")
        memory.set(_WAITED, waited)
        self.log.warning(f"{error}; the next try is in {error.delay:.0f} s")
        return _again_after(max(timedelta(seconds=error.delay), SOONEST))


def _again_after(delay: timedelta) -> AirflowException:
    """Airflow takes a date only, which its scheduler compares with its own clock, as it does for retries."""
    return AirflowRescheduleException(datetime.now(UTC) + delay)  # type: ignore[no-untyped-call]
