"""One run of a pipeline, from its params to its last line; the same for the CLI and for Airflow's task."""

from __future__ import annotations

import gc
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_datahub.contract import Checkpoint, Run, Sink, Source, Stream, Writer
from airflow_datahub.engine.chain import compiled
from airflow_datahub.engine.handing import Handed, Handing, commit, handing
from airflow_datahub.engine.hooking import Calling, tell, tell_start
from airflow_datahub.engine.keeping import KeptLog
from airflow_datahub.engine.naming import naming
from airflow_datahub.engine.partitions import MOST_TASKS, NOTHING, Pack, closes, packs, stream_of
from airflow_datahub.engine.parts import off, part_of
from airflow_datahub.engine.pinning import begun
from airflow_datahub.engine.position import START, Position, told
from airflow_datahub.engine.progress import Progress, logging_instead
from airflow_datahub.engine.rejecting import Rejecting
from airflow_datahub.engine.rendering import rendered
from airflow_datahub.engine.replaying import Replaying, begun_replay, not_judged
from airflow_datahub.engine.secrecy import keeping_secrets, masked_error
from airflow_datahub.engine.stage import Assignment, Stage
from airflow_datahub.engine.tally import Tally, judge_whole
from airflow_datahub.errors import ConfigurationError, Interrupted, RetryLater, StopRun
from airflow_datahub.locks import Check, Wanted, held
from airflow_datahub.spec import Pipeline, plan, resolve_params
from airflow_datahub.spec import Stage as Planned
from airflow_datahub.spool.manifest import Manifest
from airflow_datahub.state import Counters, Replay
from airflow_datahub.state.store import Store


@dataclass(frozen=True)
class Outcome:
    """How a run ended that did not fail."""

    records: int = 0
    """Records that this try read."""
    rejected: int = 0
    """Over all tries of the run."""
    seconds: float = 0.0
    steps: Mapping[str, Counters] = field(default_factory=dict)
    summary: str = ""
    """The last line of the log."""
    skipped: str | None = None
    """Why nothing was done."""
    manifest: Manifest | None = None
    """What is handed to the stages behind this one; None where there are none."""
    packs: list[Pack] | None = None
    """What each of the mapped tasks is to read; None where nothing was cut."""

    def __add__(self, other: Outcome) -> Outcome:
        steps = {key: self.steps.get(key, Counters()) + counts for key, counts in other.steps.items()}
        return Outcome(
            self.records + other.records, self.rejected + other.rejected, self.seconds + other.seconds,
            {**self.steps, **steps}, other.summary,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be done of a pipeline, and how."""

    stage: str | None = None
    """The stage that is run; None: the only one."""
    handed: Handed = field(default_factory=dict)
    """What the stages before it have handed on."""
    pack: Pack = NOTHING
    """The partitions to be read, where the stage is one for each."""
    most: int = MOST_TASKS
    """Mapped tasks at most."""
    full: bool = False
    """Start at the beginning of the source again."""
    limit: int | None = None
    """End after so many records."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """For templates, beside params and run_id."""
    last_try: bool = True
    """Nobody will try again where this one fails."""
    replay: Replay | None = None
    """Take these rejects through once more, instead of what the source has."""

    def of(self, pipeline: Pipeline) -> Planned:
        """The stage itself."""
        planned = plan(pipeline)
        return planned.stage(self.stage) if self.stage else planned.whole or planned.stages[0]

    def ends_run(self, pipeline: Pipeline, outcome: Outcome) -> bool:
        """Whether the run is over once it has ended so."""
        cut_nothing = outcome.skipped is not None and outcome.packs is not None
        return self.stage is None or self.of(pipeline).ends_run or cut_nothing


def run_pipeline(pipeline: Pipeline, run: Run, store: Store, task: Task = Task()) -> Outcome:
    """Bring everything that is new through a stage; blocks, and only waits for its threads.

    Raises the errors of `errors.py`, each with pipeline and step in its text; the ledger
    says how the run ended in every case. A later try of a run has the spec of its first one. No secret of a connection
    that the run reads is in its log, its errors or the store.
    """
    revision = store.begin(
        pipeline.id, run.run_id, pipeline.revision, run.trigger, pipeline.text,
        mask=pipeline.rejects.mask, dag=run.dag, task=run.task if task.of(pipeline).alone else None,
        counts=plan(pipeline).stages[0].kind != "partitions" or task.of(pipeline).kind == "partitions",
    )  # fmt: skip
    log = KeptLog(run.log, store.logs, pipeline.id, run.run_id)
    run = keeping_secrets(replace(run, log=log))
    try:
        pipeline = begun(pipeline, revision, run, store)
        if task.of(pipeline).key == plan(pipeline).stages[0].key:
            tell_start(pipeline, run, store)
        outcome = _run(pipeline, run, log, store, task)
    except BaseException as raised:
        error = masked_error(raised, run.mask)
        stopped = isinstance(error, Interrupted | KeyboardInterrupt | RetryLater)
        log.keep("warning" if stopped else "error", str(error))  # the caller shows it
        with logging_instead(log):
            store.end(pipeline.id, run.run_id, "interrupted" if stopped else "failed", str(error))
        if not stopped and (task.last_try or isinstance(error, ConfigurationError | StopRun)):
            tell(pipeline, run, "failure", error=str(error))
        log.flush(last=True)
        if error is raised:
            raise
        raise error from None
    if task.ends_run(pipeline, outcome):
        store.end(pipeline.id, run.run_id, "skipped" if outcome.skipped else "success")
        if not outcome.skipped:
            tell(pipeline, run, "success", records=outcome.records, rejected=outcome.rejected)
        _forget(pipeline, store)
    log.flush(last=True)
    return outcome


def _forget(pipeline: Pipeline, store: Store) -> None:
    """Rejects that are older than the spec wants to keep them; the clock is the one that they were written by."""
    if pipeline.rejects.keep:
        store.replays.forget(pipeline.id, datetime.now(UTC) - pipeline.rejects.keep, "rejects.keep")


def _run(pipeline: Pipeline, run: Run, log: KeptLog, store: Store, task: Task) -> Outcome:
    params = resolve_params(pipeline, run.params)
    run = replace(
        run, revision=pipeline.revision, params=params, folder=Path(pipeline.file).parent, closing=ExitStack()
    )  # fmt: skip
    stage, replaying = task.of(pipeline), None
    if stage.kind == "partitions":
        return _cut(pipeline, run, log, task)
    if task.replay:
        pipeline = not_judged(pipeline)
        replaying = begun_replay(pipeline, stage, run, store, task.replay)
    outcome = _skipped(pipeline, stage, run, log, replaying)
    if outcome is None and stage.kind == "commit":
        outcome = _commit(pipeline, run, store, task)
    if outcome is None:
        outcome = _run_steps(pipeline, stage, run, log, store, task, replaying)
    if replaying and stage.ends_run:
        store.replays.done(pipeline.id, run.run_id)
    return outcome


def _cut(pipeline: Pipeline, run: Run, log: KeptLog, task: Task) -> Outcome:
    """What the mapped tasks are to do: in a replay one of them takes the rejects."""
    mapped = plan(pipeline).whole
    assert mapped
    if task.replay:
        return Outcome(packs=[NOTHING])
    if skipped := _skipped(pipeline, mapped, run, log, None):
        return replace(skipped, packs=[])
    with naming(pipeline.id, pipeline.extract.key):
        return Outcome(packs=packs(pipeline, run, full=task.full, most=task.most))


def _skipped(pipeline: Pipeline, stage: Planned, run: Run, log: KeptLog, replaying: Replaying | None) -> Outcome | None:
    """The outcome of a stage that is off; None: it runs. In a replay what is behind it runs nevertheless, with the
    rejects that enter there."""
    skipped = off(pipeline, stage, run.params)
    if not skipped or (replaying and stage.hands_on):
        return None
    summary = f"ingestion skipped: {skipped}"
    log.keep("info", summary)  # the caller shows it
    return Outcome(summary=summary, skipped=None if replaying else skipped)


def _run_steps(
    pipeline: Pipeline, stage: Planned, run: Run, log: KeptLog, store: Store, task: Task, replaying: Replaying | None
) -> Outcome:
    part, handed = pipeline, None
    if not stage.whole:
        part = part_of(pipeline, stage)
        handed = handing(pipeline, stage, task.handed, run, store, full=task.full)
    if replaying:
        goes_on = handed and stage.inputs and not off(pipeline, stage, run.params)
        part = replaying.part(part, rendered(part.extract.source, handed.values) if handed and goes_on else None)
    with run.closing as closing:
        with naming(pipeline.id, part.load.key):
            may_write = closing.enter_context(_lock(pipeline, stage, run))
        if stage.mapped and not replaying:
            return _run_partitions(part, run, log, store, task, may_write)
        return _run_stage(part, run, log, store, task, handed, may_write, replaying)


def _commit(pipeline: Pipeline, run: Run, store: Store, task: Task) -> Outcome:
    """What all stages have done becomes final; StopRun where it is not what the spec wants."""
    done = Outcome(summary="ingestion committed")
    if plan(pipeline).whole is None:
        commit(pipeline, run, store, task.handed)
        return done
    steps = store.steps(pipeline.id, run.run_id)
    if task.limit is None and task.replay is None:
        judge_whole(pipeline, steps)
    read = steps[pipeline.extract.key].records_in if steps else 0
    return replace(done, records=read, rejected=sum(counts.rejected for counts in steps.values()))


def _run_partitions(pipeline: Pipeline, run: Run, log: KeptLog, store: Store, task: Task, may_write: Check) -> Outcome:
    """Each partition of the task with a checkpoint of its own; the first that fails ends it."""
    done = Outcome(summary="ingestion complete: no partitions")
    for partition in task.pack.partitions(pipeline, run):
        if run.stopping.is_set():
            raise Interrupted(f"pipeline {pipeline.id!r}: stopped; what is complete is committed")
        left = None if task.limit is None else task.limit - done.records
        if left == 0:
            break
        of_this = replace(task, limit=left)
        done += _run_stage(pipeline, replace(run, partition=partition), log, store, of_this, None, may_write, None)
    return done


def _lock(pipeline: Pipeline, stage: Planned, run: Run) -> AbstractContextManager[Check]:
    """The pipeline's lock, held where the stage ends with a sink."""
    lock = pipeline.lock
    if lock is None or stage.hands_on:
        return nullcontext(lambda: None)
    wanted = Wanted(
        name=lock.name, backend=lock.backend, connection=lock.connection, ttl=lock.ttl.total_seconds(),
        wait=lock.wait.total_seconds(), holder=f"{pipeline.id} {run.run_id}",
    )  # fmt: skip
    return held(wanted, run)


def _run_stage(
    pipeline: Pipeline, run: Run, log: KeptLog, store: Store, task: Task, handed: Handing | None, may_write: Check,
    replaying: Replaying | None,
) -> Outcome:  # fmt: skip
    own = handed.values if handed else {"partition": run.partition.values} if run.partition else {}
    values = {**task.values, **own, "params": run.params, "run_id": run.run_id}
    run = replace(run, concurrency=pipeline.concurrency)
    with naming(pipeline.id, pipeline.load.key):
        live = stream_of(pipeline, run.partition)
        stream = replaying.stream(live) if replaying else live
        writer = rendered(pipeline.load.sink, values).open(run, stream)
    try:
        assignment = _assignment(pipeline, run, store, values, stream, writer, task, handed)
        if assignment.finished:
            writer.close()
            run.log.info("partition_is_finished", stream=stream.stream)
            return Outcome(summary=f"partition {stream.stream} is finished")
        calling = Calling(pipeline, run) if pipeline.hooks.on.reject or pipeline.hooks.after else None
        assignment = replace(assignment, may_write=may_write, calling=calling)
        if replaying:
            assignment = replace(assignment, chain=replaying.chain(assignment.chain))
        with naming(pipeline.id, pipeline.extract.key):
            assignment.source.open(assignment.run)
    except BaseException:
        writer.close()
        raise
    if assignment.checkpoint and not assignment.full and _differ(pipeline, run.params):
        run.log.warning("params_act_from_the_checkpoint_on", hint="--full reads from the start")
    tally, progress = assignment.tally, Progress(assignment.run, assignment.tally, store)
    stage = Stage(assignment)
    part = {"partition": run.partition.key} if run.partition else {}
    run.log.info("ingestion_started", pipeline=pipeline.id, run_id=run.run_id, **part, **_where(assignment))
    how = "failed"
    try:
        with _quiet_collector():
            stage.run(lambda: _watched(progress, None if stage.resumed else stage.total, log))
        with naming(pipeline.id, pipeline.extract.key):
            tally.judge(at_end=task.limit is None and run.partition is None)  # of all of them `commit` judges
        how = "complete"
    except (Interrupted, KeyboardInterrupt):
        how = "interrupted"
        raise
    except RetryLater:
        how = "put off"
        raise
    finally:
        for line in progress.table():
            run.log.info(line)
        if how != "complete" and (stands := stage.stands):
            run.log.info("next_run_goes_on", **stands)
        summary = progress.summary(how)
        run.log.info(summary)
        progress.save()
    manifest = handed.manifest(tally) if handed else None
    read = tally.read - progress.before
    return Outcome(read, tally.rejected, progress.seconds, tally.steps, summary, manifest=manifest)


def _watched(progress: Progress, total: int | None, log: KeptLog) -> None:
    if progress.watch(total):
        log.flush()


def _assignment(
    pipeline: Pipeline, run: Run, store: Store, values: dict[str, Any], stream: Stream, writer: Writer, task: Task,
    handed: Handing | None,
) -> Assignment:  # fmt: skip
    """What the stage is to do, from the position that the sink's checkpoint shows."""
    extract, load = pipeline.extract, pipeline.load
    with naming(pipeline.id, load.key):
        checkpoint = writer.resume()
    with naming(pipeline.id, extract.key):
        source = rendered(extract.source, values)
        replaces = load.sink.replaces()
        full = task.full or (checkpoint is not None and source.renewed(run, checkpoint.cursor))
        full = full or (replaces and not _under_way(run, writer, checkpoint, extract.source.fingerprint()))
        if full:
            writer.start_over()
        if checkpoint and not full and Position.of(checkpoint).place != START:
            _check_fingerprint(pipeline, extract.source, checkpoint)
            _check_target(pipeline, writer, checkpoint)
    rejects = Rejecting(store, stream, run, f"{run.run_id}#{uuid.uuid4().hex[:12]}")
    rejects.settle(checkpoint)
    tally = Tally(pipeline, run.run_id, handed.before if handed else None)
    tally.continue_from(checkpoint)
    return Assignment(
        run=run, stream=stream, source=source, fingerprint=extract.source.fingerprint(),
        chain=compiled(pipeline, run, values, writer.opaque), load_key=load.key, on_error=load.on_error, writer=writer,
        keeps_checkpoint=load.sink.keeps_checkpoint, checkpoint=checkpoint, tally=tally, rejects=rejects,
        batch_size=pipeline.batch_size, full=full, limit=task.limit, replaces=replaces,
        closes=run.partition is not None and closes(run.partition, run.started),
    )  # fmt: skip


def _under_way(run: Run, writer: Writer, checkpoint: Checkpoint | None, fingerprint: str) -> bool:
    """Whether an earlier try of this run has begun to replace, and what it wrote is still there to be gone on with."""
    if checkpoint is None or checkpoint.target is None or Position.of(checkpoint).place == START:
        return False
    same = (checkpoint.counters.get("run"), checkpoint.fingerprint) == (run.run_id, fingerprint)
    return same and checkpoint.target == writer.target()


def _check_target(pipeline: Pipeline, writer: Writer, checkpoint: Checkpoint) -> None:
    """Rows that went into another table, or into one that is gone, would be missing in this one."""
    if checkpoint.target not in (None, writer.target()):
        raise ConfigurationError(
            f"step {pipeline.load.key!r} writes to {writer.target() or 'a table that is not there'}, but the rows "
            f"before its checkpoint went into {checkpoint.target}. {_ways_out(pipeline)}; or put the old table back, "
            f"or give the step another key, which is a new stream"
        )


def _ways_out(pipeline: Pipeline) -> str:
    """The three ways out of R5."""
    if type(pipeline.load.sink).checkpoints is Sink.checkpoints:  # no command reaches it
        return "To start over, give the task another `pipeline_id`"
    command = "airflow-datahub checkpoint"
    return (
        f"Continue at the same cursor: `{command} set {pipeline.file}`; rewind to one that you know: `{command} set "
        f"{pipeline.file} --cursor …`; or start over: `{command} reset {pipeline.file}` (or `airflow-datahub run "
        f"{pipeline.file} --full`)"
    )


def _differ(pipeline: Pipeline, params: Mapping[str, Any]) -> bool:
    """Whether a param was given another value than its default."""
    return any(value != pipeline.params[name].get("default") for name, value in params.items())


def _where(assignment: Assignment) -> dict[str, Any]:
    """Where the run goes on, for the log."""
    checkpoint = assignment.checkpoint
    if checkpoint is None or assignment.full:
        return {}
    return {"version": checkpoint.version, "cursor": told(checkpoint.cursor), "skip": checkpoint.skip}


def _check_fingerprint(pipeline: Pipeline, source: Source, checkpoint: Checkpoint) -> None:
    if checkpoint.fingerprint != source.fingerprint():
        raise ConfigurationError(
            f"what the source asks for has changed since the checkpoint of version {checkpoint.version} (fields "
            f"{', '.join(type(source).identity)}), so its cursor may mean nothing now. {_ways_out(pipeline)}; or put "
            f"the old values back, or give the step another key, which is a new stream"
        )


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Records hold no cycles: the cyclic collector at its usual thresholds costs a tenth of the time for nothing."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
