"""Calls the hooks of a spec: functions and webhooks around steps, and those that are told what happens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from airflow_datahub.contract import Record, Run
from airflow_datahub.errors import ConfigurationError, RejectRecord, RunError, RunFailed
from airflow_datahub.spec import Pipeline
from airflow_datahub.spec.hooks import Hook, Posted
from airflow_datahub.state import Counters, Reject

if TYPE_CHECKING:
    from airflow_datahub.engine.chain import Flow
    from airflow_datahub.http.background import Background
    from airflow_datahub.http.client import Answer, Client
    from airflow_datahub.state.store import Store

Results = Sequence[Record | RejectRecord | None]
Around = Callable[[list[Record]], Results]
Side = Literal["before", "after"]

HOOKS = "hooks."
"""Before the side of a step: what a reject has for an operator that a hook there has refused."""

_encode = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode


@dataclass
class Calling:
    """The hooks of one pipeline in one run."""

    pipeline: Pipeline
    run: Run
    _clients: dict[str, Client] = field(default_factory=dict)
    _background: Background | None = None

    def around(self, side: Side, step: str) -> list[Around]:
        """The hooks at one side of a step, in order; in a test of a spec only the functions."""
        hooks = getattr(self.pipeline.hooks, side).get(step, ())
        event = {**self._event(side), "step": step}
        return [self._around(hook, event) for hook in hooks if not (self.run.answers and hook.webhook)]

    def tell(self, name: Literal["start", "success", "failure", "reject"], **more: Any) -> None:
        """Tell those who want to know; what goes wrong is logged."""
        for hook in getattr(self.pipeline.hooks.on, name):
            try:
                event = {**self._event(name), **more}
                _ = self._post(hook.webhook, event) if hook.webhook else _function(hook)(event)
            except Exception as error:
                self.run.log.warning("hook_failed", hook=_name(hook), on=name, error=f"{type(error).__name__}: {error}")

    def rejected(self, rejects: Sequence[Reject]) -> None:
        """Tell of records that a commit has set aside."""
        if rejects and self.pipeline.hooks.on.reject:
            self.tell("reject", count=len(rejects), rejects=[self._told(each) for each in rejects])

    def _told(self, reject: Reject) -> dict[str, Any]:
        reason = self.run.mask(reject.reason)
        return {"step": reject.step, "operator": reject.operator, "field": reject.field, "reason": reason}

    def loaded(self, step: str, records: Sequence[Record]) -> None:
        """Show what was loaded to the hooks behind the step."""
        for hook in self.around("after", step):
            hook(list(records))

    def _event(self, name: str) -> dict[str, Any]:
        return {"event": name, "pipeline": self.pipeline.id, "run_id": self.run.run_id}

    def _around(self, hook: Hook, event: dict[str, Any]) -> Around:
        call = partial(self._posted, hook.webhook) if hook.webhook else _function(hook)

        def around(records: list[Record]) -> Results:
            given = deepcopy(records)
            try:
                results = call(given, dict(event))
            except RunError:
                raise
            except Exception as error:
                raise RunFailed(f"hook {_name(hook)}: {type(error).__name__}: {str(error)[:300]}") from error
            return _checked(hook, given if results is None else results, len(records))

        return around

    def _posted(self, webhook: Posted, records: list[Record], event: dict[str, Any]) -> Any:
        return self._post(webhook, {**event, "records": records})

    def _post(self, webhook: Posted, event: dict[str, Any]) -> Any:
        """What the other side answers, as JSON; None where it says nothing."""
        body = _encode(event)
        client, background = self._client(webhook.connection)
        name = hashlib.sha256(body).hexdigest()[:32]
        answer, _ = background.result(client.post(webhook.path, body, _read, name))
        return answer

    def _client(self, connection: str) -> tuple[Client, Background]:
        from airflow_datahub.http.background import Background

        background = self._background = self._background or Background(self.run.closing)
        if connection not in self._clients:
            client = self._clients[connection] = background.result(_made(connection, self.run))
            self.run.closing.callback(lambda: background.result(client.__aexit__(), 1.0))
        return self._clients[connection], background


async def _made(connection: str, run: Run) -> Client:
    from airflow_datahub.http.client import Client

    return Client(connection, run)


def _read(answer: Answer) -> Any:
    if not answer.body.strip():
        return None
    try:
        return msgspec.json.decode(answer.body)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{answer.shown}: the answer is no JSON: {answer.start(100)!r}") from error


def _function(hook: Hook) -> Callable[..., Any]:
    """The function of a hook. ConfigurationError where it cannot be imported."""
    module, _, name = (hook.python or "").partition(":")
    try:
        found: Callable[..., Any] = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"hook {hook.python!r} cannot be imported: {error}") from error
    return found


def _name(hook: Hook) -> str:
    return repr(hook.python) if hook.webhook is None else f"webhook {hook.webhook.connection}{hook.webhook.path}"


def _checked(hook: Hook, results: Any, count: int) -> Results:
    if not isinstance(results, list) or len(results) != count:
        what = f"{len(results)}" if isinstance(results, list) else type(results).__name__
        raise ConfigurationError(
            f"hook {_name(hook)} gave {what} for {count} records: it gives a list of as many, with null for one that "
            f"ends here, or nothing for the records that it was given"
        )
    for each in results:
        if each is not None and not isinstance(each, dict | RejectRecord):
            raise ConfigurationError(f"hook {_name(hook)} gave a {type(each).__name__} in place of a record")
    return results


@dataclass(frozen=True, slots=True)
class HookedStep:
    """Hooks at one side of a step, as a part of a chain."""

    key: str
    side: Side
    hooks: Sequence[Around]
    on_error: str

    def apply(self, flow: Flow) -> Flow:
        """The flow behind the hooks; what one of them refuses is kept as it was before the first."""
        entered: Sequence[Record] = flow.records
        for hook in self.hooks if flow.records else ():
            try:
                flow, entered = self._behind(flow, hook(flow.records), entered)
            except RunError as error:
                error.step = error.step or self.key
                raise
        return flow

    def _behind(self, flow: Flow, results: Results, entered: Sequence[Record]) -> tuple[Flow, Sequence[Record]]:
        from airflow_datahub.engine.chain import Flow, set_aside

        kept = [index for index, each in enumerate(results) if isinstance(each, dict)]
        refused = [
            Reject(flow.positions[index], self.key, f"{HOOKS}{self.side}", each.field, each.reason, entered[index])
            for index, each in enumerate(results)
            if isinstance(each, RejectRecord)
        ]
        count = Counters(records_in=len(results), records_out=len(kept))
        count.filtered = len(results) - len(kept) - len(refused)
        rejects = set_aside(refused, self.on_error, count)
        known = flow.counters.get(self.key)
        behind = Flow(
            [results[index] for index in kept],  # type: ignore[misc]
            [flow.origins[index] for index in kept],
            [flow.positions[index] for index in kept],
            [*flow.rejects, *rejects],
            {**flow.counters, self.key: known.behind(count) if known else count},
        )
        return behind, [entered[index] for index in kept]


def tell(pipeline: Pipeline, run: Run, event: Literal["start", "success", "failure"], **more: Any) -> None:
    """Tell the spec's hooks what has become of a run."""
    with ExitStack() as closing:
        Calling(pipeline, replace(run, closing=closing)).tell(event, **more)


def tell_start(pipeline: Pipeline, run: Run, store: Store) -> None:
    """Tell them that it begins, where it does with this very try; asked only where somebody wants to know."""
    row = store.run(pipeline.id, run.run_id) if pipeline.hooks.on.start else None
    if row is not None and row.tries == 1:
        tell(pipeline, run, "start")
