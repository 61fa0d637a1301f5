"""A run stays with the spec that its first try had, whatever becomes of the file meanwhile.

The ledger names the run's revision from its first try on, and the store keeps that revision's text.
"""

from __future__ import annotations

from dataclasses import replace

from airflow_datahub.contract import Run
from airflow_datahub.errors import ConfigurationError, SpecError
from airflow_datahub.spec import Pipeline, loads, plan, shape_of
from airflow_datahub.state.store import Store

SHORT = 12
"""Characters of a revision that are shown."""


def pinned(pipeline: Pipeline, run_id: str, store: Store) -> Pipeline:
    """The pipeline that a run is to have: the one that it began with, else the one given. Nothing is written.

    Raises SpecError where this release refuses the text that it began with, ConfigurationError where there is none.
    """
    row = store.run(pipeline.id, run_id)
    return pipeline if row is None else _as_kept(pipeline, row.revision, run_id, store)


def begun(pipeline: Pipeline, revision: str, run: Run, store: Store) -> Pipeline:
    """The same for a try that has begun, of a run of that revision.

    Raises ConfigurationError, too, where the stages are others now: the tasks that Airflow made of them are not those
    of the run.
    """
    kept = _as_kept(pipeline, revision, run.run_id, store)
    if kept is pipeline:
        return pipeline
    if shape_of(kept) != shape_of(pipeline):
        raise ConfigurationError(_differ(kept, pipeline, run.run_id))
    run.log.warning("spec_changed_since_the_run_began", runs=kept.revision[:SHORT], file_has=pipeline.revision[:SHORT])
    return kept


def _as_kept(pipeline: Pipeline, revision: str, run_id: str, store: Store) -> Pipeline:
    if revision == pipeline.revision:
        return pipeline
    row = store.revisions.get(pipeline.id, revision)
    if row is None:
        raise ConfigurationError(
            f"the run {run_id!r} of pipeline {pipeline.id!r} began with revision {revision[:SHORT]}, whose text the "
            f"store does not have, and {pipeline.file} is another one now; start a new run"
        )
    return _loaded(row.text, pipeline, revision)


def _loaded(text: str, pipeline: Pipeline, revision: str) -> Pipeline:
    """What is wrong with a stored text is said of `orders.yaml@4f2a…`, since the file has another."""
    try:
        return loads(text, str(pipeline.file)).model_copy(update={"file": pipeline.file})
    except SpecError as error:
        name = f"{pipeline.file}@{revision[:SHORT]}"
        raise SpecError([replace(problem, file=name) for problem in error.problems]) from None


def _stages(pipeline: Pipeline) -> list[str]:
    return [stage.key for stage in plan(pipeline).stages]


def _differ(kept: Pipeline, pipeline: Pipeline, run_id: str) -> str:
    stages, now = (", ".join(_stages(each)) for each in (kept, pipeline))
    return (
        f"the run {run_id!r} of pipeline {kept.id!r} began with the stages {stages}, and the spec has been changed to "
        f"{now} since. To end this run, put the old spec back with `airflow-datahub revisions revert {pipeline.file} "
        f"{kept.revision[:SHORT]}` and clear its task in Airflow; or start a new run, which goes on where this one "
        f"stands"
    )
