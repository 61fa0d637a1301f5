"""Params: what a run can be given, checked by JSON Schema, formats included."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from airflow_datahub.errors import ConfigurationError, RejectRecord
from airflow_datahub.spec.document import Node
from airflow_datahub.spec.findings import Findings, shown
from airflow_datahub.spec.words import near

if TYPE_CHECKING:
    from airflow_datahub.spec.models import Pipeline
    from airflow_datahub.spec.step_types import Step

_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,99}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})")
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DURATION = re.compile(r"P(?!$)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?)")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_POINTER = re.compile("(/([^~/]|~[01])*)*")
_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int or (isinstance(value, float) and value.is_integer()),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
}
_PLAIN = {"type", "format", "default", "title", "description", "section", "examples"}
"""What a schema may hold to be checked here; the others cost an import of jsonschema, a fifth of a lint."""


def _is_moment(value: str) -> bool:
    return bool(_MOMENT.fullmatch(value.upper())) and bool(datetime.fromisoformat(value.upper()))


def _is_date(value: str) -> bool:
    return bool(_DATE.fullmatch(value)) and bool(date.fromisoformat(value))


def _is_time(value: str) -> bool:
    return len(value) >= 5 and value[2] == ":" and time.fromisoformat(value) is not None


def _is_uri(value: str) -> bool:
    from urllib.parse import urlsplit

    parts = urlsplit(value)
    return bool(parts.scheme) and bool(parts.netloc or parts.path) and not re.search(r'[\s<>"{}|\\^`]', value)


def _is_address(value: str, version: int) -> bool:
    from ipaddress import ip_address

    return "%" not in value and ip_address(value).version == version


FORMATS: dict[str, Callable[[str], bool]] = {
    "date-time": _is_moment,
    "date": _is_date,
    "time": _is_time,
    "duration": lambda value: bool(_DURATION.fullmatch(value)),
    "email": lambda value: bool(_EMAIL.fullmatch(value)),
    "hostname": lambda value: bool(_HOST.fullmatch(value)),
    "uri": _is_uri,
    "uuid": lambda value: bool(_UUID.fullmatch(value)),
    "ipv4": lambda value: _is_address(value, 4),
    "ipv6": lambda value: _is_address(value, 6),
    "regex": lambda value: bool(re.compile(value)),
    "json-pointer": lambda value: bool(_POINTER.fullmatch(value)),
    "multiline": lambda value: True,
}
"""Every format that a param may name; `multiline` is Airflow's, for a larger field in its form."""


def resolve_params(pipeline: Pipeline, given: Mapping[str, Any]) -> dict[str, Any]:
    """The params of a run: what is given, the defaults for the rest.

    Raises ConfigurationError naming the param that does not exist, is missing or does not fit its schema."""
    for name in given:
        if name not in pipeline.params:
            raise ConfigurationError(
                f"pipeline {pipeline.id!r} has no param {name!r}{near(str(name), pipeline.params)}"
            )
    return {name: _resolved(pipeline.id, name, schema, given) for name, schema in pipeline.params.items()}


def _resolved(pipeline: str, name: str, schema: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    if name not in given and "default" not in schema:
        raise ConfigurationError(f"pipeline {pipeline!r} must be given the param {name!r}; it has no default")
    value = given[name] if name in given else schema["default"]
    mistake = mistake_in(value, schema)
    if mistake:
        raise ConfigurationError(f"param {name!r} of pipeline {pipeline!r} {mistake}")
    return value


def mistake_in(value: Any, schema: Mapping[str, Any]) -> str | None:
    """What a value lacks to fit a schema, completing "param 'since' …"; None when it fits."""
    if not schema.keys() <= _PLAIN:
        return _mistake_by_library(value, schema)
    kinds = _kinds(schema)
    if kinds and not any(_TYPES[kind](value) for kind in kinds):
        return f"wants {' or '.join(kinds)}, not {shown(value)}"
    return _mistake_in_format(value, schema.get("format"))


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _mistake_in_format(value: Any, name: str | None) -> str | None:
    if name is None or not isinstance(value, str) or _fits(name, value):
        return None
    return f"wants text of the format {name}, not {shown(value)}"


def _fits(name: str, value: str) -> bool:
    try:
        return FORMATS[name](value)
    except (ValueError, OverflowError, RecursionError, re.error):
        return False


def _mistake_by_library(value: Any, schema: Mapping[str, Any]) -> str | None:
    """By jsonschema, with our formats; the registry keeps it from fetching references over the network."""
    from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

    checker = FormatChecker(formats=())
    for name in FORMATS:
        checker.checks(name)(lambda text, name=name: not isinstance(text, str) or _fits(name, text))
    try:
        error = next(Draft202012Validator(schema, format_checker=checker, registry=REGISTRY).iter_errors(value), None)
    except Exception as broken:  # references that lead nowhere, patterns that are none: each another error
        return f"has a schema that cannot be used: {str(broken)[:200]}"
    return f"does not fit: {error.message[:200]}" if error else None


def read_params(node: Node, scheduled: bool, findings: Findings) -> dict[str, dict[str, Any]]:
    """The schema of each param, with a bare value made a default; what is wrong is noted, and stands for any schema.

    With a schedule nobody is there to fill a form: every default must fit."""
    schemas: dict[str, dict[str, Any]] = {}
    for name, child in node.children.items():
        if not _NAME.fullmatch(str(name)):
            findings.at_key(node, str(name), f"a param is named as in Python, unlike {str(name)[:80]!r}")
        schema = child.value if isinstance(child.value, dict) else {"default": child.value}
        right = _is_schema(str(name), child, findings)
        schemas[str(name)] = schema if right else {}
        if right and scheduled:
            _check_default(str(name), child, schema, findings)
    return schemas


def _check_default(name: str, node: Node, schema: Mapping[str, Any], findings: Findings) -> None:
    if "default" not in schema:
        findings.at(node, f"param {name!r} needs a default, since the pipeline has a schedule")
    elif mistake := mistake_in(schema["default"], schema):
        at = node.children.get("default", node)
        findings.at(at, f"the default of param {name!r} {mistake}; a pipeline with a schedule needs one that fits")


def _is_schema(name: str, node: Node, findings: Findings) -> bool:
    if not isinstance(node.value, dict):
        return True
    before = len(findings.problems)
    _check_formats(node, findings)
    _check_types(name, node, findings)
    if len(findings.problems) == before and not node.value.keys() <= _PLAIN:
        _check_schema(name, node, findings)
    return len(findings.problems) == before


def _check_types(name: str, node: Node, findings: Findings) -> None:
    kinds = node.value.get("type", [])
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if not isinstance(kind, str) or kind not in _TYPES:
            findings.at(
                node.children["type"], f"param {name!r} has no type {shown(kind)}; there are {', '.join(_TYPES)}"
            )
    if not isinstance(node.value.get("format", ""), str):
        findings.at(node.children["format"], f"param {name!r} wants the name of a format, {_formats()}")


def _formats() -> str:
    return f"one of {', '.join(FORMATS)}"


def _check_formats(node: Node, findings: Findings) -> None:
    """Note formats that nobody knows, in the schema and wherever schemas stand in it."""
    given = node.children.get("format")
    if given and isinstance(given.value, str) and given.value not in FORMATS:
        findings.at(given, f"no format {shown(given.raw)}{near(given.value, FORMATS) or ', ' + _formats()}")
    for word, child in node.children.items():
        if word not in ("default", "examples", "enum", "const"):
            _check_formats(child, findings)


def _check_schema(name: str, node: Node, findings: Findings) -> None:
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(node.value)
    except SchemaError as error:
        place = node
        for word in error.absolute_path:
            place = place.children.get(word, place)
        findings.at(place, f"param {name!r} is no JSON Schema: {error.message[:200]}")
    except Exception as error:  # a hostile schema meets the library's own limits
        findings.at(node, f"param {name!r} is no JSON Schema: {str(error)[:200]}")


def is_on(step: Step, params: Mapping[str, Any]) -> bool:
    """Whether the step acts in a run with these params. ConfigurationError where its `when` gives no answer."""
    if not step.enabled or step.when is None:
        return step.enabled
    from airflow_datahub.conditions.expression import compile_expression

    try:
        on = compile_expression(step.when, frozenset({"params"}), of_record=False)({}, {"params": dict(params)})
    except RejectRecord as error:
        raise ConfigurationError(f"`when` of step {step.key!r}: {error.reason}") from error
    if on is not True and on is not False:
        raise ConfigurationError(f"`when` of step {step.key!r}, {step.when!r}, gives {on!r}, not true or false")
    return on
