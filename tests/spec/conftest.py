"""What the tests of specs share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_datahub.errors import SpecError
from airflow_datahub.spec import Pipeline, loads

STEPS = """
steps:
  - {key: extract, type: extract, adapter: inline, config: {rows: []}}
  - {key: load, type: load, adapter: stdout}
"""


@pytest.fixture
def wrong() -> Callable[..., list[str]]:
    """Everything that is wrong with a text, each as `line:col: message`."""

    def problems(text: str, environ: dict[str, str] | None = None) -> list[str]:
        with pytest.raises(SpecError) as caught:
            loads(text, "p.yaml", environ or {})
        assert all(problem.file == "p.yaml" for problem in caught.value.problems)
        return [f"{p.line}:{p.column}: {p.message}" for p in caught.value.problems]

    return problems


@pytest.fixture
def right() -> Callable[..., Pipeline]:
    """The pipeline of a head and, unless it has its own, the shortest steps."""

    def pipeline(head: str = "", environ: dict[str, str] | None = None) -> Pipeline:
        return loads(f"version: 1\n{head}" + ("" if "steps:" in head else STEPS), "p.yaml", environ or {})

    return pipeline
