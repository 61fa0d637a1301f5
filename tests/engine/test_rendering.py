"""Templates are sandboxed, act in marked fields alone, and keep the type of a single expression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import Field

from airflow_datahub.contract import Source, Templated
from airflow_datahub.engine.rendering import rendered
from airflow_datahub.errors import ConfigurationError


class _Asks(Source):
    path: Templated[str] = ""
    query: Templated[Mapping[str, Any]] = Field(default_factory=dict)
    plain: str = ""


VALUES = {"params": {"n": 5, "name": "Ada", "none": None, "evil": "{{ run_id }}"}, "run_id": "manual__1"}


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ params.__class__ }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ params.update({'n': 6}) }}",
        "{{ run_id.__class__.__base__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ lipsum.__globals__['os'] }}",
        "x{{ ''|attr('__class__') }}",
        "{{ nothing }}",
        "{{ 1 / 0 }}",
    ],
)
def test_no_way_out_of_the_sandbox(template: str) -> None:
    with pytest.raises(ConfigurationError, match="'path'"):
        rendered(_Asks(path=template), VALUES)


def test_only_marked_fields_are_rendered_and_what_comes_out_is_not_again() -> None:
    made = rendered(
        _Asks(path="/{{ params.evil }}", plain="{{ run_id }}", query={"{{ run_id }}": "{{ params.name }}"}), VALUES
    )
    assert (made.path, made.plain, dict(made.query)) == ("/{{ run_id }}", "{{ run_id }}", {"{{ run_id }}": "Ada"})


def test_one_expression_keeps_its_type_and_anything_mixed_is_text() -> None:
    query = {"n": "{{ params.n }}", "none": "{{ params.none }}", "mixed": "n{{ params.n }}", "l": ["{{ params.n }}", 1]}
    assert dict(rendered(_Asks(query=query), VALUES).query) == {"n": 5, "none": None, "mixed": "n5", "l": [5, 1]}
