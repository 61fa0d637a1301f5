"""What a spec says, as frozen models: their fields are the YAML's words, their docstrings the editor's hover text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from airflow_datahub.contract import Record, Sink, Source, Transform
from airflow_datahub.paths import FieldPath
from airflow_datahub.quantities import Duration, SomeTime, wanted
from airflow_datahub.spec.notices import Notify
from airflow_datahub.spec.words import (
    Count,
    Cron,
    CronOrPreset,
    Instant,
    Key,
    Moment,
    Name,
    OnError,
    Positive,
    ShareOrCount,
    TimeZone,
)

IDENTITY = "[A-Za-z0-9_-]{1,200}"
"""What an id may be, so that Airflow takes it as the name of a DAG."""


class Word(BaseModel):
    """A mapping of the grammar."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, arbitrary_types_allowed=True, defer_build=True
    )


class Every(Word):
    """A schedule by interval."""

    every: SomeTime
    """How long after one run the next begins."""


Crons = Annotated[tuple[Cron, ...], Field(min_length=1)]
Schedule = CronOrPreset | Crons | Every | None
"""None: by hand only. A text is a cron text or one of Airflow's presets, a tuple several cron texts."""


class Rejects(Word):
    """How many rejects a run may have."""

    max: ShareOrCount | None = None
    """Above this share of the records in, or this count, the run fails; none: no limit."""

    mask: tuple[FieldPath, ...] = ()
    """Paths into rejected records, as the step that refuses them has them: what is there is stored, encrypted, but
    never shown or exported."""


class Expect(Word):
    """What a run must bring."""

    min_records: Count = 0
    """Fewer records out of the sources than this fail the run."""


class Throughput(Word):
    """How much at once."""

    batch_size: Positive = 10_000
    """Records of a transaction at the start: it halves while commits take over 2 s, and grows while they take under
    0.5 s, to at most twice as many and 20,000. 2 MiB of JSON fill one, too."""

    concurrency: Annotated[Positive, Field(le=100)] = 10
    """Requests at once at most; a source begins with fewer, and asks for pages whose addresses it cannot know before
    one after another."""


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
    """false: a transform passes records on untouched; a pipeline whose extract or load is off does nothing."""

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


class TransformStep(Step):
    """Operators change records, one after the other."""

    type: Literal["transform"] = "transform"
    """What the step does."""

    operators: tuple[Operator, ...]
    """The operators, in order."""


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


AnyStep = ExtractStep | TransformStep | LoadStep


class Edge(Word):
    """One connection between two steps."""

    source: Name = Field(alias="from")
    """Key of the step that records leave."""

    target: Name = Field(alias="to")
    """Key of the step that they enter."""


class ExpectedReject(Word):
    """A reject that a test expects; what is left out is not compared."""

    step: Name
    """Key of the step that refuses."""

    operator: Name | None = None
    """Name of the operator that refuses."""

    reason: str | None = None
    """The reason, or a part of it."""


class PipelineTest(Word):
    """A test inside the spec: what goes in, and what must come out."""

    name: Name
    """What the test shows."""

    params: dict[str, Any] = {}
    """Params of the run; the others have their defaults."""

    now: Instant = datetime(2024, 1, 15, tzinfo=UTC)
    """What `now` means in the test."""

    given: dict[str, tuple[Record, ...]]
    """By step: the records that leave an extract step, or enter another one."""

    expect: dict[str, tuple[Record, ...]] = {}
    """By step: all records that enter it, whole and in order."""

    rejects: tuple[ExpectedReject, ...] = ()
    """All rejects, in order."""


class Definition(Word):
    """Everything that stands above the steps, and the tests."""

    version: Literal[1]
    """Version of the grammar."""

    id: Annotated[str, Field(pattern=f"^{IDENTITY}$")]
    """Name of the pipeline and its DAG: the file's name up to the first dot."""

    description: str = ""
    """What the pipeline is for."""

    tags: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = ()
    """Airflow tags of the DAG."""

    owner: Name = "airflow"
    """Airflow owner of the tasks."""

    schedule: Schedule = None
    """When it runs by itself: a cron text, several, a preset such as @hourly, {every: 15m}, or null."""

    timezone: TimeZone = "UTC"
    """Where the schedule's clock hangs."""

    start_date: Moment | None = None
    """No scheduled run before it."""

    params: Mapping[str, dict[str, Any]] = {}
    """By name: a JSON Schema with a `default`, as Airflow's Param; no default: the run must be given a value."""

    max_active_runs: Positive = 1
    """Runs at a time; more than one only where no position is kept."""

    retries: Count = 3
    """Tries after the first one."""

    retry_delay: Duration = timedelta(seconds=10)
    """Wait before the second try; it grows from there."""

    timeout: SomeTime | None = None
    """A try that takes longer is ended; none: never."""

    pool: Name = "default_pool"
    """The Airflow pool that tasks take a slot of."""

    priority: Positive = 1
    """Of two waiting tasks the one of higher priority starts first."""

    rejects: Rejects = Rejects()
    """How many rejects a run may have."""

    expect: Expect = Expect()
    """What a run must bring."""

    throughput: Throughput = Throughput()
    """How much at once."""

    notify: Notify = Notify()
    """Who is told when a run fails, succeeds or brings nothing for long."""

    tests: tuple[PipelineTest, ...] = ()
    """Tests of the steps, without network and sink."""

    @field_validator("start_date", mode="after")
    @classmethod
    def _in_time_zone(cls, value: datetime | None, info: Any) -> datetime | None:
        if value is None or value.tzinfo:
            return value
        from zoneinfo import ZoneInfo

        return value.replace(tzinfo=ZoneInfo(info.data.get("timezone", "UTC")))

    @field_validator("version", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        if type(value) is not int:
            raise wanted("1, the version of the grammar")
        return value


class Pipeline(Definition):
    """A whole pipeline: what the spec says, checked."""

    steps: tuple[AnyStep, ...]
    """In the order in which records pass them."""

    text: str = Field(repr=False)
    """The file's text."""

    spans: Mapping[str, tuple[int, int, int]] = Field(repr=False)
    """Of each step's key, in the text's order: where in the text it begins and ends, in characters, and how far it is
    indented."""

    file: Path | str
    """Where the text stands."""

    revision: str
    """SHA-256 of the definition as written, environment variables not replaced: comments, layout and the order of keys
    do not change it."""

    @property
    def extract(self) -> ExtractStep:
        """The first step."""
        first = self.steps[0]
        assert isinstance(first, ExtractStep)
        return first

    @property
    def concurrency(self) -> int:
        """Requests that the source may have under way at once."""
        return (self.extract.throughput or self.throughput).concurrency

    @property
    def batch_size(self) -> int:
        """Records of a transaction at the start."""
        return (self.load.throughput or self.throughput).batch_size

    @property
    def load(self) -> LoadStep:
        """The last step."""
        last = self.steps[-1]
        assert isinstance(last, LoadStep)
        return last
