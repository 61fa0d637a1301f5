"""A pipeline written in Python instead of YAML, one call a step:

    from airflow_datahub.spec.builder import adapter, pipeline

    events = (
        pipeline("events", schedule="@hourly")
        .extract("http_api", connection="datasync", path="/events", records="data")
        .transform(adapter.rename(from_="type", to="event_type"))
        .load("postgres", connection="warehouse", table="events", key=["id"])
    )

It makes the YAML and reads that, so that every check, every message and the revision are the same. Texts mean what they
mean in YAML: `${NAME}` is taken from the environment, `{{ … }}` is rendered when a run starts.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airflow_datahub import adapters
from airflow_datahub.adapters import KINDS, Kind
from airflow_datahub.contract import Adapter
from airflow_datahub.errors import Problem, SpecError
from airflow_datahub.spec.loading import loads
from airflow_datahub.spec.models import IDENTITY, Pipeline
from airflow_datahub.spec.writing import dumped, item, written

Given = str | Mapping[str, Any] | Adapter
"""An adapter: its name, what `adapter.<name>(…)` gave, or the object itself."""

_CALLED: Mapping[Kind, str] = {"sources": "a source", "transforms": "an operator", "sinks": "a sink"}
_NOT_THE_CALLER = ("airflow_datahub.", "airflow.")


class _Naming:
    """`adapter.http_api(connection="datasync")`, or `adapter("acme.sources:Ledger", file="a")`, is {name: fields}, as
    YAML writes it. A field named like a word of Python takes an underscore behind it: `from_`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda **fields: self(name, **fields)

    def __call__(self, name: str, /, **fields: Any) -> dict[str, Any]:
        """The adapter of that name, or import path, with its fields; it is checked with the pipeline."""
        return {name: {field.removesuffix("_"): value for field, value in fields.items()}}


adapter = _Naming()


@dataclass(frozen=True)
class Part:
    """A part of the definition, and the line of Python that it comes from."""

    words: Mapping[str, Any]
    file: str
    line: int

    def problem(self, message: str) -> Problem:
        """A mistake in this part."""
        key = self.words.get("key")
        return Problem(self.file, self.line, 1, f"step {key!r}: {message}" if key else message)


def pipeline(identity: str, /, **words: Any) -> Builder:
    """Begin a pipeline; `words` are those above the steps in YAML: schedule, params, tags, rejects and so on."""
    return Builder(part({"version": 1, "id": identity, **words}))


@dataclass(frozen=True)
class Builder:
    """A pipeline in the making. Each call gives another one, so that several may begin alike."""

    head: Part
    steps: tuple[Part, ...] = ()
    tests: tuple[Part, ...] = ()

    def extract(self, source: Given, /, **fields: Any) -> Builder:
        """Where records come from: a source by name with its fields, or as an object."""
        return self._with("extract", "sources", source, fields)

    def transform(self, *operators: Given) -> Builder:
        """What happens to each record: operators, in order."""
        return self._step("transform", lambda: {"operators": [_operator(each) for each in operators]})

    def load(self, sink: Given, /, **fields: Any) -> Builder:
        """Where records go: a sink by name with its fields, or as an object."""
        return self._with("load", "sinks", sink, fields)

    def step(self, key: str | None = None, /, **words: Any) -> Builder:
        """Name the step just added, or set what YAML writes beside its adapter: on_error, retries, timeout."""
        if not self.steps:
            raise TypeError("step() speaks of the step before it, and there is none")
        last = self.steps[-1]
        changed = replace(last, words={**last.words, **({"key": key} if key else {}), **words})
        return replace(self, steps=(*self.steps[:-1], changed))

    def words(self, **words: Any) -> Builder:
        """More of the words above the steps."""
        return replace(self, head=replace(self.head, words={**self.head.words, **words}))

    def test(self, name: str, /, **words: Any) -> Builder:
        """A test: `given` and `expect`, by step; `params`, `now` and `rejects` as in YAML."""
        return replace(self, tests=(*self.tests, part({"name": name, **words})))

    def yaml(self) -> str:
        """The spec. SpecError for values that YAML cannot hold."""
        return "".join(text for text, _ in self._written())

    def write(self, folder: str | Path) -> Path:
        """Write the spec into a folder, under the name that gives its id."""
        path = Path(folder, f"{self.head.words['id']}.yaml")
        path.write_text(self.yaml(), encoding="utf-8")
        return path

    def build(self, environ: Mapping[str, str] = os.environ) -> Pipeline:
        """The pipeline. SpecError with everything that is wrong, each at the line of Python that says it."""
        parts = self._written()
        text = "".join(text for text, _ in parts)
        try:
            return loads(text, f"{self.head.words['id']}.yaml", environ)
        except SpecError as error:
            raise SpecError([_in_python(problem, parts) for problem in error.problems]) from None

    def _with(self, type_: str, kind: Kind, given: Given, fields: Mapping[str, Any]) -> Builder:
        return self._step(type_, lambda: _adapter_words(kind, given, fields))

    def _step(self, type_: str, words: Any) -> Builder:
        empty = part({"key": self._free(type_), "type": type_})
        try:
            filled = {**empty.words, **words()}
        except ValueError as error:
            raise SpecError([empty.problem(str(error))]) from None
        return replace(self, steps=(*self.steps, replace(empty, words=filled)))

    def _free(self, type_: str) -> str:
        """The step's key, unless `step` gives another one."""
        count = sum(step.words["type"] == type_ for step in self.steps)
        return f"{type_}_{count + 1}" if count else type_

    def _written(self) -> list[tuple[str, Part]]:
        """The spec's text in pieces, each with the part that it comes from."""
        if not re.fullmatch(IDENTITY, str(self.head.words["id"])):
            message = f"a pipeline's id is made of letters, digits, _ and -, at most 200: {self.head.words['id']!r:.80}"
            raise SpecError([self.head.problem(message)])
        texts = [_text(self.head, written)]
        for title, parts in (("steps", self.steps), ("tests", self.tests)):
            if parts:
                texts += [(f"{title}:\n", parts[0]), *(_text(part, item) for part in parts)]
        return texts


def part(words: Mapping[str, Any]) -> Part:
    """These words, from the line of the DAG file or script that is being read."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(_NOT_THE_CALLER):
        frame = frame.f_back
    place = Path(frame.f_code.co_filename)
    return Part(words, f"{place.parent.name}/{place.name}", frame.f_lineno)


def _text(part: Part, write: Any) -> tuple[str, Part]:
    try:
        return write(part.words), part
    except ValueError as error:
        raise SpecError([part.problem(str(error))]) from None


def _in_python(problem: Problem, parts: Sequence[tuple[str, Part]]) -> Problem:
    """The problem at the line of Python from which its line of YAML was made."""
    left = problem.line
    for text, part in parts:
        left -= text.count("\n")
        if left <= 0:
            return part.problem(problem.message)
    return parts[-1][1].problem(problem.message)


def _adapter_words(kind: Kind, given: Given, fields: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(given, str):
        given = adapter(given, **fields)
    elif fields:
        raise ValueError(f"{', '.join(fields)}: fields belong to the adapter, which is given as a whole here")
    name, config = _named(kind, given)
    return {"adapter": name, "config": config}


def _operator(given: Given) -> dict[str, Any]:
    name, fields = _named("transforms", {given: {}} if isinstance(given, str) else given)
    return {name: fields}


def _named(kind: Kind, given: Mapping[str, Any] | Adapter) -> tuple[str, Any]:
    """An adapter's name and fields."""
    if isinstance(given, Adapter):
        return name_of(kind, type(given)), _as_it_is(dumped(given))
    if not isinstance(given, Mapping) or len(given) != 1:
        raise ValueError(
            f"{_CALLED[kind]} is given by name, as adapter.<name>(…) or as an object, not as {given!r:.80}"
        )
    ((name, fields),) = given.items()
    return str(name), fields


def _as_it_is(value: Any) -> Any:
    """What an object holds is what it means: nothing in it is taken from the environment."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, Mapping):
        return {key: _as_it_is(each) for key, each in value.items()}
    return [_as_it_is(each) for each in value] if isinstance(value, list | tuple) else value


def name_of(kind: Kind, cls: type[Adapter]) -> str:
    """What a spec calls an adapter: its name, or else its import path. ValueError where it has neither."""
    if not issubclass(cls, KINDS[kind]):
        raise ValueError(f"{cls.__name__} is not {_CALLED[kind]}")
    for name in (cls.__module__.rpartition(".")[2], f"{cls.__module__}:{cls.__qualname__}"):
        try:
            if adapters.load(kind, name) is cls:
                return name
        except Exception:  # noqa: S112 what a name leads to that is not meant is somebody else's module
            continue
    raise ValueError(f"{cls.__module__}.{cls.__qualname__} cannot be imported: put the class into a module of its own")
