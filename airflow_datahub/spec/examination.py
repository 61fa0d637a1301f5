"""What can be wrong with a pipeline whose parts are each right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_datahub.spec.document import Node
from airflow_datahub.spec.fields import check_fields, known_names
from airflow_datahub.spec.findings import Findings, shown
from airflow_datahub.spec.hooks import check_hooks
from airflow_datahub.spec.models import Definition, Edge
from airflow_datahub.spec.notices import check_notify
from airflow_datahub.spec.parameters import mistake_in
from airflow_datahub.spec.plan import stages_of
from airflow_datahub.spec.step_types import AnyStep, LoadStep
from airflow_datahub.spec.words import near

LONGEST_TASK_ID = 250
"""Characters that Airflow allows."""


def check_steps(steps: Sequence[AnyStep], edges: Sequence[Edge], root: Node, findings: Findings) -> None:
    """Note what keeps steps that are each right from running in one task."""
    nodes = {str(node.value.get("key")): node for node in _mappings(root.children.get("steps"))}
    by_key = {step.key: step for step in steps}
    for keys in stages_of(steps, [edge for edge in edges if {edge.source, edge.target} <= by_key.keys()]):
        pools = [(key, pool) for key in keys if (pool := by_key[key].pool)]
        for key, pool in pools[1:]:
            if pool != pools[0][1]:
                message = f"'pool' is {pool!r} here and {pools[0][1]!r} in step {pools[0][0]!r}; they run in one task"
                findings.at(nodes[key].children["pool"], message)
        if len("-".join(keys)) > LONGEST_TASK_ID:
            message = f"the keys joined name the task, and are longer than {LONGEST_TASK_ID} characters; shorten them"
            findings.at(nodes[keys[0]], message)


def check_settings(
    definition: Definition, steps: Sequence[AnyStep], root: Node, templated: bool, findings: Findings
) -> None:
    """Note what is wrong with what stands above the steps, in itself and beside them."""
    if definition.max_active_runs > 1 and any(isinstance(s, LoadStep) and s.sink.keeps_checkpoint for s in steps):
        message = "'max_active_runs' above 1 lets runs share one position in the source; this sink keeps one, so set 1"
        findings.at(root.children["max_active_runs"], message)
    check_hooks(definition.hooks, steps, root.children.get("hooks"), findings)
    check_notify(definition.notify, definition.schedule, root.children.get("notify"), findings)
    if templated:  # those of notifiers are Airflow's
        settings = definition.model_copy(update={"description": "", "tests": (), "notify": None})
        check_fields(settings, root, findings, known_names(definition.params), "pipeline")


def _mappings(node: Node | None) -> list[Node]:
    return [each for each in node.children.values() if isinstance(each.value, dict)] if node else []


def check_tests(
    node: Node | None, keys: set[str], steps: Sequence[AnyStep], params: Mapping[str, Any], findings: Findings
) -> None:
    """Note names in tests that the pipeline does not have; what is not even a test is found elsewhere.

    `keys` are those of all steps, `steps` only those that are right."""
    names: set[str] = set()
    for test in _mappings(node):
        _check_name(test, names, findings)
        _check_params(test, params, findings)
        _check_steps(test, keys, {step.key: step for step in steps}, findings)


def _check_name(test: Node, names: set[str], findings: Findings) -> None:
    name = test.value.get("name")
    if isinstance(name, str) and name in names:
        findings.at(test.children["name"], f"a test named {name[:80]!r} stands above")
    names |= {name} if isinstance(name, str) else set()
    if "expect" not in test.value and "rejects" not in test.value:
        findings.at(test, "a test wants 'expect' or 'rejects'; without them it shows nothing")


def _check_params(test: Node, params: Mapping[str, Any], findings: Findings) -> None:
    given = test.children.get("params")
    for name, node in given.children.items() if given else ():
        if name not in params:
            key = str(name)
            findings.at_key(given or test, key, f"no param {key[:80]!r}{near(key, params)}")
        elif mistake := mistake_in(node.value, params[str(name)]):
            findings.at(node, f"param {name!r} {mistake}")


def _check_steps(test: Node, keys: set[str], steps: Mapping[str, AnyStep], findings: Findings) -> None:
    for place in ("given", "expect", "answers"):
        node = test.children.get(place)
        for key in node.keys if node else ():
            if key not in keys:
                findings.at_key(node or test, key, f"no step {key[:80]!r}{near(key, keys)}")
    rejects = test.children.get("rejects")
    for reject in rejects.children.values() if rejects else ():
        _check_reject(reject, keys, steps, findings)


def _check_reject(reject: Node, keys: set[str], steps: Mapping[str, AnyStep], findings: Findings) -> None:
    key, operator = reject.children.get("step"), reject.children.get("operator")
    if key is None or not isinstance(key.value, str):
        return
    if key.value not in keys:
        findings.at(key, f"no step {shown(key.raw)}{near(key.value, keys)}")
    elif operator and operator.value is not None and key.value in steps:
        step = steps[key.value]
        known = [each.name for each in getattr(step, "operators", ())]
        if operator.value not in known:
            message = f"step {step.key!r} has no operator {shown(operator.raw)}{near(str(operator.value), known)}"
            findings.at(operator, message)
