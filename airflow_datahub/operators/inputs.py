"""What a task takes from tasks before it: results that stand where an adapter's field wants a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions._internal.mixins import ResolveMixin

if TYPE_CHECKING:
    from airflow.sdk.definitions.param import ParamsDict


@dataclass
class Inputs:
    """Each result found becomes a param of the pipeline, and its place names that param as a template."""

    found: dict[str, Any] = field(default_factory=dict)
    """By param: what Airflow resolves when the task runs."""

    def put_aside(self, value: Any) -> Any:
        """The value with each result of a task replaced by a template that is exactly its param."""
        if isinstance(value, ResolveMixin):
            name = f"input_{len(self.found) + 1}"
            self.found[name] = value
            return f"{{{{ params.{name} }}}}"
        if isinstance(value, Mapping):
            return {key: self.put_aside(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.put_aside(each) for each in value]
        return value

    def schemas(self) -> dict[str, Any]:
        """The params: of any kind, and none may be left out."""
        return {name: {"description": f"the result of {_told(result)}"} for name, result in self.found.items()}


def _told(result: Any) -> str:
    operator = getattr(result, "operator", None)
    return f"task {operator.task_id}" if operator is not None else "a task"


def used(params: ParamsDict, text: str) -> dict[str, Any]:
    """Airflow's params that the templates in a text name, as a spec has them."""
    names = dict.fromkeys(re.findall(r"\bparams\b\W{1,3}(\w+)", text))
    return {name: _schema(params.get_param(name)) for name in names if name in params}


def _schema(param: Any) -> dict[str, Any]:
    return {**param.schema, **({"default": param.value} if param.has_value else {})}
