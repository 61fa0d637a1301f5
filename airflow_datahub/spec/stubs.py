"""Stubs: for each spec one small Python file beside it, so that Airflow finds it as a DAG file of its own."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable
from pathlib import Path

from airflow_datahub.errors import Problem, SpecError

_SPEC = re.compile(r"[A-Za-z0-9_-]{1,200}(\.[A-Za-z0-9_-]+)*\.ya?ml")


def stub_of(spec: str) -> str:
    """The stub's text for a spec's file name: the same bytes on every machine.

    The words `airflow` and `dag` are in it, without which Airflow skips the file silently."""
    return (
        f'# airflow dag of {spec}, written by "airflow-datahub stubs"\n'
        "from airflow_datahub.dag_factory import build\n"
        "\n"
        "dag = build(__file__)\n"
    )


def write_stubs(directory: Path, check: bool = False) -> list[Path]:
    """Write `<spec's file name>.py` beside each `*.yaml` and `*.yml` of a directory; gives those it wrote.

    With `check` nothing is written, and those that are missing or differ are given. Raises SpecError where two files
    claim one id, a file's name cannot be an id, or the directory cannot be read or written."""
    try:
        specs = specs_in(directory)
        if problems := refused(specs):
            raise SpecError([Problem(str(directory / name), 1, 1, message) for name, message in problems.items()])
        stale = [name for name in specs if _differs(directory / f"{name}.py", stub_of(name))]
        for name in () if check else stale:
            write_stub(directory, name)
    except OSError as error:
        raise SpecError([Problem(str(error.filename or directory), 1, 1, f"{error.strerror}")]) from error
    return [directory / f"{name}.py" for name in stale]


def specs_in(directory: Path) -> list[str]:
    """The names of the spec files of a directory, sorted; raises OSError."""
    found = sorted(p.name for p in directory.iterdir() if p.suffix in (".yaml", ".yml") and p.is_file())
    return [name for name in found if not name.startswith(".")]


def refused(specs: Iterable[str]) -> dict[str, str]:
    """Why a spec of this name gets no DAG; of two that claim one id the first has it."""
    owners: dict[str, str] = {}
    problems = {}
    for name in specs:
        identity = name.partition(".")[0]
        if not _SPEC.fullmatch(name):
            problems[name] = "the file's name gives the id; use letters, digits, _ and - in it"
        elif (owner := owners.setdefault(identity, name)) != name:
            problems[name] = f"claims the id {identity!r} of {owner!r}; rename one of them"
    return problems


def write_stub(directory: Path, spec: str) -> None:
    """Whole or not at all: Airflow may read the folder at any moment. Raises OSError."""
    path = directory / f"{spec}.py"
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        beside.write_bytes(stub_of(spec).encode())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _differs(path: Path, text: str) -> bool:
    return not path.is_file() or path.read_bytes() != text.encode()
