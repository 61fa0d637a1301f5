"""What can be wrong with a partition in its pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from airflow_datahub.contract import Source
from airflow_datahub.spec.document import Node
from airflow_datahub.spec.fields import names_partition
from airflow_datahub.spec.findings import Findings
from airflow_datahub.spec.models import Definition, Edge
from airflow_datahub.spec.plan import stages_of
from airflow_datahub.spec.step_types import AnyStep, ExtractStep, LoadStep

OF_PARTITION = ("key", "from", "to")
"""What a template may say behind `partition.`"""


def words_of_partition(steps: Node) -> tuple[str, ...]:
    """What templates may say of the partition; nothing where no step has one."""
    given = [each.value.get("partition") for each in steps.children.values() if isinstance(each.value, dict)]
    found: Any = next((each for each in given if each is not None), None)
    by = found.get("by") if isinstance(found, dict) else None
    return () if found is None else OF_PARTITION[:1] if by == "list" else OF_PARTITION


def check_partition(
    definition: Definition, steps: Sequence[AnyStep], edges: Sequence[Edge], root: Node, findings: Findings
) -> None:
    """Note what keeps a source from being read in parts."""
    in_parts = {step.key: step for step in steps if isinstance(step, ExtractStep) and step.partition}
    for node in root.children["steps"].children.values() if in_parts else ():
        if isinstance(node.value, dict) and node.value.get("key") in in_parts:
            for problem in _problems(in_parts[node.value["key"]], definition, steps, edges):
                findings.at(node.children["partition"], problem)


def _problems(
    step: ExtractStep, definition: Definition, steps: Sequence[AnyStep], edges: Sequence[Edge]
) -> Iterator[str]:
    assert step.partition
    there = {each.key for each in steps}  # those that are right
    if all({edge.source, edge.target} <= there for edge in edges) and len(stages_of(steps, edges)) > 1:
        yield "'partition' wants one line of steps from source to sink: no branch, merge, gate or `stage: own`"
    if step.partition.by == "source" and type(step.source).partitions is Source.partitions:
        yield f"{step.adapter!r} knows no partitions of its own: say `by: window`, `range` or `list`"
    if step.partition.by != "source" and not names_partition(step.source):
        yield "'partition' is not named by `config`, so that each would bring the same; say {{ partition.key }} there"
    if any(isinstance(each, LoadStep) and each.sink.replaces() for each in steps):
        yield "'partition' does not go with `strategy: replace`: a table that is replaced is read as one stream"
    if definition.lock and step.partition.concurrency != 1:
        yield "'partition' wants `concurrency: 1` here: a `lock` lets one task write at a time"
