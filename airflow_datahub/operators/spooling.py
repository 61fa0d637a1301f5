"""For hand-written DAGs: source, transforms and sink in tasks of their own, with files between them.

What was extracted is read again by no run: the position in the source moves once it is loaded, and until then every run
goes on with the files that are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_datahub.contract import Checkpoint, Stream
from airflow_datahub.errors import ConfigurationError, SpecError, StopRun
from airflow_datahub.operators.handover import open_store, spool_root
from airflow_datahub.operators.ingest import RECORDS, IngestOperator
from airflow_datahub.operators.naming import identity
from airflow_datahub.spec.builder import Given, part
from airflow_datahub.spool.folder import MISSING, Folder, checkpoint_of, sweep
from airflow_datahub.spool.manifest import Manifest

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import Context, XComArg

    from airflow_datahub.engine import Outcome
    from airflow_datahub.state.store import Store

SPOOL = {"airflow_datahub.spool.spool:Spool": {"start": "{{ params.start }}"}}


class _SpoolingOperator(IngestOperator):
    """Its sink are files; what it returns leads the next task to them."""

    own_params: ClassVar[tuple[str, ...]] = ("start",)

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the stage; what it counted, and the manifest of all files."""
        return {**super().execute(context), **self._manifest.as_json()}

    def _ingest(self, context: Mapping[str, Any]) -> Outcome:
        start = self._start(context)
        outcome = super()._ingest({**context, "params": {**context["params"], "start": start}})
        self._manifest = self._written(start, context)
        return outcome

    def _start(self, context: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def _written(self, start: Mapping[str, Any], context: Mapping[str, Any]) -> Manifest:
        folder = Folder(root() / start["folder"])
        spool, begun = folder.start(None)
        last = folder.last()
        files, records, digest = (last.checkpoint.version, last.total, last.digest) if last else (0, 0, "")
        origin = self._origin(begun, last.checkpoint if last else None, context)
        return Manifest(spool, start["folder"], files, records, digest, origin, (start["folder"],))

    def _origin(
        self, begun: Checkpoint | None, ended: Checkpoint | None, context: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        raise NotImplementedError


class ExtractOperator(_SpoolingOperator):
    """Brings what is new from a source, through transforms if there are any, into files for a TransformOperator or a
    LoadOperator, which takes its `.output`.

    `full` reads the source from its start in every run, as a sink with the strategy `replace` wants it; the position is
    not used then. The DAG must have `max_active_runs=1`. Everything else is as for IngestOperator.
    """

    def __init__(self, *, source: Given | XComArg, transforms: Sequence[Given] = (), full: bool = False, **kwargs: Any):
        super().__init__(source=source, transforms=transforms, sink=SPOOL, **kwargs)
        self.full = full
        if self.dag.max_active_runs != 1:
            message = "its runs share one position in the source; give the DAG max_active_runs=1"
            raise SpecError([part({"key": self.task_id}).problem(message)])

    def _start(self, context: Mapping[str, Any]) -> dict[str, Any]:
        with open_store(self.log) as store:
            live = store.positions.get(self._stream)
        version = live.version if live else 0
        generation = identity("full", context["dag_run"].run_id) if self.full else f"v{version}"
        sweep(root() / self.pipeline.id, generation, version)
        given = None if self.full or live is None else asdict(replace(live, version=0))
        self._version = version
        return {"folder": f"{self.pipeline.id}/{generation}", "checkpoint": given}

    def _origin(
        self, begun: Checkpoint | None, ended: Checkpoint | None, context: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        whole = begun is None or (begun.cursor is None and not begun.skip)
        behind = asdict(ended) if ended else None
        return {**asdict(self._stream), "version": self._version, "checkpoint": behind, "whole": whole}

    @property
    def _stream(self) -> Stream:
        """What the position belongs to."""
        return Stream(self.pipeline.id, self.pipeline.extract.key)


class TransformOperator(_SpoolingOperator):
    """Takes records through transforms: `records` is the `.output` of an ExtractOperator or TransformOperator, or the
    result of a task that returns a list of records."""

    template_fields: Sequence[str] = (*IngestOperator.template_fields, "records")
    reads_files: ClassVar[bool] = True

    def __init__(self, *, records: XComArg | Sequence[Any], transforms: Sequence[Given], **kwargs: Any):
        super().__init__(source={RECORDS: {"what": records}}, transforms=transforms, sink=SPOOL, **kwargs)
        self.records = None

    def _start(self, context: Mapping[str, Any]) -> dict[str, Any]:
        given = _handed(context)
        generation = f"of-{given.spool}" if given else identity("run", context["dag_run"].run_id)
        if given:
            Folder(root() / given.folder).claim(self.pipeline.id)
        sweep(root() / self.pipeline.id, generation, 0)
        return {"folder": f"{self.pipeline.id}/{generation}", "checkpoint": None}

    def _written(self, start: Mapping[str, Any], context: Mapping[str, Any]) -> Manifest:
        made, given = super()._written(start, context), _handed(context)
        return replace(made, folders=(*made.folders, *given.folders)) if given else made

    def _origin(
        self, begun: Checkpoint | None, ended: Checkpoint | None, context: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        given = _handed(context)
        return given.origin if given else None


class LoadOperator(IngestOperator):
    """Takes records into a sink: `records` is the `.output` of an ExtractOperator or TransformOperator, or the result
    of a task that returns a list of records. Once they are loaded, the position in the source moves, if it is the one
    that they were extracted from, and the files are taken away."""

    template_fields: Sequence[str] = (*IngestOperator.template_fields, "records")
    reads_files: ClassVar[bool] = True

    def __init__(
        self, *, records: XComArg | Sequence[Any], sink: Given, transforms: Sequence[Given] = (), **kwargs: Any
    ):
        super().__init__(source={RECORDS: {"what": records}}, transforms=transforms, sink=sink, **kwargs)
        self.records = None

    def _ingest(self, context: Mapping[str, Any]) -> Outcome:
        from airflow_datahub.engine import Outcome

        given = _handed(context)
        if given is None:
            return super()._ingest(context)
        with open_store(self.log) as store:
            loaded = self._is_loaded(given, store)
        outcome = Outcome() if loaded else self._load(given, context)
        for folder in given.folders:
            Folder(root() / folder).remove()
        return outcome

    def _load(self, given: Manifest, context: Mapping[str, Any]) -> Outcome:
        origin = given.origin
        if self.pipeline.load.sink.replaces() and origin and not origin["whole"]:
            raise ConfigurationError(
                f"pipeline {self.pipeline.id!r}: the strategy replace wants all that the source has; say full=True to "
                f"the ExtractOperator"
            )
        Folder(root() / given.folder).claim(self.pipeline.id)
        outcome = super()._ingest(context)
        behind = checkpoint_of(origin["checkpoint"]) if origin else None
        if origin and behind:
            to = replace(behind, version=origin["version"] + 1, owner=self._owner(given), counters={})
            with open_store(self.log) as store:
                store.positions.move({_stream(origin): to})
        return outcome

    def _is_loaded(self, given: Manifest, store: Store) -> bool:
        """Whether an earlier try did all but its last lines. StopRun where the position is not where it was."""
        if given.origin is None:
            return False
        live = store.positions.get(_stream(given.origin))
        if live and live.owner == self._owner(given):
            return True
        if (live.version if live else 0) != given.origin["version"]:
            raise StopRun(
                f"pipeline {self.pipeline.id!r}: another run has loaded from the same position meanwhile; nothing of "
                f"this one is loaded, the next run reads on from where that one ended"
            )
        return False

    def _owner(self, given: Manifest) -> str:
        return f"{given.spool} {self.pipeline.id}"


def root() -> Path:
    """The folder of all spools. ConfigurationError where there is none."""
    found = spool_root()
    if found is None:
        raise ConfigurationError(MISSING)
    return found


def _handed(context: Mapping[str, Any]) -> Manifest | None:
    return Manifest.of(context["params"].get("input_1"))


def _stream(origin: Mapping[str, Any]) -> Stream:
    return Stream(origin["pipeline"], origin["stream"], origin["scope"])
