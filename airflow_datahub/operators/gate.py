"""A gate of a pipeline: Airflow's own human-in-the-loop operator, which waits without holding a worker."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_datahub.errors import ConfigurationError, SpecError
from airflow_datahub.operators.handover import handed_to, open_store, replay_of, template_values
from airflow_datahub.spec import GateStep, Pipeline, is_on, plan
from airflow_datahub.spool.manifest import coming, counted

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import Context

APPROVE, REFUSE = "Approve", "Refuse"


class GateOperator(HITLOperator):
    """Lets the stages behind it run once a person has approved, or what the step says besides; else they are skipped.

    What ran before it does not run again: its files wait.
    """

    template_fields: Collection[str] = ()

    def __init__(self, *, pipeline: Pipeline, stage: str, **kwargs: Any):
        step = _step(pipeline, stage)
        after = next(iter(step.after.items()), None) if step.after else None
        super().__init__(
            subject=step.message,
            options=[APPROVE, REFUSE],
            defaults=None if after is None else APPROVE if after[1] == "approve" else REFUSE,
            response_timeout=after[0] if after else None,
            assigned_users=[{"id": name, "name": name} for name in step.approvers] or None,
            **kwargs,
        )
        self.pipeline, self.stage = pipeline, stage

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Fill in the message; Airflow's own renderer never sees it."""
        from airflow_datahub.engine.pinning import pinned
        from airflow_datahub.engine.rendering import rendered_text

        try:
            with open_store(self.log) as store:
                pipeline = pinned(self.pipeline, context["dag_run"].run_id, store)
            values = template_values(self.pipeline, pipeline, dict(context))
            step = _step(pipeline, self.stage)
            self._on, self.subject = is_on(step, values["params"]), str(rendered_text("message", step.message, values))
        except (SpecError, ConfigurationError) as error:
            raise AirflowFailException(f"pipeline {self.pipeline.id!r}: {error}") from error

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, unless the gate is off or there are few enough rejects."""
        read, rejected = self._counted(dict(context))
        if not read and replay_of(context):
            return self._passed("nothing that is replayed comes by")
        if not self._on:
            return self._passed("the gate is off")
        if not _step(self.pipeline, self.stage).asks(read, rejected):
            return self._passed(f"{rejected:,} of {read:,} records were rejected, which nobody needs to be asked about")
        self.body = f"Run `{context['dag_run'].run_id}`: {read:,} records read, {rejected:,} rejected so far."
        return super().execute(context)  # type: ignore[no-any-return]

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on, or skip what is behind."""
        answer = super().execute_complete(context, event)
        if REFUSE in answer["chosen_options"]:
            with open_store(self.log) as store:
                store.end(self.pipeline.id, context["dag_run"].run_id, "skipped", f"refused at gate {self.stage!r}")
            raise AirflowSkipException(f"refused at gate {self.stage!r}: nothing behind it runs")
        return answer

    def _passed(self, why: str) -> dict[str, Any]:
        self.log.info("gate_passed", gate=self.stage, why=why)
        return {"chosen_options": [APPROVE], "why": why}

    def _counted(self, context: Mapping[str, Any]) -> tuple[int, int]:
        """Records that sources gave so far, in a replay those that come by, and rejects."""
        given = handed_to(self.pipeline, self.stage, context)
        read, rejected = counted(given.values())
        return coming(plan(self.pipeline).stage(self.stage).inputs, given) if replay_of(context) else read, rejected


def _step(pipeline: Pipeline, key: str) -> GateStep:
    step = next(step for step in pipeline.steps if step.key == key)
    assert isinstance(step, GateStep)
    return step
