"""What a spec says, as frozen models: their fields are the YAML's words, their docstrings the editor's hover text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from airflow_datahub.contract import Record
from airflow_datahub.paths import FieldPath
from airflow_datahub.quantities import Duration, SomeTime, wanted
from airflow_datahub.spec.hooks import Hooks
from airflow_datahub.spec.locking import AnyLock
from airflow_datahub.spec.notices import Notify
from airflow_datahub.spec.step_types import AnyStep, ExtractStep, LoadStep
from airflow_datahub.spec.words import (
    Count,
    Cron,
    CronOrPreset,
    Instant,
    Key,
    Moment,
    Name,
    Positive,
    ShareOrCount,
    TimeZone,
    Word,
)

IDENTITY = "[A-Za-z0-9_-]{1,200}"
"""What an id may be, so that Airflow takes it as the name of a DAG."""


class Every(Word):
    """A schedule by interval."""

    every: SomeTime
    """How long after one run the next begins."""


Crons = Annotated[tuple[Cron, ...], Field(min_length=1)]
Schedule = CronOrPreset | Crons | Every | None
"""None: by hand only. A text is a cron text or one of Airflow's presets, a tuple several cron texts."""


class Rejects(Word):
    """How many rejects a run may have, and what is done with them."""

    max: ShareOrCount | None = None
    """Above this share of the records in, or this count, the run fails; none: no limit."""

    keep: SomeTime | None = None
    """Rejects that were set aside longer ago are deleted at the end of a run; none: they are kept."""

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


class Edge(Word):
    """One connection between two steps."""

    source: Name = Field(alias="from")
    """Key of the step that records leave."""

    target: Name = Field(alias="to")
    """Key of the step that they enter."""

    branch: Key | None = None
    """Which of a route's branches; for edges out of a route."""


class ExpectedReject(Word):
    """A reject that a test expects; what is left out is not compared."""

    step: Name
    """Key of the step that refuses."""

    operator: Name | None = None
    """Name of the operator that refuses."""

    reason: str | None = None
    """The reason, or a part of it."""


class Answered(Word):
    """What another system is asked, and what it answers."""

    request: Any
    """What the lookup asks: `{path: …, query: …}` of an API, the values of the columns of a table."""

    answer: Any
    """What it answers; null: it knows nothing."""


class PipelineTest(Word):
    """A test inside the spec: what goes in, and what must come out."""

    name: Name
    """What the test shows."""

    params: Mapping[str, Any] = {}
    """Params of the run; the others have their defaults."""

    now: Instant = datetime(2024, 1, 15, tzinfo=UTC)
    """What `now` means in the test."""

    given: dict[str, tuple[Record, ...]]
    """By step: the records that leave an extract step, or enter another one."""

    expect: Mapping[str, tuple[Record, ...]] = {}
    """By step: all records that enter it, whole and in order."""

    rejects: tuple[ExpectedReject, ...] = ()
    """All rejects, in order."""

    answers: Mapping[str, tuple[Answered, ...]] = {}
    """By step: what other systems answer to its lookups. One that is not here fails the test."""


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

    lock: AnyLock | None = None
    """One writer at a time for what this name stands for, also over several Airflow deployments."""

    hooks: Hooks = Hooks()
    """Code of yours around steps, and code that is told what happens."""

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
    """In an order in which records pass them."""

    edges: tuple[Edge, ...]
    """Every connection."""

    order: tuple[str, ...] = Field(repr=False)
    """The keys of all steps, in running order; of a part of a pipeline those of the whole."""

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
