"""What the stages of a run hand to one another, and how it becomes final.

The files that a source stage writes belong to the position that they were read from, not to a run: until `commit` moves
the position, every run goes on with those that are there. So a later try, also one of a later run, reads exactly what
was read before, and a sink that has loaded a part of them goes on behind it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from airflow_datahub.contract import Checkpoint, Run, Stream
from airflow_datahub.engine.tally import Tally, judge_records
from airflow_datahub.errors import ConfigurationError, StopRun
from airflow_datahub.spec import LoadStep, Pipeline, Stage, shape_of
from airflow_datahub.spool.folder import MISSING, Folder, checkpoint_of, sweep
from airflow_datahub.spool.manifest import Manifest, counted
from airflow_datahub.spool.together import name_of
from airflow_datahub.state.store import Store

Handed = Mapping[str, Manifest]
"""By stage: what it has handed on. One that was skipped has handed on nothing."""


@dataclass(frozen=True)
class Handing:
    """What one stage reads, and where it writes."""

    pipeline: Pipeline
    stage: Stage
    handed: Handed
    run: Run
    folder: str = ""
    """Below the root of all spools; empty where it ends with a sink."""
    live: Checkpoint | None = None
    """Where the source stands that it begins with."""
    full: bool = False
    """It reads the source from its start."""

    @property
    def values(self) -> dict[str, Any]:
        """What the templates of its ends name."""
        begun = asdict(replace(self.live, version=0)) if self.live and not self.full else None
        return {"inputs": self._inputs, "spool": {"folder": self.folder, "checkpoint": begun}}

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        """By stage before this one: records that a source gave, and rejects."""
        return {key: count for each in self._read for key, count in self.handed[each].counts.items()}

    @property
    def before(self) -> tuple[int, int] | None:
        """Records that sources gave to the stages before this one, and their rejects; None where there are none."""
        return counted(self.handed[key] for key in self._read) if self.stage.inputs else None

    def manifest(self, tally: Tally) -> Manifest | None:
        """What it hands on, once it has run."""
        if not self.folder:
            return None
        folder = Folder(_root(self.run) / self.folder)
        spool, begun = folder.start(None)
        last = folder.last()
        behind = last.checkpoint if last else begun
        read = 0 if self.stage.inputs else tally.read
        return Manifest(
            spool=spool, folder=self.folder, files=last.checkpoint.version if last else 0,
            records=last.total if last else 0, digest=last.digest if last else "",
            origin=None if self.stage.inputs or _replays(self.run) else self._origin(behind),
            folders=(self.folder,), branches=dict(last.totals) if last else {},
            counts={**self.counts, self.stage.key: (read, tally.rejected)},
        )  # fmt: skip

    def _origin(self, behind: Checkpoint | None) -> Mapping[str, Any]:
        stream = Stream(self.pipeline.id, self.stage.steps[0])
        version = self.live.version if self.live else 0
        return {**asdict(stream), "version": version, "checkpoint": asdict(behind) if behind else None}

    @property
    def _read(self) -> list[str]:
        """The stages that have handed something to this one."""
        return [each.stage for each in self.stage.inputs if each.stage in self.handed]

    @property
    def _inputs(self) -> list[dict[str, Any]]:
        given = [each for each in self.stage.inputs if each.stage in self.handed]
        ends = [{"branch": each.branch, "way": f"{each}>{self.stage.key}"} for each in given]
        return [self.handed[each.stage].as_json() | end for each, end in zip(given, ends, strict=True)]


def handing(pipeline: Pipeline, stage: Stage, handed: Handed, run: Run, store: Store, *, full: bool = False) -> Handing:
    """Find out what the stage reads and where it writes; what nobody goes on with is taken away.

    Raises StopRun where what it is to read is gone."""
    _check_there(stage, handed, run)
    if not stage.hands_on:
        return Handing(pipeline, stage, handed, run)
    if stage.inputs:
        made_of = [(handed[each.stage].spool, each.branch) for each in stage.inputs if each.stage in handed]
        folder = _own_folder(pipeline, stage, run, f"of-{name_of(made_of)}", 0)
        return Handing(pipeline, stage, handed, run, folder)
    if _replays(run):
        return Handing(pipeline, stage, handed, run, _own_folder(pipeline, stage, run, "rejects", 0))
    full = full or any(isinstance(step, LoadStep) and step.sink.replaces() for step in pipeline.steps)
    live = store.positions.get(Stream(pipeline.id, stage.steps[0]))
    version = live.version if live else 0
    generation = f"full-{_short(run.run_id)}" if full else f"v{version}"
    return Handing(pipeline, stage, handed, run, _own_folder(pipeline, stage, run, generation, version), live, full)


def commit(pipeline: Pipeline, run: Run, store: Store, handed: Handed) -> None:
    """Move the position of each source behind what was read, and take the files away; once more does nothing.

    Raises StopRun where another run has moved one, or where the sources gave too few records."""
    judge_records(pipeline, counted(handed.values())[0])
    moves = dict(move for manifest in handed.values() for move in _moves(manifest, store))
    if moves:
        store.positions.move(moves)
    Folder(_folder(pipeline, run)).remove()


def _moves(manifest: Manifest, store: Store) -> Iterable[tuple[Stream, Checkpoint]]:
    origin = manifest.origin
    behind = checkpoint_of(origin["checkpoint"]) if origin else None
    if origin is None or behind is None:
        return
    stream = Stream(origin["pipeline"], origin["stream"], origin["scope"])
    live = store.positions.get(stream)
    if live and live.owner == manifest.spool:
        return  # an earlier try did it
    if (live.version if live else 0) != origin["version"]:
        raise StopRun(
            f"another run has moved the position of {stream.stream!r} meanwhile, so this one moves nothing: the next "
            f"run reads on from where that one ended"
        )
    yield stream, replace(behind, version=origin["version"] + 1, owner=manifest.spool, counters={})


def _own_folder(pipeline: Pipeline, stage: Stage, run: Run, generation: str, version: int) -> str:
    folder = _folder(pipeline, run)
    if not _replays(run):  # what it would take away may be what a run goes on with that has waited for a week
        sweep(folder.parent, folder.name, 0)
    sweep(folder / stage.key, generation, version)
    return f"{pipeline.id}/{folder.name}/{stage.key}/{generation}"


def _folder(pipeline: Pipeline, run: Run) -> Path:
    """Where the files of all stages are; those of another graph, or of a replay, cannot be gone on with."""
    name = f"replay-{_short(run.run_id)}" if _replays(run) else f"graph-{_short(shape_of(pipeline))}"
    return _root(run) / pipeline.id / name


def _replays(run: Run) -> bool:
    """Its files hold what has become of rejects, with their names, and belong to no position."""
    return run.trigger == "replay"


def _check_there(stage: Stage, handed: Handed, run: Run) -> None:
    for each in stage.inputs:
        manifest = handed.get(each.stage)
        if manifest and not (_root(run) / manifest.folder / "start.json").exists():
            raise StopRun(
                f"what {each.stage!r} handed on is gone: the run was committed, or it is more than a week old. Clear "
                f"{each.stage!r} with everything behind it, which reads what is new; or start another run"
            )


def _root(run: Run) -> Path:
    if run.spool is None:
        raise ConfigurationError(MISSING)
    return run.spool


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
