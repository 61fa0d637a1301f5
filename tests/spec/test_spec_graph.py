"""Edges: the running order follows them, and everything wrong with them is said at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_datahub.spec import Pipeline

MOVE = "operators: [{'tests.spec.spec_adapters:Move': {from: a, to: b}}]"
STEPS = f"""version: 1
steps:
  - {{key: load, type: load, adapter: stdout}}
  - {{key: second, type: transform, {MOVE}}}
  - {{key: first, type: transform, {MOVE}}}
  - {{key: extract, type: extract, adapter: inline, config: {{rows: []}}}}
edges:
"""


def test_the_running_order_follows_the_edges(right: Callable[..., Pipeline]) -> None:
    edges = "  - {from: first, to: second}\n  - {from: second, to: load}\n  - {from: extract, to: first}\n"
    pipeline = right(STEPS.removeprefix("version: 1\n") + edges)
    assert [step.key for step in pipeline.steps] == ["extract", "first", "second", "load"]


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        (
            ["{from: extract, to: firts}", "{from: frst, to: load}"],
            ["8:25: no step 'firts'; did you mean 'first'?", "9:12: no step 'frst'; did you mean 'first'?"],
        ),
        (
            ["{from: extract, to: first}", "{from: first, to: second}", "{from: second, to: first}"],
            [
                "3:6: no edge leads to 'load'",
                "9:5: the edges go round in a circle: second > first > second",
                "10:24: a second edge into 'first': only a merge step takes several",
            ],
        ),
        (
            ["{from: extract, to: first}", "{from: extract, to: second}", "{from: first, to: load}"],
            ["4:6: no edge leads on from 'second'"],
        ),
        (
            ["{from: extract, to: first}", "{from: first, to: first}", "{from: first, to: load}"],
            [
                "4:6: no edge leads on from 'second'",
                "4:6: no edge leads to 'second'",
                "9:5: step 'first' cannot follow itself",
            ],
        ),
        (
            ["{from: extract, to: first}", "{from: extract, to: first}", "{from: second, to: load}"],
            [
                "4:6: no edge leads to 'second'",
                "5:6: no edge leads on from 'first'",
                "9:5: the edge from 'extract' to 'first' is given twice",
            ],
        ),
        (
            ["{from: extract, to: first, branch: eu}", "{from: first, too: second}", "5", "{to: load}"],
            [
                "8:40: 'extract' is no route, so nothing leaves it by a branch",
                "9:19: no field 'too'; did you mean 'to'?",
                "10:5: 'edges' wants a mapping, not 5",
                "11:5: 'from' is missing: Key of the step that records leave",
            ],
        ),
        (
            ["{from: first, to: second}", "{from: second, to: first}", "{from: load, to: extract}"],
            [
                "3:6: no edge leads to 'load'",
                "6:6: no edge leads on from 'extract'",
                "8:5: the edges go round in a circle: second > first > second",
                "10:12: nothing can follow 'load', a load step",
                "10:22: nothing can lead into 'extract', an extract step",
            ],
        ),
    ],
)
def test_wrong_edges(wrong: Callable[..., list[str]], edges: list[str], expected: list[str]) -> None:
    found = wrong(STEPS + "".join(f"  - {edge}\n" for edge in edges))
    rest = list(found)
    for message in expected:
        match = [each for each in rest if each.startswith(message)]
        assert match, found
        rest.remove(match[0])
    assert rest == []


def test_edges_that_are_no_list(wrong: Callable[..., list[str]]) -> None:
    assert "7:8: 'edges' wants a list of {from: STEP, to: STEP}" in wrong(STEPS.rstrip() + " {a: b}\n")


def test_no_edges_at_all(wrong: Callable[..., list[str]]) -> None:
    found = wrong(STEPS.rstrip() + " []\n")
    assert [each.partition(": ")[2] for each in found] == [
        "no edge leads to 'load'",
        "no edge leads on from 'second'",
        "no edge leads to 'second'",
        "no edge leads on from 'first'",
        "no edge leads to 'first'",
        "no edge leads on from 'extract'",
    ]


def test_many_steps_and_edges_take_no_time(wrong: Callable[..., list[str]]) -> None:
    steps = "".join(f"  - {{key: s{i}, type: transform, operators: []}}\n" for i in range(3000))
    edges = "".join(f"  - {{from: s{i}, to: s{(i + 1) % 3000}}}\n" for i in range(3000))
    found = wrong(f"version: 1\nsteps:\n{steps}edges:\n{edges}")
    assert any("go round in a circle" in each for each in found)
