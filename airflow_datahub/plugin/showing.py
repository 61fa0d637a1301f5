"""What a page shows of a run, as plain data: the same for HTML and JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from airflow_datahub.state import Counters, RejectGroup, RejectRow, RunRow, Which
from airflow_datahub.state.hiding import hidden
from airflow_datahub.state.store import MOST_REASONS, Store

PAGE = 50
"""Rejects on a page."""
MOST_GROUPS = 50

_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|\b[0-9][0-9.,:T-]*""")


@dataclass(frozen=True)
class Ledger:
    """What a run of one pipeline has done, over all its tries."""

    run: RunRow
    steps: Mapping[str, Counters]

    @property
    def rejected(self) -> int:
        """Of all steps."""
        return sum(counts.rejected for counts in self.steps.values())

    def as_json(self) -> dict[str, Any]:
        """For the API."""
        return {"run": asdict(self.run), "steps": [{"step": key, **asdict(c)} for key, c in self.steps.items()]}


@dataclass(frozen=True)
class Group:
    """Rejects whose reasons differ only in the values that they quote."""

    of: RejectGroup
    example: RejectRow


@dataclass(frozen=True)
class Rejects:
    """One page of a run's rejects, below all of them in groups."""

    run: RunRow
    others: list[RunRow]
    """Of other pipelines in the same run of the DAG."""
    groups: list[Group]
    complete: bool
    """Whether the groups are all there are."""
    rows: list[RejectRow]
    older: int | None
    """What the next page is asked for by; None on the last one."""

    def as_json(self) -> dict[str, Any]:
        """For the API."""
        groups = [asdict(group.of) | {"example": asdict(group.example)} for group in self.groups]
        rows = [asdict(row) for row in self.rows]
        return {
            "pipeline": self.run.pipeline,
            "groups": groups,
            "complete": self.complete,
            "rejects": rows,
            "older": self.older,
        }


def ledgers_of(store: Store, dag: str, run_id: str) -> list[Ledger]:
    """The ledgers of what a run of a DAG has run."""
    return [Ledger(run, store.steps(run.pipeline, run_id)) for run in store.of_dag_run(dag, run_id)]


def rejects_of(
    store: Store, dag: str, run_id: str, pipeline: str | None, before: int | None, like: int | None
) -> Rejects | None:
    """The rejects of a run, masked as its spec asks; None where no such run is kept.

    `pipeline` is by default the first of the DAG run, `before` the `older` of the page before, `like` the id of a
    reject: only those of its step, operator and field.
    """
    runs = store.of_dag_run(dag, run_id)
    run = next((run for run in runs if pipeline in (None, run.pipeline)), None)
    if run is None:
        return None
    found = store.rejects(run.pipeline, Which(run_id=run_id), limit=PAGE + 1, before=before, like=like)
    rows, more = [hidden(row) for row in found[:PAGE]], len(found) > PAGE
    groups, complete = _groups(store, run.pipeline, run_id)
    others = [other for other in runs if other is not run]
    return Rejects(run, others, groups, complete, rows, rows[-1].id if more else None)


def _groups(store: Store, pipeline: str, run_id: str) -> tuple[list[Group], bool]:
    found = store.reject_groups(pipeline, run_id)
    merged: dict[tuple[str | None, ...], RejectGroup] = {}
    for group in found:
        key = (group.step, group.operator, group.field, _QUOTED.sub("…", group.reason))
        known = merged.get(key)
        merged[key] = replace(known, count=known.count + group.count) if known else group
    most = sorted(merged.values(), key=lambda group: -group.count)[:MOST_GROUPS]
    first = Which(ids=frozenset(group.example for group in most))
    examples = {row.id: hidden(row) for row in store.rejects(pipeline, first)}
    groups = [_shown(group, examples[group.example]) for group in most if group.example in examples]
    return groups, len(found) < MOST_REASONS and len(most) == len(merged)


def _shown(group: RejectGroup, example: RejectRow) -> Group:
    """With the reason of the example, from which the masked values are gone."""
    return Group(replace(group, reason=example.reason), example)
