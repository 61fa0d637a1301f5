"""YAML to Pipeline, with everything that is wrong at once, each at its line."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_datahub.errors import Problem, SpecError
from airflow_datahub.spec.document import LARGEST_FILE, Node, read
from airflow_datahub.spec.examination import check_settings, check_steps, check_tests
from airflow_datahub.spec.fields import is_template, known_names
from airflow_datahub.spec.findings import Findings
from airflow_datahub.spec.graph import Place, in_order
from airflow_datahub.spec.models import IDENTITY, Definition, Edge, Pipeline
from airflow_datahub.spec.parameters import read_params
from airflow_datahub.spec.partition_checks import check_partition, words_of_partition
from airflow_datahub.spec.step_types import AnyStep
from airflow_datahub.spec.steps import read_step


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Pipeline:
    """The pipeline that a file describes; `environ` is where `${NAME}` comes from.

    Raises SpecError with all problems, also when the file cannot be read."""
    return _load(_text(path), str(path), environ, path)


def loads(text: str, file: str, environ: Mapping[str, str] = os.environ) -> Pipeline:
    """The pipeline that a text describes; `file` names it in messages and gives the id. Raises SpecError."""
    return _load(text, file, environ, file)


def stem(name: str) -> str:
    """The pipeline's id as its file's name gives it: up to the first dot."""
    return name.partition(".")[0]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        raise SpecError([Problem(str(path), 1, 1, f"cannot be read: {error}")]) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(content) > LARGEST_FILE:  # the cut may have gone through a character
            return content.decode("utf-8", "replace")
        line = content.count(b"\n", 0, error.start) + 1
        column = len(content[content.rfind(b"\n", 0, error.start) + 1 : error.start].decode()) + 1
        message = f"the byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise SpecError([Problem(str(path), line, column, message)]) from error


def _load(text: str, file: str, environ: Mapping[str, str], path: Path | str) -> Pipeline:
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST_FILE:
        raise SpecError([Problem(file, 1, 1, f"larger than {LARGEST_FILE // 1024**2} MiB; keep data out of the spec")])
    text = text.removeprefix("\ufeff")
    root, problems = read(text, file, environ)
    findings = Findings(file, problems)
    if root is None or not isinstance(root.value, dict):
        if not problems:
            findings.at(root or Node(1, 1, None, None), "a pipeline is a mapping that begins with `version: 1`")
        raise SpecError(findings.problems)
    pipeline = _Loading(root, findings, stem(os.path.basename(file)), is_template(text)).pipeline(text, path)
    if findings.problems or pipeline is None:
        raise SpecError(findings.problems)
    return pipeline


class _Loading:
    """One spec on its way from YAML to Pipeline."""

    def __init__(self, root: Node, findings: Findings, identity: str, templated: bool):
        self._root = root
        self._findings = findings
        self._id = identity
        self._templated = templated
        self._params: dict[str, dict[str, Any]] = {}
        self._edges: list[Edge] = []

    def pipeline(self, text: str, file: Path | str) -> Pipeline | None:
        """The pipeline, or None with the problems noted."""
        words = self._findings.present("pipeline", self._root)
        definition = self._definition(words)
        steps = self._steps("steps" in words)
        check_tests(self._root.children.get("tests"), self._keys(), steps, self._params, self._findings)
        check_steps(steps, self._edges, self._root, self._findings)
        if definition:
            check_settings(definition, steps, self._root, self._templated, self._findings)
            check_partition(definition, steps, self._edges, self._root, self._findings)
        if definition is None or self._findings.problems:
            return None
        values = {name: getattr(definition, name) for name in Definition.model_fields}
        revision = _revision(self._root.raw, definition.id)
        return Pipeline.model_construct(
            **values, steps=tuple(steps), edges=tuple(self._edges), order=tuple(step.key for step in steps),
            text=text, spans=self._spans(), file=file, revision=revision,
        )  # fmt: skip

    def _spans(self) -> dict[str, tuple[int, int, int]]:
        steps = self._root.children["steps"].children.values()
        return {step.value["key"]: (step.start, step.end, step.column - 1) for step in steps}

    def _definition(self, words: dict[str, Any]) -> Definition | None:
        words = {word: value for word, value in words.items() if word not in ("steps", "edges")}
        words = {word: value for word, value in words.items() if value is not None or word == "version"}
        self._check_id(words)
        words["params"] = self._read_params(words)
        return self._findings.validated(Definition, self._root, words, "pipeline")

    def _check_id(self, words: dict[str, Any]) -> None:
        given = words.get("id", self._id)
        if isinstance(given, str):
            words["id"] = "right"  # what is wrong with it is said here
            if given != self._id:
                message = f"'id' is {given[:80]!r}, the file's name says {self._id[:80]!r}; make them equal or omit it"
                self._findings.at(self._root.children["id"], message)
            elif not re.fullmatch(IDENTITY, given):
                message = f"the file's name gives the id {given[:80]!r}; use letters, digits, _ and -, at most 200"
                self._findings.at(self._root.children.get("id", self._root), message)
            else:
                words["id"] = given

    def _read_params(self, words: dict[str, Any]) -> Any:
        node = self._root.children.get("params")
        if node is None or not isinstance(node.value, dict):
            return words.get("params", {})
        self._params = read_params(node, words.get("schedule") is not None, self._findings)
        return self._params

    def _steps(self, given: bool) -> list[AnyStep]:
        """The steps that are right, in running order."""
        node = self._root.children.get("steps")
        if not given or node is None or not isinstance(node.value, list) or not node.value:
            self._findings.at(node or self._root, "'steps' wants a list: an extract step, transforms, a load step")
            return []
        known = known_names(self._params, words_of_partition(node))
        steps = [read_step(child, known, self._templated, self._findings) for child in node.children.values()]
        places = [place for place, _ in steps if place]
        self._check_keys(places)
        by_key = {step.key: step for _, step in steps if step}
        edges = self._given_edges()
        if len(places) < len(steps):  # what has no key has no place
            return list(by_key.values())
        order, self._edges = in_order(places, by_key, edges, node, self._findings)
        return [by_key[key] for key in dict.fromkeys((*order, *by_key)) if key in by_key]

    def _keys(self) -> set[str]:
        """The keys of all steps, also of those that are wrong."""
        steps = self._root.children.get("steps")
        values = [node.value for node in steps.children.values()] if steps else []
        return {str(value["key"]) for value in values if isinstance(value, dict) and "key" in value}

    def _check_keys(self, places: list[Place]) -> None:
        first: dict[str, Place] = {}
        for place in places:
            if place.key in first:
                line = first[place.key].node.keys["key"][0]
                message = f"the key {place.key!r} is taken, by the step in line {line}"
                self._findings.at(place.node.children["key"], message)
            first.setdefault(place.key, place)

    def _given_edges(self) -> list[tuple[Edge | None, Node]] | None:
        node = self._root.children.get("edges")
        if node is None or node.value is None:
            return None
        if not isinstance(node.value, list):
            self._findings.at(node, "'edges' wants a list of {from: STEP, to: STEP}")
            return None
        return [(self._edge(child), child) for child in node.children.values()]

    def _edge(self, node: Node) -> Edge | None:
        return self._findings.validated(Edge, node, node.value, "edges")


def _revision(raw: Any, identity: str) -> str:
    canonical = json.dumps({**raw, "id": identity}, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
