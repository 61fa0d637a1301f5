"""The pages that Airflow shows beside a DAG and its tasks, in Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from typing import cast

import yaml

from airflow_datahub.spec import Pipeline

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def of_dag(pipeline: Pipeline) -> str:
    """What the pipeline is for, and its whole spec as the file has it."""
    return "\n\n".join(filter(None, [pipeline.description, fenced(pipeline.text)]))


def of_stage(pipeline: Pipeline, steps: Iterable[str]) -> str:
    """The part of the spec's text that describes these steps, comments included."""
    return fenced(steps_of(pipeline.text, frozenset(steps)))


def fenced(text: str, language: str = "yaml") -> str:
    """A block of code; the fence is longer than any run of backticks in the text."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text.strip(chr(10))}\n{fence}"


def steps_of(text: str, keys: frozenset[str]) -> str:
    """The items of the spec's `steps` with these keys, in the file's order."""
    root = cast("yaml.MappingNode", yaml.compose(text, Loader=_LOADER))
    steps = next(value.value for key, value in root.value if key.value == "steps")
    return "\n".join(_as_written(text, step) for step in steps if _key(step) in keys)


def _key(step: yaml.MappingNode) -> str | None:
    return next((value.value for name, value in step.value if name.value == "key"), None)


def _as_written(text: str, step: yaml.MappingNode) -> str:
    """A block mapping ends, for YAML, where the next step begins: the comments above that one are not this one's."""
    start, end = step.start_mark, step.end_mark
    written = re.sub(r"(\n[ \t]*(#.*)?)+$", "", text[start.index : end.index].rstrip())
    return "- " + textwrap.indent(textwrap.dedent(" " * start.column + written), "  ").lstrip()
