"""A spec is changed in `records` and `paging` alone, or not at all."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from airflow_datahub.probing.writing import Unsafe, changed, new, written
from airflow_datahub.spec import loads

LEARNT: dict[str, Any] = {
    "connection": "api", "path": "/e", "records": "rows", "paging": {"type": "cursor", "next": "nextCursor"},
}  # fmt: skip
SPEC = """\
# What we know of this API.
version: 1
steps:
  - key: extract
    type: extract
    adapter: http_api
    config:
      connection: api  # ours
      # where it is
      path: /e  # not /events
      records: data  # as they told us
      paging: {type: none}   # for now
  # the end
  - {key: load, type: load, adapter: stdout, config: {}}
"""
PAGING = "paging: {type: cursor, next: nextCursor}"


def test_values_are_replaced_and_comments_stay() -> None:
    expected = SPEC.replace("records: data", "records: rows").replace("paging: {type: none}", PAGING)
    assert changed(SPEC, "s.yaml", LEARNT) == expected


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_is_missing_is_put_behind_the_path(newline: str) -> None:
    without = [line for line in SPEC.splitlines() if "paging" not in line]
    at = next(index for index, line in enumerate(without) if "path:" in line)
    expected = [line.replace("data", "rows") for line in [*without[: at + 1], f"      {PAGING}", *without[at + 1 :]]]
    got = changed(newline.join([*without, ""]), "s.yaml", LEARNT)
    assert got == newline.join([*expected, ""])


BLOCK = "paging:\n        # soon cursors\n        type: none"
UNSAFE = {
    "block": SPEC.replace("paging: {type: none}", BLOCK),
    "lines": SPEC.replace("paging: {type: none}", "paging: {  # soon\n        type: none}"),
    "alias": SPEC.replace("records: data", "records: &r data").replace("{type: none}", "{type: cursor, next: *r}"),
    "other path": SPEC.replace("path: /e ", "path: /f "),
    "does not lint": SPEC.replace("stdout", "stdin"),
    "conflict": SPEC.replace("path: /e ", "query: {cursor: a}\n      path: /e "),
    "no map": "- a\n",
    "broken": "a: [",
}


@pytest.mark.parametrize("kind", UNSAFE)
def test_what_is_not_safe_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(UNSAFE[kind])
    with pytest.raises(Unsafe):
        written(path, LEARNT)
    assert path.read_text() == UNSAFE[kind]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SPEC)
    path.chmod(0o640)
    written(path, LEARNT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert "nextCursor" in path.read_text()


def test_a_new_spec_lints() -> None:
    strange = {**LEARNT, "path": "/e: {a} #b", "query": {"x": "yes", "y": "1"}, "records": "a: b"}
    source = loads(new(strange), "s.yaml").extract.source
    assert (source.path, source.query, source.records) == ("/e: {a} #b", {"x": "yes", "y": "1"}, "a: b")  # type: ignore[attr-defined]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unsafe, match="cannot be written"):
        written(tmp_path / "no" / "s.yaml", LEARNT)
