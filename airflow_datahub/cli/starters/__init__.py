"""Starters: files that work as they are, to be changed into what somebody needs. Their texts are beside this file."""

from __future__ import annotations

import keyword
import os
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Literal

from airflow_datahub import __version__
from airflow_datahub.adapters import KINDS, Kind
from airflow_datahub.spec.describing import describe
from airflow_datahub.spec.models import IDENTITY

FOLDER = Path(__file__).parent
SINGULAR: Mapping[str, Kind] = {kind[:-1]: kind for kind in KINDS}
Naming = Literal["pipeline", "adapter", "package"]


class BadName(ValueError):
    """Nothing can have that name; the text says what could."""


def pipeline(name: str, source: str, sink: str) -> str:
    """The text of a spec that reads and writes as the examples of these adapters do, with a test that passes.

    Raises AdapterNotFound; BadName where an adapter shows no example."""
    ends = {"source": _example("sources", source), "sink": _example("sinks", sink)}
    params = sorted(set(re.findall(r"\bparams\.(\w+)", "".join(ends.values()))))
    declared = [f'  {param}: {{type: [string, "null"], default: null}}\n' for param in params]
    indented = {end: textwrap.indent(text, "    ") for end, text in ends.items()}
    return _text("pipeline.yaml", {**indented, "params": "".join(["params:\n", *declared] if params else [])})


def adapter(kind: Kind, name: str, plugins: Path, tests: Path) -> dict[Path, str]:
    """An adapter in a plugins folder and its tests, by where they go."""
    module = f"datahub_adapters.{kind}.{name}"
    place = Path(os.path.relpath(plugins, tests)).as_posix()
    values = _values(name, module) | {
        "import_sys": "import sys\n",
        "import_path": "from pathlib import Path\n\n",
        "paths": f'\nsys.path.insert(0, str(Path(__file__).parent / "{place}"))\n\n',
        "noqa": "  # noqa: E402 - it is no package, and stands in the folder above",
    }
    return {
        plugins / "datahub_adapters" / kind / f"{name}.py": _text(f"{kind[:-1]}.py", values),
        tests / f"test_{name}_{kind[:-1]}.py": _text(f"test_{kind[:-1]}.py", values),
    }


def package(name: str, folder: Path) -> dict[Path, str]:
    """A distribution with an adapter of each kind, all of its own name, and their tests, by where they go."""
    module = name.replace("-", "_")
    points = [f'[project.entry-points."airflow_datahub.{kind}"]\n{_point(module, kind)}\n' for kind in KINDS]
    values = {"distribution": name, "module": module, "version": __version__, "entry_points": "\n".join(points)}
    files = {folder / each: _text(each, values) for each in ("pyproject.toml", "README.md")}
    files[folder / "src" / module / "__init__.py"] = f'"""Adapters of {name} for airflow-datahub."""\n'
    for kind in KINDS:
        one = kind[:-1]
        of_kind = _values(module, f"{module}.{one}")
        files[folder / "src" / module / f"{one}.py"] = _text(f"{one}.py", of_kind)
        files[folder / "tests" / f"test_{one}.py"] = _text(f"test_{one}.py", of_kind)
    return files


def check(what: Naming, name: str) -> None:
    """BadName, with a name that would do, where one does not."""
    forms = {
        "pipeline": (IDENTITY, "letters, digits, - and _"),
        "adapter": ("[a-z][a-z0-9_]{0,99}", "small letters, digits and _, as a Python module"),
        "package": ("[a-z][a-z0-9]*([_-][a-z0-9]+)*", "small letters, digits, - and _, as a Python distribution"),
    }
    form, words = forms[what]
    article = "an" if what == "adapter" else "a"
    if not re.fullmatch(form, name):
        raise BadName(f"{name!r} is no name for {article} {what}, which is made of {words}{_instead(what, name)}")
    if what != "pipeline" and keyword.iskeyword(name.replace("-", "_")):
        raise BadName(f"{name!r} is a word of Python; try {name + '_data'!r}")


def _instead(what: Naming, name: str) -> str:
    """What a name could be, at the end of a message."""
    if what == "pipeline":
        better = re.sub("[^A-Za-z0-9_-]+", "_", name)[:200].strip("_")
    else:
        words = re.sub("([a-z0-9])([A-Z])", r"\1_\2", name).lower()
        better = re.sub("[^a-z0-9]+", "_", words)[:99].strip("_").lstrip("0123456789_")
    return f"; try {better!r}" if better else ""


def _example(kind: Kind, name: str) -> str:
    found = describe(kind, name).example
    if not found:
        raise BadName(f"the documentation of {name!r} shows no example to begin with")
    return found


def _values(name: str, module: str) -> dict[str, str]:
    nothing = dict.fromkeys(("import_sys", "import_path", "paths", "noqa"), "")
    return {"name": name, "module": module, "Class": "".join(_words(name)), **nothing}


def _words(name: str) -> Iterator[str]:
    yield from (word.capitalize() for word in name.split("_"))


def _point(module: str, kind: Kind) -> str:
    return f'{module} = "{module}.{kind[:-1]}:{"".join(_words(module))}"'


def _text(file: str, values: Mapping[str, str]) -> str:
    return Template((FOLDER / f"{file}.txt").read_text(encoding="utf-8")).substitute(values)
