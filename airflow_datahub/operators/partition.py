"""The operator behind the mapped tasks of a pipeline whose source is read in parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow_datahub.contract import Partition
from airflow_datahub.operators.stage import StageOperator
from airflow_datahub.spec.plan import PARTITIONS

if TYPE_CHECKING:
    from airflow_datahub.engine import Task
    from airflow_datahub.spec import Pipeline


class PartitionOperator(StageOperator):
    """Runs a stage for one partition, or a few neighbours; the DAG factory expands it over what the task `partitions`
    returns.

    Airflow would write a pipeline that a mapped task is given into the serialised DAG, so that it takes that task's."""

    template_fields: Sequence[str] = ("templated", "pack")
    template_fields_renderers: ClassVar[dict[str, str]] = {"templated": "json", "pack": "json"}

    def __init__(self, *, stage: str, pack: Mapping[str, Any], **kwargs: Any):
        """`pack`: what this instance is to read, as Pack writes it."""
        super().__init__(pipeline=cast("Pipeline", None), stage=stage, **kwargs)
        cutting = self.dag.get_task(PARTITIONS)
        assert isinstance(cutting, StageOperator)
        self.pipeline, self.pack = cutting.pipeline, pack

    @property
    def label(self) -> str:
        """What Airflow's pages call this instance."""
        return str(self.pack["label"])

    def _part(self) -> tuple[Pipeline, dict[str, Any]]:
        """Airflow renders no fields of a mapped task by asking it, so lineage has the defaults of params."""
        pipeline, values = super()._part()
        params = {name: schema.get("default") for name, schema in pipeline.params.items()}
        return pipeline, {"params": params, "partition": Partition(self.label).values, **values}

    def _task(self, context: Mapping[str, Any]) -> Task:
        from airflow_datahub.engine.partitions import Pack

        return replace(super()._task(context), pack=Pack.of(self.pack))
