"""CEL texts: what they see, what is refused when they are compiled, and that they end in time."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_datahub.conditions.expression import FUNCTIONS, compile_expression
from airflow_datahub.conditions.syntax import LOOPS, outline, tokenise
from airflow_datahub.errors import RejectRecord


def value(text: str, record: dict[str, Any], **others: Any) -> Any:
    return compile_expression(text, frozenset(others))(record, others)


@pytest.mark.parametrize(
    "text",
    [
        "record.l.map(x, record.l.map(y, x * y))",
        "record.l.all(x, record.m . exists (y, y == x))",
        "record.l.filter(x, size(x.filter(y, y > 1)) > 0)",
        "record.l.map(x, ([1].exists_one(y, y == x)))",
        "record.l.map(x, // a comment )\n record.l\n.\nmap // (\n (y, x))",
        "record.l.map(x, '(' + string(record.l.existsOne(y, y == x)))",
        """record.l.map(x, r'\\' == "')" || [1].all(y, true))""",
    ],
)
def test_a_loop_in_a_loop_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot stand inside another"):
        compile_expression(text)


def test_loops_side_by_side_are_run_up_to_a_number() -> None:
    record = {"l": [1, 2, 3], "m": [3]}
    assert value("record.l.filter(x, x > 1).map(x, x * 2)", record) == [4, 6]
    assert value("record.l.exists(x, x == 3) && record.m.all(x, x == 3)", record) is True
    assert value("'record.l.map(x, record.l.map(y, 1))'", record) == "record.l.map(x, record.l.map(y, 1))"
    with pytest.raises(ValueError, match="at most 4"):
        compile_expression("[1]" + ".map(x, [x, x])" * 5)


@pytest.mark.parametrize("text", ["record.l.map(x, x)", "record.l.filter(x, true)", "record.l.map(x, record.l)"])
def test_a_long_list_in_a_loop_ends_in_time(text: str) -> None:
    started = time.perf_counter()
    for count in (60, 99, 499, 501, 100_000):
        try:
            value(text, {"l": list(range(count)), "other": list(range(10**5))})
        except RejectRecord as rejected:
            assert "too many for a CEL text with a loop" in rejected.reason  # noqa: PT017
    assert time.perf_counter() - started < 2
    with pytest.raises(RejectRecord, match="too many"):
        value(text, {"l": ["x" * 10**6]})


def test_the_engine_has_no_other_loops() -> None:
    for name in ("transformList", "transformMap", "sortBy", "optMap", "bind", "fold", "reduce", "sum"):
        with pytest.raises(ValueError, match=r"unknown name|no function"):
            compile_expression(f"record.l.{name}(x, x == 1)")
    for name in LOOPS:
        compile_expression(f"record.l.{name}(x, x == 1)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "character 1"),
        ("record.", "character 8"),
        ("record.a\n +", "line 2"),
        ("country", "record.country"),
        ("now", "unknown name"),
        ("__import__('os')", "no function"),
        ("record.__class__.mro()", "no function"),
        ("max(1, 2)", "no function 'max'"),
        ("record" + "+1" * 3000, "characters"),
        ("(" * 500 + "1" + ")" * 500, "character"),
    ],
)
def test_a_text_that_is_wrong_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compile_expression(text)


@pytest.mark.parametrize(
    ("text", "record", "message"),
    [
        ("record.gone", {}, r"no field 'gone'"),
        ("record.a / 0", {"a": 1}, "division by zero"),
        ("record.a + 'x'", {"a": 1}, "int"),
        ("record.a", {"a": 2**70}, "64 bits"),
        ("record.a", {"a": [{"b": -(2**64)}]}, "64 bits"),
        ("record.a", {"a": "\ud800"}, "."),
        ("record.a.matches(record.b)", {"a": "x", "b": "("}, "regex"),
        ("size(record)", {"a": b"x", "b": object()}, "."),
    ],
)
def test_a_record_that_it_cannot_serve_is_rejected(text: str, record: dict[str, Any], message: str) -> None:
    with pytest.raises(RejectRecord, match=message):
        value(text, record)


def test_a_deep_record_is_rejected_and_does_not_end_the_process() -> None:
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    with pytest.raises(RejectRecord, match="deep"):
        value("record.a", {"a": deep})
    assert value("record.b", {"a": deep, "b": 1}) == 1, "what is not read does not matter"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("record.a + record.b.c", {"a", "b"}),
        ("has(record.a) && 'record.z' == ''", {"a"}),
        ("record\n.a // record.z", {"a"}),
        ("params.record.x == record.y", {"y"}),
        ("record['a']", None),
        ("size(record)", None),
        ("record", None),
        ("1 + 1", set()),
    ],
)
def test_only_the_fields_that_are_read_are_handed_over(text: str, fields: set[str] | None) -> None:
    assert outline(text).fields == fields


STRINGS = st.builds(
    lambda prefix, quote, body: f"{prefix}{quote}{body}{quote}",
    st.sampled_from(["", "r", "R", "b", "br", "bR"]),
    st.sampled_from(["'", '"', "'''", '"""']),
    st.text(alphabet="ab\\'\"\n() .map", max_size=12),
)


@given(STRINGS)
def test_what_the_engine_takes_for_one_string_is_one_token(text: str) -> None:
    try:
        result = compile_expression(text)({}, {})
    except (ValueError, RejectRecord):
        return
    assume(isinstance(result, str | bytes))
    assert [kind for kind, _ in tokenise(text)] == ["text"]


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["record", ".", "a", "(", ")", ",", "x", "map", "all", "1", "+", "'"])).map(" ".join)
)
def test_any_text_compiles_or_is_refused(text: str) -> None:
    try:
        evaluate = compile_expression(text)
    except ValueError:
        return
    try:
        evaluate({"a": [1, "b", None]}, {})
    except RejectRecord as rejected:
        assert rejected.reason  # noqa: PT017


def test_every_named_function_is_there() -> None:
    stamp, span = "timestamp('2024-01-15T09:50:00Z')", "duration('90m')"
    calls = {
        "bytes": "bytes('a')",
        "contains": "'ab'.contains('a')",
        "double": "double(1)",
        "duration": span,
        "dyn": "dyn(1)",
        "endsWith": "'ab'.endsWith('b')",
        "has": "has(record.a)",
        "int": "int('1')",
        "matches": "'a'.matches('a')",
        "size": "size([1])",
        "startsWith": "'ab'.startsWith('a')",
        "string": "string(1)",
        "timestamp": stamp,
        "type": "type(1)",
        "uint": "uint(1)",
    }
    for name in FUNCTIONS:
        compile_expression(calls.get(name, f"{stamp}.{name}()"))({"a": 1}, {})


def test_the_engine_starts_without_the_command_line_around_it() -> None:
    code = (
        "import sys; from airflow_datahub.conditions.condition import condition; assert 'cel.cel' not in sys.modules;"
        "condition('record.a == 1'); assert 'cel.cli' not in sys.modules;"
        "import cel; assert cel.compile('1').execute() == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
