"""For hand-written DAGs: a source, transforms and a sink in one task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow.sdk.definitions._internal.mixins import ResolveMixin
from airflow.sdk.exceptions import AirflowFailException

from airflow_datahub.errors import SpecError
from airflow_datahub.operators.assets import asset_of
from airflow_datahub.operators.inputs import Inputs, used
from airflow_datahub.operators.naming import identity
from airflow_datahub.operators.stage import StageOperator
from airflow_datahub.spec import Pipeline
from airflow_datahub.spec.builder import Given, part, pipeline
from airflow_datahub.spec.writing import fenced, written
from airflow_datahub.spool.manifest import Manifest

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import Context, XComArg

RECORDS = "airflow_datahub.spool.handed:Handed"
"""The source of what a task before hands over."""


class IngestOperator(StageOperator):
    """Brings what is new from a source through transforms into a sink, with the engine, checkpoints, rejects and ledger
    of a spec's task.

    Adapters are given by name, as `adapter.http_api(connection="shop", path="/orders")`, or as objects; where a field
    of one given by name takes a template, the result of another task can stand. The source may also be the result of a
    task that returns a list of records. Raises SpecError, with all mistakes, when the DAG file is parsed.

    `pipeline_id` is what checkpoints, ledger and rejects call this task, by default `<dag_id>__<task_id>`. Of a mapped
    task each instance needs a `partition`, a text of its own that stays the same: it has a checkpoint of its own.
    `on_error`, `rejects`, `expect` and `throughput` are those of a spec. One run at a time works on a checkpoint, so
    `max_active_tis_per_dag` is 1 unless it is given.
    """

    own_params: ClassVar[tuple[str, ...]] = ()
    """Params of its pipeline that it fills itself."""

    reads_files: ClassVar[bool] = False
    """Whether it knows what to do with the files of an ExtractOperator."""

    template_fields: Sequence[str] = ("inputs", "partition", "templated", "source", "transforms", "sink")

    def __init__(
        self,
        *,
        source: Given | XComArg,
        sink: Given,
        transforms: Sequence[Given] = (),
        pipeline_id: str | None = None,
        partition: str | XComArg | None = None,
        on_error: str | None = None,
        rejects: Mapping[str, Any] | None = None,
        expect: Mapping[str, Any] | None = None,
        throughput: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(pipeline=cast("Pipeline", None), **kwargs)  # its id is known from here on
        self._names = (pipeline_id,) if pipeline_id else self._of_dag()
        inputs, of_steps = Inputs(), {"on_error": on_error} if on_error else {}
        ends, between = (inputs.put_aside(_source(source)), inputs.put_aside(sink)), inputs.put_aside(transforms)
        made = pipeline(pipeline_id or identity(*self._names)).extract(ends[0]).step(**of_steps)
        made = made.transform(*between).step(**of_steps) if between else made
        made = made.load(ends[1]).step(**of_steps)
        params = used(self.params, "".join(written(step.words) for step in made.steps))  # type: ignore[arg-type]
        params |= inputs.schemas() | {name: {} for name in self.own_params}
        head = {"params": params, "rejects": rejects, "expect": expect, "throughput": throughput}
        self._builder = made.words(**{word: value for word, value in head.items() if value})
        self.pipeline = self._builder.build()
        self.inputs, self.partition = dict.fromkeys(self.own_params) | inputs.found, partition
        self.source = self.transforms = self.sink = None
        """Nothing for Airflow to render; it looks through a mapped task's arguments of these names for results."""
        if self.dag.task_dict.get(self.task_id) is self:  # not the instance that a mapped task runs as
            self._tell_airflow()

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Take the results of other tasks, then show Airflow what our renderer made of the templates."""
        super(StageOperator, self).render_template_fields(context, jinja_env)
        self._take_partition(context)
        super().render_template_fields(self._with_params(context), jinja_env)

    def execute(self, context: Context) -> Any:
        """Run the stage; what it counted, small enough for an XCom."""
        self._take_partition(context)  # Airflow renders the fields of a mapped task without asking it
        if not self.reads_files and Manifest.of(self.inputs.get("input_1")):
            raise AirflowFailException(
                f"pipeline {self.pipeline.id!r}: files of an ExtractOperator want a LoadOperator"
            )
        return super().execute(self._with_params(context))

    def _of_dag(self) -> tuple[str, ...]:
        if self._dag is None:
            raise SpecError([part({"key": self.task_id}).problem("make it inside a DAG (`with DAG(…):`)")])
        return self.dag.dag_id, self.task_id

    def _with_params(self, context: Context) -> Context:
        """The context with those params that the pipeline knows; a DAG may have others."""
        params = {name: context["params"][name] for name in self.pipeline.params if name in context["params"]}
        return cast("Context", {**context, "params": params | self.inputs})

    def _tell_airflow(self) -> None:
        sink, dag = self.pipeline.load.sink, self.dag
        if asset := sink.asset():
            self.outlets = [*self.outlets, asset_of(*asset)]
        if self.doc_md is None:
            self.doc_md = fenced(self.pipeline.text)
        alone = not sink.keeps_checkpoint or self.get_closest_mapped_task_group() is not None
        if self.max_active_tis_per_dag is None and dag.max_active_runs != 1 and not alone:
            self.max_active_tis_per_dag = 1

    def _take_partition(self, context: Context) -> None:
        """From here on the instance is a pipeline of its own."""
        if self.partition is not None:
            self.meter  # noqa: B018 - named now: a partition's own name would be one more value of a metric's tag
            own = identity(*self._names, str(self.partition))
            self.pipeline = self._builder.words(id=own).build()
        elif (context["ti"].map_index or 0) > -1:
            raise AirflowFailException(
                f"pipeline {self.pipeline.id!r}: a mapped task needs `partition`, a text of its own for each instance, "
                f"under which its checkpoint is kept: `.expand_kwargs([{{'source': …, 'partition': 'de'}}, …])`"
            )


def _source(source: Any) -> Any:
    """A result of a task is the records themselves."""
    return {RECORDS: {"what": source}} if isinstance(source, ResolveMixin) else source
