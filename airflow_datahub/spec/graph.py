"""Steps and edges: in which order records pass the steps, and everything that is wrong with that at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_datahub.spec.document import Node
from airflow_datahub.spec.findings import Findings
from airflow_datahub.spec.future import LINEAR, not_yet
from airflow_datahub.spec.models import Edge
from airflow_datahub.spec.words import near


@dataclass(frozen=True, slots=True)
class Place:
    """A step as far as the graph knows it."""

    key: str
    type: str
    node: Node


@dataclass(frozen=True, slots=True)
class Line:
    """An edge and where it stands."""

    source: str
    target: str
    node: Node


def in_order(
    steps: Sequence[Place], edges: Sequence[tuple[Edge | None, Node]] | None, findings: Findings
) -> list[Place] | None:
    """The steps in running order; None where the edges do not give one, and problems are noted.

    An edge that is None could not be read, which is noted already."""
    if edges is None:
        return list(steps)
    before = len(findings.problems)
    lines = _usable(steps, edges, findings)
    _no_forks(lines, findings)
    order = _along(steps, lines)
    _cycles(steps, lines, findings)
    known = {step.key for step in steps}
    complete = all(edge and {edge.source, edge.target} <= known for edge, _ in edges)
    if complete:  # else the broken edge is what is missing
        _unreached(steps, lines, order, findings)
    return order if complete and len(findings.problems) == before else None


def _usable(steps: Sequence[Place], edges: Sequence[tuple[Edge | None, Node]], findings: Findings) -> list[Line]:
    """The edges between two different known steps, each once."""
    keys = {step.key for step in steps}
    lines: dict[tuple[str, str], Line] = {}
    for edge, node in edges:
        if edge is None:
            continue
        unknown = [(word, key) for word, key in (("from", edge.source), ("to", edge.target)) if key not in keys]
        for word, key in unknown:
            findings.at(node.children[word], f"no step {key[:80]!r}{near(key, keys)}")
        if unknown:
            continue
        if edge.source == edge.target:
            findings.at(node, f"step {edge.source!r} cannot follow itself")
        elif (edge.source, edge.target) in lines:
            findings.at(node, f"the edge from {edge.source!r} to {edge.target!r} is given twice")
        else:
            lines[edge.source, edge.target] = Line(edge.source, edge.target, node)
    return list(lines.values())


def _no_forks(lines: Sequence[Line], findings: Findings) -> None:
    left: set[str] = set()
    entered: set[str] = set()
    for line in lines:
        if line.source in left:
            findings.at(line.node.children["from"], not_yet(f"a second edge out of {line.source!r}"))
        if line.target in entered:
            findings.at(line.node.children["to"], not_yet(f"a second edge into {line.target!r}"))
        left.add(line.source)
        entered.add(line.target)


def _along(steps: Sequence[Place], lines: Sequence[Line]) -> list[Place]:
    """The steps as the edges connect them, from a step that no edge enters, an extract step if there is one."""
    entered = {line.target for line in lines}
    following = _following(lines)
    roots = [step for step in steps if step.key not in entered]
    if not roots:
        return []
    begin = min(roots, key=lambda step: (step.type != "extract", step.key not in following))
    places = {step.key: step for step in steps}
    return [places[key] for key in _reach(begin.key, following)]


def _unreached(steps: Sequence[Place], lines: Sequence[Line], order: Sequence[Place], findings: Findings) -> None:
    seen = {line.target for line in lines} | {step.key for step in order}
    for step in steps:
        if order and step.key not in seen:
            findings.at_key(step.node, "key", f"no edge leads from {order[0].key!r} to {step.key!r}")


def _following(lines: Sequence[Line]) -> dict[str, list[Line]]:
    following: dict[str, list[Line]] = {}
    for line in lines:
        following.setdefault(line.source, []).append(line)
    return following


def _reach(begin: str, following: dict[str, list[Line]]) -> dict[str, None]:
    reached: dict[str, None] = {}
    waiting = [begin]
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached[key] = None
            waiting += [line.target for line in following.get(key, ())]
    return reached


def _cycles(steps: Sequence[Place], lines: Sequence[Line], findings: Findings) -> None:
    """Note each edge that closes a circle; depth first, with a stack of its own."""
    following = _following(lines)
    done: set[str] = set()
    for step in steps:
        trail: dict[str, None] = {}
        waiting: list[Line | str] = [step.key] if step.key not in done else []
        while waiting:
            item = waiting.pop()
            if isinstance(item, Line):
                if item.target in trail:
                    findings.at(item.node, f"the edges go round in a circle: {_circle(list(trail), item.target)}")
                elif item.target not in done:
                    waiting.append(item.target)
            elif item in trail:
                del trail[item]
            elif item not in done:
                done.add(item)
                trail[item] = None
                waiting += [item, *following.get(item, ())]


def _circle(trail: list[str], key: str) -> str:
    return " > ".join([*trail[trail.index(key) :], key])[:200]


def check_line(steps: Sequence[Place], node: Node, findings: Findings) -> None:
    """Note what keeps the steps, in running order, from being: one extract, transforms, one load."""
    for index, step in enumerate(steps):
        at = step.node.children.get("type", step.node)
        if step.type == "extract" and index:
            first = steps[0].type == "extract"
            findings.at(at, not_yet("a second extract step") if first else "an extract step must be the first one")
        if step.type == "load" and index < len(steps) - 1:
            last = steps[-1].type == "load"
            findings.at(at, not_yet("a second load step") if last else "nothing can follow a load step; put it last")
    types = [step.type for step in steps]
    if "extract" not in types:
        findings.at(node, "a pipeline begins with an extract step, and there is none")
    if "load" not in types:
        findings.at(node, f"a pipeline ends with a load step, and there is none ({LINEAR})")
