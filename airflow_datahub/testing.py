"""The suite that every adapter passes by existing: ours, and any that you add.

    from airflow_datahub.testing import AdapterSuite

    class TestMyAdapters(AdapterSuite):
        package = "acme."             # only adapters of this package
        readable = ("ledger",)        # sources of which the second read is tried, see `reader`

A module's docstring holds its example, in sections whose content is indented YAML. A source or sink shows how a step
names it (`adapter:` and `config:`), a transform how a list of operators does; a transform also shows records that it is
given, and what it gives for them:

    Example:
        rename: {from: type, to: event_type}

    Given:
        - {id: a, type: click}

    Gives:
        - {id: a, event_type: click}

Needs pytest and hypothesis (the extra `testing`).
"""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from typing import Any, ClassVar, Literal, cast, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, RootModel, ValidationError
from pydantic.fields import FieldInfo

from airflow_datahub.adapters import KINDS, Kind, load, names
from airflow_datahub.contract import (
    Adapter,
    Applied,
    Batch,
    Code,
    Connection,
    Cursor,
    Function,
    Record,
    Run,
    Source,
    Transform,
)
from airflow_datahub.errors import RejectRecord
from airflow_datahub.inlining import HANDED_OVER, Loop
from airflow_datahub.masking import names_a_secret
from airflow_datahub.spec.document import read

RUN = Run(
    pipeline="conformance",
    run_id="manual__1",
    started=datetime(2024, 1, 15, tzinfo=UTC),
    connections=lambda name: Connection(name, "generic", password="a key of the suite's own"),  # noqa: S106
)
"""A run for adapters that need no more of a connection than a password."""

_SECTION = re.compile(r"^(Example|Given|Gives|Answers):\n((?:[ \t]+.*\n?|\n)+)", re.MULTILINE)

_IMPORTS = """
import importlib, json, sys
class NoAirflow:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "airflow":
            raise ImportError(f"{name} is imported")
sys.meta_path.insert(0, NoAirflow())
broken = {}
names, sys.path[:] = json.load(sys.stdin)
for name in names:
    try:
        importlib.import_module(name)
    except Exception as error:
        broken[name] = f"{type(error).__name__}: {error}"
print(json.dumps(broken))
"""


@dataclass(frozen=True)
class Subject:
    """One adapter under test; nothing is imported before a test asks."""

    kind: Kind
    name: str
    module: str

    @property
    def adapter(self) -> type[Adapter]:
        """Its class."""
        return load(self.kind, self.name)

    def section(self, title: str) -> Any:
        """The YAML under a title in the module's docstring; fails the test where there is none."""
        found = dict(_SECTION.findall(import_module(self.module).__doc__ or ""))
        assert title in found, f"the docstring of {self.module} has no section `{title}:` with indented YAML"
        node, problems = read(textwrap.dedent(found[title]), self.module, {})
        assert node is not None, f"`{title}:` is no YAML"
        assert not problems, f"`{title}:` is no YAML: {problems[0]}"
        return node.value

    def run(self) -> Run:
        """A run in which other systems answer what the docstring says under `Answers:`, and know nothing else."""
        if "\nAnswers:\n" not in (import_module(self.module).__doc__ or ""):
            return RUN
        answers = {json.dumps(each["request"]): each["answer"] for each in self.section("Answers")}
        return replace(RUN, answers=lambda request: answers.get(json.dumps(request)))

    def example(self) -> Adapter:
        """The adapter as its example configures it."""
        return self.adapter.model_validate(self.config())

    def config(self) -> dict[str, Any]:
        """The fields in the example."""
        example = self.section("Example")
        if self.kind == "transforms":
            [(name, config)] = (example[0] if isinstance(example, list) else example).items()
        else:
            name, config = example["adapter"], example["config"]
        assert name == self.name, f"the example of {self.module} names {name!r}"
        return cast("dict[str, Any]", config)


class AdapterSuite:
    """Inherit from it in a test module; every test then runs for every adapter that it concerns."""

    package: ClassVar[str] = ""
    """Only adapters whose module begins so; empty: all that are installed."""

    readable: ClassVar[tuple[str, ...]] = ("inline",)
    """Sources that are read twice: those that `reader` can make."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give every test its adapters."""
        wanted: dict[str, tuple[Kind, ...]] = {
            "subject": tuple(KINDS),
            "source": ("sources",),
            "transform": ("transforms",),
        }
        for argument in wanted.keys() & set(metafunc.fixturenames):
            found = [s for s in self.subjects(*wanted[argument]) if argument != "source" or s.name in self.readable]
            metafunc.parametrize(argument, [pytest.param(each, id=f"{each.kind}-{each.name}") for each in found])

    @classmethod
    def subjects(cls, *kinds: Kind) -> list[Subject]:
        """The adapters of these kinds that the suite is about."""
        found = [
            Subject(kind, name, module.partition(":")[0]) for kind in kinds for name, module in names(kind).items()
        ]
        return [each for each in found if each.module.startswith(cls.package)]

    @pytest.fixture
    def reader(self, source: Subject) -> tuple[Source, Run]:
        """A source with something to read, and its run. Override it for sources that need a server."""
        return cast("Source", source.example()), RUN

    @pytest.fixture(scope="class")
    @classmethod
    def broken_imports(cls) -> dict[str, str]:
        """What cannot be imported where Airflow is not installed, by module."""
        modules = sorted({each.module for each in cls.subjects(*KINDS)})
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", _IMPORTS],
            input=json.dumps([modules, sys.path]), capture_output=True, text=True, check=True,
        )  # fmt: skip
        return cast("dict[str, str]", json.loads(done.stdout))

    def test_its_example_is_valid(self, subject: Subject) -> None:
        """The docstring's example is a configuration of the adapter."""
        subject.example()

    def test_it_is_documented(self, subject: Subject) -> None:
        """The module says what the adapter does, and every field, also of nested models, what it is."""
        assert (import_module(subject.module).__doc__ or "").strip()
        models = list(_models(subject.adapter))
        fields = [(m, f, info) for m in models for f, info in m.model_fields.items() if not _says_itself(m, info)]
        silent = [f"{m.__name__}.{f}" for m, f, info in fields if not info.description]
        assert not silent, f"fields without a docstring: {', '.join(silent)}"

    def test_its_secrets_are_no_plain_text(self, subject: Subject) -> None:
        """A field with a name such as password or token is not a str: it would be shown in logs and pages."""
        fields = [(m, f, i.annotation) for m in _models(subject.adapter) for f, i in m.model_fields.items()]
        open_ = [f"{m.__name__}.{f}" for m, f, kind in fields if names_a_secret(f) and str in _parts(kind)]
        assert not open_, f"name a connection instead, or use SecretStr: {', '.join(open_)}"

    def test_it_survives_being_written_and_read(self, subject: Subject) -> None:
        """The model gives itself back from what it dumps."""
        example = subject.example()
        assert type(example).model_validate(example.model_dump(by_alias=True)) == example
        assert type(example).model_validate(example.model_dump(by_alias=True, exclude_unset=True)) == example

    def test_it_survives_pickling(self, subject: Subject) -> None:
        """The model travels to another process."""
        example = subject.example()
        assert pickle.loads(pickle.dumps(example)) == example  # noqa: S301

    def test_it_is_frozen_and_refuses_unknown_fields(self, subject: Subject) -> None:
        """No field that is parsed and then ignored, none that changes."""
        with pytest.raises(ValidationError, match="no_such_field"):
            subject.adapter.model_validate({**subject.config(), "no_such_field": 1})
        assert subject.adapter.model_config.get("frozen")

    def test_it_has_a_json_schema(self, subject: Subject) -> None:
        """Editors and the reference page know its fields."""
        json.dumps(subject.adapter.model_json_schema())

    def test_it_imports_without_airflow(self, subject: Subject, broken_imports: dict[str, str]) -> None:
        """`airflow-datahub lint` must not take the seconds that Airflow takes."""
        assert subject.module not in broken_imports, broken_imports[subject.module]

    def test_a_second_read_brings_nothing_new(self, reader: tuple[Source, Run]) -> None:
        """From the position that the first read ended at there is nothing left."""
        source, run = reader
        cursor, skip, first = None, 0, _read(source, run, None)
        for batch in first:
            cursor, skip = (batch.cursor, 0) if batch.cursor is not None else (cursor, skip + len(batch.records))
        assert sum(len(batch.records) for batch in first), "the reader has nothing to read"
        again = [record for batch in _read(source, run, cursor) for record in batch.records]
        assert again[skip:] == []

    def test_its_example_gives_what_it_says(self, transform: Subject) -> None:
        """`Given:` becomes `Gives:`, to the type; a decimal is written there as the number that it is."""
        apply, records = _compiled(transform), transform.section("Given")
        gives = [each for record in records for each in _several(apply(dict(record)))]
        assert repr(_without_decimals(gives)) == repr(transform.section("Gives"))

    def test_hostile_records_end_in_a_record_or_a_reject(self, transform: Subject) -> None:
        """No other exception, no change to what is nested in the record, and the same again for the same record."""
        once, twice = _compiled(transform), _compiled(transform)

        @settings(
            max_examples=20, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        @given(records(transform.section("Given")))
        def check(record: Record) -> None:
            before = deepcopy(record)
            result = _outcome(once, record)
            assert repr(record) == repr(before), "what is nested in the record was changed"
            assert result == _outcome(twice, record), "the same record gave something else"

        check()

    def test_its_statements_do_what_its_function_does(self, transform: Subject) -> None:
        """Also where its records may be changed in place; what they hand over is left to the function."""
        apply = _compiled(transform)
        loops = [_inlined(transform, fresh) for fresh in (True, False)]

        @settings(
            max_examples=20, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        @given(records(transform.section("Given")))
        def check(record: Record) -> None:
            wanted = _outcome(apply, record)
            for loop, own in zip(loops, (deepcopy(record), dict(record)), strict=True):
                before = repr(record)
                (result,) = loop([own])
                assert result == HANDED_OVER or ("gave", repr(result)) == wanted
                assert repr(record) == before, "what is nested in the record was changed"

        check()
        usual = [dict(record) for record in transform.section("Given")]
        assert HANDED_OVER not in loops[0](usual), "its own example was handed over"


def _without_decimals(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, dict):
        return {name: _without_decimals(each) for name, each in value.items()}
    return [_without_decimals(each) for each in value] if isinstance(value, list) else value


def records(samples: list[Record]) -> st.SearchStrategy[Record]:
    """JSON objects to be hostile with: any, and the samples with values replaced."""
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(_NASTY)
    values = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
    known = sorted({name for sample in samples for name in _all_names(sample)})
    mixed = st.dictionaries(st.sampled_from(known) | st.text(max_size=5), values, max_size=6)
    return mixed | st.sampled_from(samples).flatmap(
        lambda sample: mixed.map(lambda other: {**deepcopy(sample), **other})
    )


_NASTY: list[Any] = [
    "", " ", "\x00", "\ud800", "٣", "NaN", "1e999", "-0", "0x1", "1,5", "9" * 25, "9" * 5000, 2**63, -(2**70), 10**400,
    1e308, -0.0, "2024-02-30", "2024-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    1705312200000, "1705312200", "24:00", "true", {}, [], [[]], {"": None}, {"name": {"name": []}},
]  # fmt: skip


def _all_names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _all_names(each)


def _compiled(subject: Subject) -> Function:
    return cast("Transform", subject.example()).compile(subject.run())


def _inlined(subject: Subject, fresh: bool) -> Loop:
    code, transform = Code(fresh=fresh), cast("Transform", subject.example())
    if not transform.inline(code):
        code.call(transform.compile(subject.run()))
    return code.loop()


def _outcome(apply: Function, record: Record) -> tuple[str, Any]:
    """What became of a record, comparable; NaN is not equal to itself, its text is."""
    try:
        result = apply(dict(record))
    except RejectRecord as rejected:
        return "rejected", (rejected.reason, rejected.field)
    for each in _several(result):
        assert isinstance(each, dict), f"gave {type(each).__name__}, not a record"
        _assert_json(each)
    return "gave", repr(result)


def _several(result: Applied) -> list[Record]:
    return [] if result is None else result if isinstance(result, list) else [result]


def _assert_json(value: Any) -> None:
    if isinstance(value, dict):
        assert all(isinstance(name, str) for name in value), f"gave a field whose name is no text: {list(value)!r}"
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _assert_json(each)
    kinds = (dict, list, str, int, float, Decimal, type(None))
    assert isinstance(value, kinds), f"gave a {type(value).__name__}, which JSON cannot hold"


def _read(source: Source, run: Run, cursor: Cursor | None) -> list[Batch]:
    batches = source.read(run, cursor)
    return asyncio.run(_collect(batches)) if isinstance(batches, AsyncIterator) else list(batches)


async def _collect(batches: AsyncIterator[Batch]) -> list[Batch]:
    return [batch async for batch in batches]


def _says_itself(model: type[BaseModel], info: FieldInfo) -> bool:
    """A field that the YAML does not show (a root model's), or that has one possible value (a tag)."""
    one_value = get_origin(info.annotation) is Literal and len(get_args(info.annotation)) == 1
    return one_value or issubclass(model, RootModel)


def _models(model: type[BaseModel], seen: set[type[BaseModel]] | None = None) -> Iterator[type[BaseModel]]:
    """A model and those nested in its fields."""
    seen = set() if seen is None else seen
    if model in seen:
        return
    seen.add(model)
    yield model
    for info in model.model_fields.values():
        for part in _parts(info.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _models(part, seen)


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation and all that it is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)
