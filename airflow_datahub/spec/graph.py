"""Steps and edges: in which order records pass the steps, and everything that is wrong with that at once."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from airflow_datahub.spec.document import Node
from airflow_datahub.spec.findings import Findings
from airflow_datahub.spec.models import Edge
from airflow_datahub.spec.step_types import AnyStep, RouteStep
from airflow_datahub.spec.words import near

BEGINNINGS = ("extract",)
ENDS = ("load",)
"""Types of steps that nothing leads into, and that nothing leads out of."""


@dataclass(frozen=True, slots=True)
class Place:
    """A step as far as the graph knows it."""

    key: str
    type: str
    """Empty where there is no such type."""
    node: Node


@dataclass(frozen=True, slots=True)
class Line:
    """An edge and where it stands."""

    edge: Edge
    node: Node

    @property
    def source(self) -> str:
        """Key of the step that records leave."""
        return self.edge.source

    @property
    def target(self) -> str:
        """Key of the step that they enter."""
        return self.edge.target

    def at(self, word: str) -> Node:
        """Where a word of the edge stands; the edge itself where it is not written."""
        return self.node.children.get(word, self.node)


class Graph:
    """The steps and the usable edges between them."""

    def __init__(self, places: Sequence[Place], lines: Sequence[Line]):
        self.places = {place.key: place for place in places}
        self.lines = lines
        self.into: dict[str, list[Line]] = {key: [] for key in self.places}
        self.out_of: dict[str, list[Line]] = {key: [] for key in self.places}
        for line in lines:
            self.into[line.target].append(line)
            self.out_of[line.source].append(line)

    def order(self) -> list[str]:
        """The keys so that every edge leads on; of steps that could come next, the one that stands first. Those on a
        circle, and behind one, are missing."""
        index = {key: number for number, key in enumerate(self.places)}
        missing = {key: len(lines) for key, lines in self.into.items()}
        ready = [index[key] for key, count in missing.items() if not count]
        keys, found = list(self.places), []
        while ready:
            found.append(keys[heapq.heappop(ready)])
            for line in self.out_of[found[-1]]:
                missing[line.target] -= 1
                if not missing[line.target]:
                    heapq.heappush(ready, index[line.target])
        return found


def in_order(
    places: Sequence[Place],
    steps: Mapping[str, AnyStep],
    edges: Sequence[tuple[Edge | None, Node]] | None,
    root: Node,
    findings: Findings,
) -> tuple[list[str], list[Edge]]:
    """The keys in running order, and all edges; problems are noted. `steps` are those that are right by themselves.

    Without edges the steps follow one another. An edge that is None could not be read, which is noted already."""
    if edges is None:
        return _one_after_another(places, root, findings)
    graph = Graph(places, _usable(places, edges, findings))
    _check_branches(graph, steps, findings)
    _check_ends(graph, findings)
    _check_merges(graph, findings)
    _cycles(graph, findings)
    if all(edge and {edge.source, edge.target} <= graph.places.keys() for edge, _ in edges):
        _unconnected(graph, findings)  # else the broken edge is what is missing
    _check_complete(places, root, findings)
    return graph.order(), [line.edge for line in graph.lines]


def _one_after_another(places: Sequence[Place], root: Node, findings: Findings) -> tuple[list[str], list[Edge]]:
    for index, place in enumerate(places):
        at = place.node.children.get("type", place.node)
        if place.type in ("route", "merge"):
            findings.at(at, f"a {place.type} step wants `edges`, which say what leads where")
        elif place.type in BEGINNINGS and index:
            begun = places[0].type in BEGINNINGS
            second = f"a second {place.type} step wants `edges`, which say what leads where"
            findings.at(at, second if begun else f"put the {place.type} step first")
        elif place.type in ENDS and index < len(places) - 1:
            findings.at(at, f"nothing can follow a {place.type} step: put it last, or say by `edges` what leads where")
    _check_complete(places, root, findings)
    return [place.key for place in places], [
        Edge.model_construct(source=one.key, target=other.key, branch=None) for one, other in pairwise(places)
    ]


def _check_complete(places: Sequence[Place], root: Node, findings: Findings) -> None:
    types = {place.type for place in places}
    for needed, what in ((BEGINNINGS, "begins with an extract step"), (ENDS, "ends with a load step")):
        if not types & {*needed, ""}:
            findings.at(root, f"a pipeline {what}, and there is none")


def _usable(places: Sequence[Place], edges: Sequence[tuple[Edge | None, Node]], findings: Findings) -> list[Line]:
    """The edges between two different known steps, each once."""
    keys = {place.key for place in places}
    lines: dict[tuple[str, str, str | None], Line] = {}
    for edge, node in edges:
        if edge is None:
            continue
        unknown = [(word, key) for word, key in (("from", edge.source), ("to", edge.target)) if key not in keys]
        for word, key in unknown:
            findings.at(node.children[word], f"no step {key[:80]!r}{near(key, keys)}")
        way = (edge.source, edge.target, edge.branch)
        if edge.source == edge.target:
            findings.at(node, f"step {edge.source!r} cannot follow itself")
        elif way in lines:
            findings.at(node, f"the edge from {edge.source!r} to {edge.target!r} is given twice")
        elif not unknown:
            lines[way] = Line(edge, node)
    return list(lines.values())


def _check_branches(graph: Graph, steps: Mapping[str, AnyStep], findings: Findings) -> None:
    for line in graph.lines:
        place, step = graph.places[line.source], steps.get(line.source)
        if place.type and place.type != "route" and line.edge.branch:
            findings.at(line.at("branch"), f"{line.source!r} is no route, so nothing leaves it by a branch")
        elif isinstance(step, RouteStep) and not line.edge.branch:
            findings.at(line.node, f"which branch? {line.source!r} is a route with {', '.join(step.ways)}")
        elif isinstance(step, RouteStep) and line.edge.branch not in step.ways:
            name = str(line.edge.branch)
            findings.at(line.at("branch"), f"{line.source!r} has no branch {name!r}{near(name, step.ways)}")
    for step in steps.values():
        if isinstance(step, RouteStep):
            _unused_branches(graph, step, findings)


def _unused_branches(graph: Graph, step: RouteStep, findings: Findings) -> None:
    node = graph.places[step.key].node
    used = {line.edge.branch for line in graph.out_of[step.key]}
    for name in step.ways:
        if name not in used:
            at, key = (node.children["branches"], name) if name in step.branches else (node, "default")
            findings.at_key(at, key, f"no edge takes the branch {name!r} of {step.key!r}")


def _check_ends(graph: Graph, findings: Findings) -> None:
    for line in graph.lines:
        before, after = graph.places[line.source], graph.places[line.target]
        if before.type in ENDS:
            findings.at(line.at("from"), f"nothing can follow {before.key!r}, a {before.type} step")
        if after.type in BEGINNINGS:
            findings.at(line.at("to"), f"nothing can lead into {after.key!r}, an {after.type} step")


def _check_merges(graph: Graph, findings: Findings) -> None:
    for key, place in graph.places.items():
        into = graph.into[key]
        if place.type and place.type != "merge":
            for line in into[1:]:
                findings.at(line.at("to"), f"a second edge into {key!r}: only a merge step takes several")
        elif place.type and len(into) < 2:
            findings.at_key(place.node, "key", f"{key!r} has {len(into)} edge(s) into it; a merge wants two or more")


def _unconnected(graph: Graph, findings: Findings) -> None:
    for key, place in graph.places.items():
        if place.type and place.type not in BEGINNINGS and not graph.into[key]:
            findings.at_key(place.node, "key", f"no edge leads to {key!r}")
        if place.type and place.type not in ENDS and not graph.out_of[key]:
            findings.at_key(place.node, "key", f"no edge leads on from {key!r}")


def _cycles(graph: Graph, findings: Findings) -> None:
    """Note each edge that closes a circle; depth first, with a stack of its own."""
    done: set[str] = set()
    for key in graph.places:
        if key not in done:
            for line, trail in _closing(key, graph, done):
                findings.at(line.node, f"the edges go round in a circle: {_circle(trail, line.target)}")


def _closing(begin: str, graph: Graph, done: set[str]) -> Iterator[tuple[Line, list[str]]]:
    trail: dict[str, None] = {}
    waiting: list[Line | str] = [begin]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Line):
            if item.target in trail:
                yield item, list(trail)
            elif item.target not in done:
                waiting.append(item.target)
        elif item in trail:
            del trail[item]
        elif item not in done:
            done.add(item)
            trail[item] = None
            waiting += [item, *graph.out_of[item]]


def _circle(trail: list[str], key: str) -> str:
    return " > ".join([*trail[trail.index(key) :], key])[:200]
