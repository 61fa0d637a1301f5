"""`hooks`: code around steps, and code that is told what happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_datahub.spec.document import Node
from airflow_datahub.spec.findings import Findings
from airflow_datahub.spec.signatures import signature_of
from airflow_datahub.spec.step_types import AnyStep, ExtractStep, GateStep, MergeStep, RouteStep
from airflow_datahub.spec.words import Key, Name, Word, near


class Posted(Word):
    """Where a webhook goes."""

    connection: Name
    """Connection of type http-api."""

    path: str = ""
    """Behind its address."""


class Hook(Word):
    """One hook: a function or a webhook."""

    python: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    """A function, `package.module:function`, importable where the pipeline runs."""

    webhook: Posted | None = None
    """An address that gets JSON by POST."""

    @model_validator(mode="after")
    def _one(self) -> Hook:
        if (self.python is None) is (self.webhook is None):
            raise PydanticCustomError("hook", "takes `python` or `webhook`")
        return self


Hooked = tuple[Hook, ...]


class On(Word):
    """What is told of a run; what goes wrong in it is logged, and changes nothing."""

    start: Hooked = ()
    """When a run begins."""

    success: Hooked = ()
    """When a run has succeeded."""

    failure: Hooked = ()
    """When a task has failed and will not be tried again."""

    reject: Hooked = ()
    """When a commit has set records aside; with their reasons, not with the records."""


class Hooks(Word):
    """Code of yours."""

    before: Mapping[Key, Hooked] = {}
    """By step: what gets its records before it does, and gives them back, changed or not."""

    after: Mapping[Key, Hooked] = {}
    """By step: the same behind it. Behind a load the records are there, and what is given back is nobody's."""

    on: On = On()
    """What is told of a run."""


_NOTHING = {
    "before": {ExtractStep: "nothing comes before it", MergeStep: "say after", GateStep: "no record passes it"},
    "after": {RouteStep: "say before the steps behind it", GateStep: "no record passes it"},
}


def check_hooks(hooks: Hooks, steps: Sequence[AnyStep], node: Node | None, findings: Findings) -> None:
    """Note steps that are not there or have no such side, and functions that cannot be found."""
    if node is None:
        return
    by_key = {step.key: step for step in steps}
    for side, given in (("before", hooks.before), ("after", hooks.after)):
        for key in given:
            at = node.children[side]
            step = by_key.get(key)
            if step is None:
                findings.at_key(at, key, f"no step {key!r}{near(key, by_key)}")
            elif why := next((why for kind, why in _NOTHING[side].items() if isinstance(step, kind)), None):
                findings.at_key(at, key, f"a hook {side} {key!r}, a {step.type} step, gets no records: {why}")
    for hook, at in _all(hooks, node):
        try:
            _ = hook.python and signature_of(hook.python)
        except LookupError as error:
            findings.at(at.children["python"], str(error.args[0]))


def _all(hooks: Hooks, node: Node) -> Iterator[tuple[Hook, Node]]:
    told = {name: getattr(hooks.on, name) for name in On.model_fields}
    for side, lists in (("before", hooks.before), ("after", hooks.after), ("on", told)):
        for key, given in lists.items():
            for index, hook in enumerate(given):
                yield hook, node.children[side].children[key].children[index]
