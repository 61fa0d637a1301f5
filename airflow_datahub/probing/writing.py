"""Put what was learnt into a spec: a new one, or an existing one in which nothing else changes by a single byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from airflow_datahub.errors import ConfigurationError, SpecError
from airflow_datahub.spec import loads
from airflow_datahub.spec.replacing import replace_file

Learnt = Mapping[str, Any]
"""Fields of the config of an `http_api` step."""


class Unsafe(ConfigurationError):
    """The spec cannot be changed without a risk for what else it says."""


def block(learnt: Learnt, indent: str = "") -> str:
    """The fields as YAML, a line each."""
    return "".join(f"{indent}{name}: {_flow(value)}\n" for name, value in learnt.items())


def written(path: Path, learnt: Learnt) -> None:
    """Write a new spec, or set the fields `records` and `paging` in the `http_api` step of an existing one that has the
    same connection and path. Raises Unsafe, and then nothing was written."""
    if path.exists():
        _replace(path, changed(_read(path), str(path), learnt))
        return
    text = new(learnt)
    _check(text, str(path))
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Unsafe(f"{path} cannot be written: {error}") from None


def new(learnt: Learnt) -> str:
    """A spec that prints the records."""
    head = "version: 1\nsteps:\n  - key: extract\n    type: extract\n    adapter: http_api\n    config:\n"
    return f"{head}{block(learnt, ' ' * 6)}  - key: load\n    type: load\n    adapter: stdout\n    config: {{}}\n"


def changed(text: str, file: str, learnt: Learnt) -> str:
    """The text of a spec with `records` and `paging` set. Raises Unsafe."""
    _check(text, file)
    config = _config(text, file, learnt)
    for name in ("records", "paging"):
        if name in learnt:
            text = _set(text, _config(text, file, learnt), name, _flow(learnt[name]), file)
        elif _entry(config, name):
            raise Unsafe(f"{file}: {name!r} is set and should not be")
    _check(text, file)
    return text


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, ValueError) as error:
        raise Unsafe(f"{path} cannot be read: {error}") from None


def _check(text: str, file: str) -> None:
    try:
        loads(text, file)
    except SpecError as error:
        raise Unsafe("\n".join(["the spec would not lint:", *map(str, error.problems)])) from None


def _config(text: str, file: str, learnt: Learnt) -> yaml.MappingNode:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:  # an alias of what is no longer there
        raise Unsafe(f"{file}: {error}") from None
    steps = _entry(root, "steps") if isinstance(root, yaml.MappingNode) else None
    for step in steps.value.value if steps and isinstance(steps.value, yaml.SequenceNode) else []:
        adapter, config = _entry(step, "adapter"), _entry(step, "config")
        if adapter and config and adapter.value.value == "http_api" and isinstance(config.value, yaml.MappingNode):
            told = {name: entry.value.value for name in ("connection", "path") if (entry := _entry(config.value, name))}
            if told == {"connection": learnt["connection"], "path": learnt["path"]}:
                return config.value
    raise Unsafe(f"{file} has no `http_api` step with connection {learnt['connection']!r} and path {learnt['path']!r}")


@dataclass(frozen=True, slots=True)
class _Entry:
    key: yaml.Node
    value: yaml.Node


def _entry(node: yaml.Node, name: str) -> _Entry | None:
    return next((_Entry(key, value) for key, value in node.value if key.value == name), None)


def _set(text: str, config: yaml.MappingNode, name: str, value: str, file: str) -> str:
    entry = _entry(config, name)
    if entry is None:
        return _inserted(text, config, f"{name}: {value}", file)
    start, end = entry.value.start_mark, entry.value.end_mark
    block_style = isinstance(entry.value, yaml.CollectionNode) and not entry.value.flow_style
    before = text[entry.key.end_mark.index : start.index]
    if start.line != end.line or block_style or before.strip() != ":" or "\n" in before:
        raise Unsafe(f"{file}:{start.line + 1}: {name!r} is not on one line")
    return text[: start.index] + value + text[end.index :]


def _inserted(text: str, config: yaml.MappingNode, line: str, file: str) -> str:
    """A new line behind that of `path`."""
    path = _entry(config, "path")
    if path is None or config.flow_style or path.value.start_mark.line != path.value.end_mark.line:
        raise Unsafe(f"{file}:{config.start_mark.line + 1}: its config is not a block with `path` on one line")
    end = text.find("\n", path.value.end_mark.index)
    if end < 0:
        raise Unsafe(f"{file}: its last line has no end")
    newline = "\r\n" if text[end - 1] == "\r" else "\n"
    return f"{text[: end + 1]}{' ' * path.key.start_mark.column}{line}{newline}{text[end + 1 :]}"


def _flow(value: Any) -> str:
    dumped = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return dumped.removesuffix("\n").removesuffix("\n...")


def _replace(path: Path, text: str) -> None:
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise Unsafe(f"{path} cannot be written: {error}") from None
