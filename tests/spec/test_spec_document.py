"""YAML to data: what resolves to what, and hostile files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from airflow_datahub.errors import SpecError
from airflow_datahub.spec import load
from airflow_datahub.spec.document import DEEPEST, LARGEST_FILE, read


def value(text: str, **environ: str) -> Any:
    node, problems = read(f"x: {text}", "p.yaml", environ)
    assert problems == []
    assert node is not None
    return node.value["x"]


def problems(text: str, **environ: str) -> list[str]:
    return [f"{p.line}:{p.column}: {p.message}" for p in read(text, "p.yaml", environ)[1]]


@pytest.mark.parametrize("text", ["no", "yes", "on", "off", "y", "NO", "True", "NULL", "12:30", "1:30:00", "2024-01-01",
                                  "2024-01-01T00:00:00Z", "00123", "0123", "-007", "01.5", "1_000", "0b11", "0xZZ",
                                  "+", ".", "1.2.3", "1e", "e5", ".nan", ".inf", "0o9", "=", "12e"])  # fmt: skip
def test_text_stays_text(text: str) -> None:
    assert value(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("false", False), ("null", None), ("~", None), ("", None), ("0", 0), ("-5", -5), ("+5", 5),
     ("0x1F", 31), ("0o17", 15), ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("-1.5E-2", -0.015)],
)  # fmt: skip
def test_core_scalars(text: str, expected: Any) -> None:
    found = value(text)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("text", ['"5"', "'true'", '"null"', '"1.5"', "''"])
def test_quoted_is_text(text: str) -> None:
    assert value(text) == text[1:-1]


def test_numbers_too_large() -> None:
    found = problems(f"a: 1e999\nb: {'9' * 5000}\n")
    assert [each.partition(" ")[0] for each in found] == ["1:4:", "2:4:"]
    assert all("too large; quote it if it is text" in each for each in found)


def test_duplicate_keys_at_every_level() -> None:
    assert problems("a: 1\nb: {c: 1, c: 2}\na: 2\n") == [
        "2:11: 'c' is given twice, first in line 2",
        "3:1: 'a' is given twice, first in line 1",
    ]


def test_keys_must_be_text_but_null_is_a_field_of_columns() -> None:
    found = problems("5: a\ntrue: b\n? [x]\n: c\n~: d\n1.5: e\nnull: f\non: g\n2024-01-01: h\n")
    assert found == [f"{place}: a key must be text; quote it" for place in ("1:1", "2:1", "3:3", "5:1", "6:1")]


def test_tags_and_merge_keys_are_refused() -> None:
    found = problems("a: !!python/object:os.system x\nb: !x {}\nc: &c {d: 1}\ne: {<<: *c}\nf: !!str 5\n")
    assert [each.partition(" ")[0] for each in found] == ["1:4:", "2:4:", "4:5:", "5:4:"]
    assert "tags such as tag:yaml.org,2002:python/object:os.s" in found[0]
    assert "merge keys" in found[2]


def test_aliases_repeat_values() -> None:
    node, found = read("a: &x {b: [1]}\nc: *x\n", "p.yaml", {})
    assert found == []
    assert node is not None
    assert node.value == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_alias_bomb() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    begin = time.process_time()
    (found,) = problems("\n".join(lines))
    assert "aliases" in found
    assert time.process_time() - begin < 0.5


def test_101_aliases() -> None:
    assert problems("a: &x 1\nb: [" + "*x, " * 100 + "]\n") == []
    assert "more than 100 aliases" in problems("a: &x 1\nb: [" + "*x, " * 101 + "]\n")[0]


def test_aliases_cannot_nest_deeper_than_text_can() -> None:
    lines = ["a0: &a0 [[[[[[[[[[x]]]]]]]]]]"] + [f"a{i}: &a{i} [[[[[[[[[*a{i - 1}]]]]]]]]]" for i in range(1, 10)]
    assert f"nested more than {DEEPEST} levels" in problems("\n".join(lines))[0]


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: *nowhere", "a: &a {b: *a}"])
def test_alias_to_itself_or_nothing(text: str) -> None:
    assert "no value above is marked &" in problems(text)[0]


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000,
                                  "\n".join(" " * i + "a:" for i in range(900))])  # fmt: skip
def test_deep_nesting(text: str) -> None:
    begin = time.process_time()
    found = problems(text)
    assert len(found) == 1
    assert "levels deep" in found[0]
    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1\nb: 2", "2:2"),
        ("a: 'x", "1:6"),
        ("a:\n\t- x", "2:1"),
        ("a: b: c", "1:5"),
        ("a: 1\n--- \nb: 2", "2:1"),
        ("a: @x", "1:4"),
    ],
)
def test_syntax_errors_have_a_place(text: str, expected: str) -> None:
    (found,) = problems(text)
    assert found.startswith(f"{expected}: ")


def test_tab_is_named() -> None:
    assert "a tab stands in the indentation; use spaces" in problems("a:\n\t- x")[0]


@pytest.mark.parametrize("character", ["\0", "\x07", "\ud800", "\uffff"])
def test_unreadable_characters(character: str) -> None:
    (found,) = problems(f"a: 1\nb: x{character}y")
    assert found.startswith("2:5: the character ")


def test_escaped_surrogate() -> None:
    assert len(problems('a: "\\ud800"')) == 1


def test_environment() -> None:
    environ = {"HOST": "h", "PORT": "5432", "EMPTY": "", "NO": "no"}
    assert value("${HOST}:${PORT}", **environ) == "h:5432"
    assert value("${PORT}", **environ) == "5432"
    assert value('"${NO}"', **environ) == "no"
    assert value("${EMPTY}", **environ) == ""
    assert value("${EMPTY:-d}${NONE:-e f}", **environ) == "de f"
    assert value("$${HOST} $HOST $$ {HOST}", **environ) == "${HOST} $HOST $$ {HOST}"
    assert value("$$${HOST}", **environ) == "$${HOST}"
    assert value("[a, '${HOST}']", **environ) == ["a", "h"]
    assert value("{'${HOST}': 1}", **environ) == {"${HOST}": 1}
    assert "must be quoted" in problems("a: [${HOST}]", **environ)[0]


def test_environment_is_replaced_once() -> None:
    assert value("${A}", A="${B}", B="x") == "${B}"


def test_missing_variables_at_their_lines() -> None:
    found = problems("a: x\nb: ${HOST}/${PATH_OF}\nc: ${a.b}\nd: ${open\n")
    assert [each.split(": ")[0] for each in found] == ["2:4", "2:4", "3:4", "4:4"]
    assert "environment variable 'HOST' is not set" in found[0]
    assert "write '$${'" in found[2]
    assert "write '$${'" in found[3]


def test_file_too_large(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("# " + "ü" * (LARGEST_FILE // 2) + "\n")
    with pytest.raises(SpecError, match="larger than 1 MiB"):
        load(path)


def test_a_large_file_is_read_in_time(tmp_path: Path) -> None:
    rows = "".join(f"    - {{id: {i}, name: n}}\n" for i in range(10_000))
    begin = time.process_time()
    node, found = read(f"a:\n  b:\n{rows}", "p.yaml", {})
    assert node is not None
    assert found == []
    assert len(node.value["a"]["b"]) == 10_000
    assert time.process_time() - begin < 4


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: 1\nb: \xff\xfe", "2:4: the byte 0xff is not UTF-8"),
        (b"a: \xc3\xa9\xff", "1:5: the byte 0xff is not UTF-8"),
        (b"a: 1\nb: \x00", "2:4: the character '\\x00' is not allowed"),
        (b"", "1:1: a pipeline is a mapping"),
        (b"- a\n", "1:1: a pipeline is a mapping"),
        (b"text", "1:1: a pipeline is a mapping"),
    ],
)
def test_bytes_that_are_no_spec(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        load(path, {})
    assert str(caught.value.problems[0]).startswith(f"{path}:{expected}")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml", Path("\0")):
        with pytest.raises(SpecError, match="cannot be read"):
            load(path, {})


def test_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"\xef\xbb\xbfversion: 3\n")
    with pytest.raises(SpecError, match=r"p\.yaml:1:10: 'version' wants 1, not 3"):
        load(path, {})
