"""The operators that look at several fields, or make several records of one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from airflow_datahub.adapters import load
from airflow_datahub.contract import Connection, Run
from airflow_datahub.errors import ConfigurationError, RejectRecord
from airflow_datahub.testing import RUN
from tests.adapters.transforms.operators import apply

CASES: list[tuple[str, dict[str, Any], dict[str, Any], Any]] = [
    ("math", {"to": "t", "add": ["a", "b", 1]}, {"a": 0.1, "b": 0.2}, {"a": 0.1, "b": 0.2, "t": 1.3}),
    ("math", {"to": "t", "divide": ["a", 4]}, {"a": 1}, {"a": 1, "t": Decimal("0.25")}),
    ("math", {"to": "t", "modulo": ["a", 3]}, {"a": -1}, {"a": -1, "t": 2}),
    ("math", {"to": "t", "max": ["a", "b"]}, {"a": 2, "b": "3"}, {"a": 2, "b": "3", "t": Decimal("3")}),
    ("math", {"to": "t", "negate": "a"}, {"b": 1}, {"b": 1}),
    ("copy", {"from_": "a", "to": "b.c"}, {"a": [1]}, {"a": [1], "b": {"c": [1]}}),
    ("map", {"fields": {"x.y": "a", "z": {"value": 1}}, "keep_rest": True}, {"a": 5}, {"a": 5, "x": {"y": 5}, "z": 1}),
    ("template", {"to": "t", "template": "${a}-${b}"}, {"a": 1.5}, {"a": 1.5, "t": "1.5-"}),
    ("coalesce", {"fields": ["a", "b"], "to": "c", "skip_empty": True}, {"a": "", "b": 0}, {"a": "", "b": 0, "c": 0}),
    ("nest", {"fields": ["a", "b"], "to": "o"}, {"a": 1, "o": {"c": 2}}, {"o": {"c": 2, "a": 1}}),
    ("flatten_keys", {"depth": 1}, {"a": {"b": {"c": 1}}, "l": [1]}, {"a_b": {"c": 1}, "l": [1]}),
    ("date_diff", {"from_": "a", "to": "d", "unit": "hours", "whole": False}, {"a": "2024-01-15T09:20:00Z"},
     {"a": "2024-01-15T09:20:00Z", "d": 0.5}),
    ("date_diff", {"from_": "a", "until": "b", "to": "d", "unit": "days"},
     {"a": "2024-01-03", "b": "2024-01-01T01:00:00Z"}, {"a": "2024-01-03", "b": "2024-01-01T01:00:00Z", "d": -1}),
    ("now", {"to": "n"}, {}, {"n": "2024-01-15T09:50:00Z"}),
    ("if_else", {"when": {"field": "a", "gt": 1}, "to": "b", "then": {"field": "a"}, "else": 0}, {"a": 2},
     {"a": 2, "b": 2}),
    ("switch", {"to": "b", "cases": [{"when": {"field": "a", "gt": 1}, "then": "many"}], "default": "few"}, {"a": 1},
     {"a": 1, "b": "few"}),
    ("switch", {"to": "b", "field": "a", "cases": {"1": "one"}}, {"a": 2}, {"a": 2}),
    ("jmespath", {"to": "b", "expression": "sum(a)"}, {"a": [1, 2]}, {"a": [1, 2], "b": 3}),
    ("explode", {"field": "a", "merge": True}, {"i": 1, "a": [{"b": 1}, {}]}, [{"i": 1, "b": 1}, {"i": 1}]),
    ("explode", {"field": "a", "empty": "drop"}, {"i": 1, "a": []}, None),
    ("explode", {"field": "a"}, {"i": 1}, {"i": 1}),
    ("unpivot", {"keep": ["i"]}, {"i": 1, "a": 2, "b": None}, [{"i": 1, "name": "a", "value": 2}]),
    ("concat", {"parts": ["a", "b"], "to": "c", "separator": "-"}, {"a": "x", "b": 2}, {"a": "x", "b": 2, "c": "x-2"}),
    ("ensure", {"that": {"field": "a", "gt": 0}}, {"a": 1}, {"a": 1}),
    ("require", {"fields": ["a"]}, {"a": ""}, {"a": ""}),
    ("validate_schema", {"schema": {"required": ["a"]}}, {"a": None}, {"a": None}),
    ("python", {"function": "tests.adapters.transforms.test_records:twice", "with": {"by": 3}}, {"a": 2}, {"a": 6}),
]  # fmt: skip


def twice(record: dict[str, Any], by: int = 2) -> Any:
    """A function of a user's."""
    return {"a": record["a"] * by}


@pytest.mark.parametrize(("name", "fields", "record", "result"), CASES)
def test_it_makes(name: str, fields: dict[str, Any], record: dict[str, Any], result: Any) -> None:
    assert apply(name, record, **fields) == result


@pytest.mark.parametrize(
    ("name", "fields", "record", "reason"),
    [
        ("math", {"to": "t", "divide": ["a", "b"]}, {"a": 1, "b": 0}, "division by zero"),
        ("math", {"to": "t", "modulo": ["a", 0]}, {"a": 1}, "division by zero"),
        ("math", {"to": "t", "power": ["a", "b"]}, {"a": 10, "b": 10**6}, "cannot be calculated"),
        ("math", {"to": "t", "add": ["a", 1]}, {"a": "one"}, "is not a number"),
        ("copy", {"from_": "a", "to": "b", "required": True}, {}, "is missing, and required"),
        ("coalesce", {"fields": ["a"], "to": "c", "required": True}, {"a": None}, "none of a has a value"),
        ("nest", {"prefix": "a_", "to": "o"}, {"a_b": 1, "o": 5}, "holds no fields"),
        ("flatten_keys", {}, {"a": {"b": 1}, "a_b": 2}, "two fields would get this name"),
        ("switch", {"to": "b", "field": "a", "cases": {"1": 1}, "required": True}, {"a": 2}, "no case fits"),
        ("ensure", {"that": {"field": "a", "gt": 0}, "message": "too small"}, {"a": 0}, "^too small$"),
        ("jmespath", {"to": "b", "expression": "sum(a)"}, {"a": ["x"]}, "sum"),
        ("explode", {"field": "a", "most": 1}, {"a": [1, 2]}, "at most 1"),
        ("explode", {"field": "a"}, {"a": "x"}, "is not a list"),
        ("require", {"fields": ["a", "b"], "empty": False}, {"a": ""}, "^a, b: required, and missing, null or empty"),
        ("validate_schema", {"schema": {"required": ["a"], "properties": {"b": {"type": "string"}}}}, {"b": 1},
         r'(?s)"a" is a required.*b: 1 is not of type|b: 1 is not of type.*"a" is a required'),
        ("python", {"function": "tests.adapters.transforms.test_records:twice"}, {"b": 1}, "KeyError: 'a'"),
        ("python", {"function": "builtins:len"}, {"b": 1}, "gave int"),
        ("uuid", {"to": "i", "fields": ["a"]}, {}, "missing"),
        ("hash", {"to": "h", "fields": ["a"], "of": "text"}, {"a": 1}, "not a text"),
        ("date_diff", {"from_": "a", "to": "d", "required": True}, {}, "missing or null"),
    ],
)  # fmt: skip
def test_it_refuses(name: str, fields: dict[str, Any], record: dict[str, Any], reason: str) -> None:
    with pytest.raises(RejectRecord, match=reason):
        apply(name, record, **fields)


def test_equal_values_get_equal_hashes_and_ids_in_any_order() -> None:
    one, other = ({"a": 1, "b": {"x": 1, "y": 2}}, {"b": {"y": 2, "x": 1}, "a": 1})
    for name in ("hash", "uuid"):
        made = [apply(name, dict(record), to="to")["to"] for record in (one, other)]
        assert made[0] == made[1]
        assert apply(name, {"a": 2}, to="to")["to"] != made[0]
    assert apply("uuid", one, to="i", version=7)["i"][14] == "7"
    assert apply("uuid", one, to="i")["i"][14] == "4"


def test_what_is_encrypted_comes_back_also_with_an_old_key() -> None:
    def made(name: str, password: str) -> Any:
        run = Run(pipeline="p", run_id="r", connections=lambda each: Connection(each, "generic", password=password))
        return load("transforms", name).model_validate({"field": "v", "connection": "k"}).compile(run)  # type: ignore[attr-defined]

    value = {"n": [1, "ü", None]}
    sealed = made("encrypt", "an old key of length")({"v": value})
    assert "ü" not in sealed["v"]
    assert made("decrypt", "a new key of length, an old key of length")(dict(sealed)) == {"v": value}
    with pytest.raises(RejectRecord, match="does not open"):
        made("decrypt", "a new key of length")(dict(sealed))
    with pytest.raises(RejectRecord, match="not what `encrypt` writes"):
        made("decrypt", "a new key of length")({"v": 5})
    for password, why in (("short", "shorter than 16"), ("", "no password")):
        with pytest.raises(ConfigurationError, match=why):
            made("encrypt", password)


def test_a_token_is_the_same_for_equal_values_and_another_for_another_key() -> None:
    def token(value: Any, run: Run = RUN) -> Any:
        fields = {"field": "v", "mode": "token", "connection": "k"}
        return load("transforms", "mask").model_validate(fields).compile(run)({"v": value})["v"]  # type: ignore[attr-defined]

    other = Run(pipeline="p", run_id="r", connections=lambda each: Connection(each, "generic", password="x" * 20))
    assert token("a") == token("a") != token("b")
    assert token("a") != token("a", other)
    assert len(token("a")) == 16


def test_a_sample_holds_about_its_share_and_keeps_keys_together() -> None:
    sample = load("transforms", "sample").model_validate({"share": "25%", "key": ["k"]}).compile(RUN)  # type: ignore[attr-defined]
    kept = [n for n in range(4_000) if sample({"k": n, "n": 1})]
    assert 850 < len(kept) < 1150
    assert kept == [n for n in range(4_000) if sample({"k": n, "n": 2})]
