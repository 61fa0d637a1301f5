"""How the tests of operators run one."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, cast

from hypothesis import strategies as st

from airflow_datahub.adapters import load
from airflow_datahub.contract import Function, Run, Transform

RUN = Run(pipeline="p", run_id="r", started=datetime(2024, 1, 15, 9, 50, tzinfo=UTC), params={"rate": 2, "name": "x"})

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(st.sampled_from("abcde"), VALUES, max_size=5)
PATHS = st.lists(st.sampled_from(["a", "b", "c", "0"]), min_size=1, max_size=3).map(".".join)


def operator(name: str, **fields: Any) -> Transform:
    """An operator as the YAML names it; `from_` stands for `from`."""
    return cast("Transform", load("transforms", name).model_validate({k.rstrip("_"): v for k, v in fields.items()}))


def function(name: str, **fields: Any) -> Function:
    """The operator's compiled function."""
    return operator(name, **fields).compile(RUN)


def apply(name: str, record: dict[str, Any], **fields: Any) -> Any:
    """What an operator makes of a record; proves on the way that nothing nested in the record changed."""
    before = deepcopy(record)
    try:
        return function(name, **fields)(dict(record))
    finally:
        assert record == before
