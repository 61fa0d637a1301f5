"""`notify`: Airflow's own notifiers, named by their import paths, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from airflow_datahub.masking import names_a_secret
from airflow_datahub.quantities import SomeTime, wanted
from airflow_datahub.spec.document import Node
from airflow_datahub.spec.fields import is_template
from airflow_datahub.spec.findings import Findings
from airflow_datahub.spec.words import near

Event = Literal["success", "failure", "retry"]
_PATH = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*[.:][A-Za-z_]\w*"


class Notice(BaseModel):
    """One notifier and what it is made with."""

    model_config = ConfigDict(frozen=True)

    path: str
    """`package.module:Class` or `package.module.Class`."""

    fields: Mapping[str, Any] = {}
    """Its arguments; Airflow renders those that the class lists as its template fields."""


def _notice(value: Any) -> Any:
    """From `path` or `{path: {field: value}}`."""
    if isinstance(value, Notice):
        return value
    if isinstance(value, str):
        value = {value: None}
    path, fields = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else ("", None)
    if not re.fullmatch(_PATH, path) or not (fields is None or isinstance(fields, dict)):
        raise wanted("the import path of a notifier, or {import path: {argument: value}}")
    return Notice(path=path, fields=fields or {})


_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": f"^{_PATH}$"},
        {
            "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
            "patternProperties": {f"^{_PATH}$": {"type": ["object", "null"]}},
        },
    ]
}  # fmt: skip
AnyNotice = Annotated[Notice, BeforeValidator(_notice), WithJsonSchema(_SCHEMA)]


class Notify(BaseModel):
    """Who is told of what, by Airflow's notifiers."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True)

    success: tuple[AnyNotice, ...] = ()
    """When a run has succeeded: Airflow's `on_success_callback` of the DAG."""

    failure: tuple[AnyNotice, ...] = ()
    """When a run has failed: Airflow's `on_failure_callback` of the DAG. `silence` tells them, too."""

    retry: tuple[AnyNotice, ...] = ()
    """When a task has failed and will be tried again: Airflow's `on_retry_callback` of the task."""

    silence: SomeTime | None = None
    """Tell those of `failure` when no record has come for so long, once in that time; looked at when a run has ended,
    and by a deadline alert of Airflow's when one has not ended that long after it was queued."""


def check_notify(notify: Notify, schedule: Any, node: Node | None, findings: Findings) -> None:
    """Note notifiers that are not there or do not take what they are given, secrets, and a silence nobody hears."""
    if node is None:
        return
    for notice, place in _notices(notify, node):
        _check_class(notice, place, findings)
        for key, at in _secrets(place.children.get(notice.path)):
            findings.at(at, f"{key!r} is a secret; name a connection, or write a template: {{{{ conn.x.password }}}}")
    if notify.silence is not None:
        _check_silence(notify, notify.silence, schedule, node, findings)


def _check_silence(notify: Notify, silence: timedelta, schedule: Any, node: Node, findings: Findings) -> None:
    if not notify.failure:
        findings.at_key(node, "silence", "'silence' tells the notifiers of 'failure', and there are none")
    if schedule is None:
        findings.at_key(node, "silence", "'silence' needs a schedule: it is looked at by runs")


def _notices(notify: Notify, node: Node) -> Iterator[tuple[Notice, Node]]:
    for event in get_args(Event):
        given = node.children.get(event)
        for index, notice in enumerate(getattr(notify, event)):
            if given is not None:
                yield notice, given.children[index]


def _check_class(notice: Notice, place: Node, findings: Findings) -> None:
    from airflow_datahub.spec.signatures import signature_of  # only specs that name notifiers pay for it

    try:
        signature = signature_of(notice.path)
    except LookupError as error:
        findings.at_key(place, notice.path, error.args[0])
        return
    if signature is None:
        return
    fields = place.children.get(notice.path, place)
    for name in notice.fields:
        if signature.closed and name not in signature.names:
            findings.at_key(fields, name, f"{notice.path!r} takes no {name!r}{near(name, signature.names)}")
    if missing := [name for name in signature.required if name not in notice.fields]:
        findings.at_key(place, notice.path, f"{notice.path!r} must be given {', '.join(map(repr, missing))}")


def _secrets(node: Node | None) -> Iterator[tuple[str, Node]]:
    """Arguments whose names say that they are secret and that are written out, `${NAME}` included."""
    for key, child in node.children.items() if node else ():
        secret = isinstance(key, str) and names_a_secret(key)
        if child.children:
            yield from _secrets(child)
        elif secret and child.value not in (None, "", True, False) and not is_template(str(child.value)):
            yield str(key), child
