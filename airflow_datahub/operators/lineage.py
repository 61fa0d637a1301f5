"""What OpenLineage is told of a stage. Imported only where its provider asks, so nothing breaks without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs
from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    RunFacet,
    data_quality_assertions_dataset,
    input_statistics_input_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)

from airflow_datahub.contract import Log, Place
from airflow_datahub.engine.rendering import rendered
from airflow_datahub.operators.handover import connection
from airflow_datahub.spec import Pipeline
from airflow_datahub.spec.words import Share

T = TypeVar("T")
Totals = Mapping[str, Mapping[str, float]]


@attrs.define
class LedgerRunFacet(RunFacet):
    """What each step has counted in this try."""

    pipeline: str = ""
    revision: str = ""
    steps: dict[str, dict[str, float]] = attrs.field(factory=dict)

    @staticmethod
    def _get_schema() -> str:
        return "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunFacet"


def on_start(pipeline: Pipeline, values: Mapping[str, Any], log: Log) -> OperatorLineage[Dataset, RunFacet]:
    """Where the stage reads and writes; `values` are those of its templates."""
    return _lineage(pipeline, _places(pipeline, values, log), {}, {})


def on_complete(
    pipeline: Pipeline, values: Mapping[str, Any], totals: Totals, log: Log
) -> OperatorLineage[Dataset, RunFacet]:
    """The same with what this try has counted, and the columns of what was written to."""
    places = _places(pipeline, values, log)
    extract, load = totals.get(pipeline.extract.key, {}), totals.get(pipeline.load.key, {})
    inputs: dict[str, Any] = {"inputStatistics": _read(extract)} if extract else {}
    if assertions := _budgets(pipeline, totals):
        inputs["dataQualityAssertions"] = assertions
    outputs = {"outputStatistics": _written(load)} if load else {}
    made = _lineage(pipeline, places, inputs, outputs)
    for dataset in made.outputs:
        if columns := _known(lambda: pipeline.load.sink.fields(connection), log):
            fields = [schema_dataset.SchemaDatasetFacetFields(name, kind) for name, kind in columns]
            dataset.facets = {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)}
    steps = {key: dict(counts) for key, counts in totals.items()}
    made.run_facets = {"airflow_datahub": LedgerRunFacet(pipeline.id, pipeline.revision, steps)}
    return made


def _lineage(
    pipeline: Pipeline, places: tuple[Place | None, Place | None], inputs: Any, outputs: Any
) -> OperatorLineage[Dataset, RunFacet]:
    source, target = places
    return OperatorLineage(
        inputs=[InputDataset(source.namespace, source.name, inputFacets=inputs)] if source else [],
        outputs=[OutputDataset(target.namespace, target.name, outputFacets=outputs)] if target else [],
    )


def _places(pipeline: Pipeline, values: Mapping[str, Any], log: Log) -> tuple[Place | None, Place | None]:
    return (
        _known(lambda: rendered(pipeline.extract.source, values).place(connection), log),
        _known(lambda: rendered(pipeline.load.sink, values).place(connection), log),
    )


def _known(ask: Callable[[], T], log: Log) -> T | None:
    """A connection that is missing or wrong is told of by the task itself; here it only leaves a gap."""
    try:
        return ask()
    except Exception as error:
        log.debug("lineage_not_known", reason=f"{type(error).__name__}: {error}")
        return None


def _read(extract: Mapping[str, float]) -> Any:
    return input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
        rowCount=int(extract["records_in"]), size=int(extract["bytes"]) or None
    )


def _written(load: Mapping[str, float]) -> Any:
    """Rows that are other than before. What bytes a database makes of them nobody counts."""
    rows = sum(int(load[name]) for name in ("inserted", "updated", "deleted"))
    return output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)


def _budgets(pipeline: Pipeline, totals: Totals) -> Any:
    """The pipeline's own demands on its data, and whether this try met them."""
    read = totals.get(pipeline.extract.key, {}).get("records_in", 0)
    rejected = sum(counts["rejected"] for counts in totals.values())
    found, most = [], pipeline.rejects.max
    if most is not None:
        within = rejected <= (most.part * read if isinstance(most, Share) else most)
        found.append(data_quality_assertions_dataset.Assertion(f"rejects.max: {most}", bool(within)))
    if least := pipeline.expect.min_records:
        found.append(data_quality_assertions_dataset.Assertion(f"expect.min_records: {least}", read >= least))
    return data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(found) if found and totals else None
