"""The pages that Airflow shows beside a DAG and its tasks, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_datahub.spec import Pipeline
from airflow_datahub.spec.writing import fenced


def of_dag(pipeline: Pipeline) -> str:
    """What the pipeline is for, and its whole spec as the file has it."""
    return "\n\n".join(filter(None, [pipeline.description, fenced(pipeline.text)]))


def of_stage(pipeline: Pipeline, steps: Iterable[str]) -> str:
    """The part of the spec's text that describes these steps, comments included."""
    return fenced(steps_of(pipeline, frozenset(steps)))


def steps_of(pipeline: Pipeline, keys: frozenset[str]) -> str:
    """The items of the spec's `steps` with these keys, in the file's order."""
    return "\n".join(_as_written(pipeline.text, *span) for key, span in pipeline.spans.items() if key in keys)


def _as_written(text: str, start: int, end: int, indent: int) -> str:
    """A block mapping ends, for YAML, where the next step begins: the comments above that one are not this one's."""
    lines = (" " * indent + text[start:end].rstrip()).split("\n")
    while lines[-1].lstrip()[:1] in ("", "#"):
        lines.pop()
    margin = min(len(line) - len(line.lstrip(" ")) for line in lines if line.strip())
    return "- " + "\n".join("  " + line[margin:] if line.strip() else "" for line in lines).lstrip()
