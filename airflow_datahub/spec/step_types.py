"""The types of steps, as frozen models: their fields are the YAML's words, their docstrings the editor's hover text."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_datahub.conditions.condition import Condition
from airflow_datahub.conditions.expression import compile_expression
from airflow_datahub.contract import Sink, Source, Templated, Transform
from airflow_datahub.json_schemas import checker
from airflow_datahub.quantities import Duration, SomeTime
from airflow_datahub.spec.checks import Checks, Rule
from airflow_datahub.spec.partitioning import Partitioning
from airflow_datahub.spec.words import Count, Key, Name, OnError, Positive, Share, ShareOrCount, Word

CATCH_ALL = ("drop", "reject")
"""What `default` of a route may say instead of a branch."""


def _run_condition(text: str) -> str:
    try:
        compile_expression(text, frozenset({"params"}), of_record=False)
    except ValueError as error:
        raise PydanticCustomError("cel", "{reason}", {"reason": str(error)}) from error
    return text


class FetchThroughput(Word):
    """How much at once a source asks for."""

    concurrency: Annotated[Positive, Field(le=100)]
    """Requests at once at most."""


class LoadThroughput(Word):
    """How much at once a sink writes."""

    batch_size: Positive
    """Records of a transaction at the start."""


class Step(Word):
    """What every step has. The settings that are None here are the pipeline's."""

    key: Key
    """The step's name, unique in the pipeline."""

    enabled: bool = True
    """false: transform, validate, enrich and gate pass records on untouched; any other step is skipped, and what hangs
    on it."""

    when: Annotated[str, AfterValidator(_run_condition)] | None = None
    """CEL over `params`: where it gives false, the step is off in this run, as with `enabled: false`."""

    stage: Literal["auto", "own"] = "auto"
    """own: the step runs in a task of its own."""

    on_error: OnError = "reject"
    """What becomes of a record that this step cannot serve."""

    retries: Count | None = None
    """Tries after the first one."""

    retry_delay: Duration | None = None
    """Wait before the second try; it grows from there."""

    timeout: SomeTime | None = None
    """A try that takes longer is ended."""

    pool: Name | None = None
    """The Airflow pool that the task takes a slot of."""

    priority: Positive | None = None
    """Of two waiting tasks the one of higher priority starts first."""


class ExtractStep(Step):
    """A source brings records in."""

    type: Literal["extract"] = "extract"
    """What the step does."""

    on_error: Literal["reject", "drop", "stop"] = "reject"
    """What becomes of a record that the source could not read."""

    adapter: Name
    """Name of the source, or an import path `package.module:Class`."""

    throughput: FetchThroughput | None = None
    """How much at once, where it is not what the pipeline says."""

    partition: Partitioning | None = None
    """Parts of the source that are read by themselves, each with a checkpoint and a task of its own."""

    source: Source = Field(alias="config")
    """The source's own fields."""


class Operator(Word):
    """One operator of a transform step, with its fields."""

    name: str
    """The word in the YAML."""

    transform: Transform
    """The operator itself."""

    on_error: OnError | None = None
    """What becomes of a record that it cannot serve; None: what the step says."""

    condition: Condition | None = None
    """Records for which it does not hold pass untouched."""


class TransformStep(Step):
    """Operators change records, one after the other."""

    type: Literal["transform"] = "transform"
    """What the step does."""

    operators: tuple[Operator, ...]
    """The operators, in order."""


class EnrichStep(TransformStep):
    """Fields are added: operators that set, or look up."""

    type: Literal["enrich"] = "enrich"  # type: ignore[assignment]
    """What the step does."""


class ValidateStep(Step):
    """Records that break a rule or the schema are set aside, each with all that is wrong with it."""

    type: Literal["validate"] = "validate"
    """What the step does."""

    rules: tuple[Rule, ...] = ()
    """What must hold of each record."""

    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    """A JSON Schema, draft 2020-12 unless it says another. Formats are checked, addresses never fetched."""

    mode: Literal["reject", "fail"] = "reject"
    """fail: the first bad record ends the run."""

    @model_validator(mode="after")
    def _says_something(self) -> ValidateStep:
        if not self.rules and self.json_schema is None:
            raise PydanticCustomError("validate", "takes `rules`, `schema` or both")
        try:
            _ = self.json_schema is None or checker(self.json_schema)
        except ValueError as error:
            raise PydanticCustomError("schema", "{reason}", {"reason": str(error)}) from error
        return self

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """Rules and schema as one operator."""
        on_error: OnError | None = "stop" if self.mode == "fail" else None
        checks = Checks.model_construct(rules=self.rules, json_schema=self.json_schema)
        return (Operator.model_construct(name="validate", transform=checks, on_error=on_error, condition=None),)


class RouteStep(Step):
    """Each record goes the way of the branch whose condition holds."""

    type: Literal["route"] = "route"
    """What the step does."""

    on_error: Literal["reject", "drop", "stop"] = "reject"
    """What becomes of a record for which a condition cannot be worked out."""

    match: Literal["first", "all"] = "first"
    """all: a record takes every branch whose condition holds."""

    branches: Annotated[dict[Key, Condition], Field(min_length=1)]
    """Name of a branch: the condition; tried in order."""

    default: Name
    """Where a record goes for which none holds: a branch, `drop` or `reject`."""

    @property
    def ways(self) -> tuple[str, ...]:
        """The names of all branches."""
        own = () if self.default in (*CATCH_ALL, *self.branches) else (self.default,)
        return (*self.branches, *own)


class MergeStep(Step):
    """Several streams become one."""

    type: Literal["merge"] = "merge"
    """What the step does."""

    mode: Literal["union"] = "union"
    """union: all records of all, one edge after the other."""


class GateStep(Step):
    """A person lets the run go on, or does not."""

    type: Literal["gate"] = "gate"
    """What the step does."""

    message: Templated[str]
    """What the person is asked."""

    approve_below: ShareOrCount | None = None
    """With fewer rejects so far than this share of the records, or this count, nobody is asked."""

    after: Annotated[dict[SomeTime, Literal["approve", "refuse"]], Field(min_length=1, max_length=1)] | None = None
    """What happens once nobody has answered for so long: `{24h: approve}`; none: it waits."""

    approvers: tuple[Name, ...] = ()
    """Names of the users who may answer; none: all who may edit the run."""

    def asks(self, read: int, rejected: int) -> bool:
        """Whether a person is asked, with so many records read and rejected."""
        below = self.approve_below
        return below is None or rejected >= (below.part * read if isinstance(below, Share) else below)


class LoadStep(Step):
    """A sink takes records into a system of record."""

    type: Literal["load"] = "load"
    """What the step does."""

    on_error: Literal["reject", "drop", "stop"] = "reject"
    """What becomes of a record that the sink refuses."""

    adapter: Name
    """Name of the sink, or an import path `package.module:Class`."""

    throughput: LoadThroughput | None = None
    """How much at once, where it is not what the pipeline says."""

    sink: Sink = Field(alias="config")
    """The sink's own fields."""


Processing = TransformStep | ValidateStep
AnyStep = ExtractStep | TransformStep | EnrichStep | ValidateStep | RouteStep | MergeStep | GateStep | LoadStep
