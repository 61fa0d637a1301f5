"""Find adapters: `adapters/sources/http_api.py` is `adapter: http_api`. Nothing is imported until a spec names it."""

from __future__ import annotations

import difflib
import pkgutil
import sys
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, cast

from airflow_datahub.contract import Adapter, Sink, Source, Transform

Kind = Literal["sources", "transforms", "sinks"]
KINDS: dict[Kind, type[Adapter]] = {"sources": Source, "transforms": Transform, "sinks": Sink}


class AdapterNotFound(LookupError):
    """No adapter of that kind has that name, or its module cannot be used; the text says which is nearest."""


@cache
def names(kind: Kind) -> dict[str, str]:
    """Every adapter of a kind: the name that the YAML uses, and its module. Ours win over others' of the same name."""
    return _of_entry_points(kind) | _of_folder(f"datahub_adapters.{kind}") | _of_folder(f"{__name__}.{kind}")


@cache
def load(kind: Kind, name: str) -> type[Adapter]:
    """The adapter's class; imports its module and no other. `name` may be an import path `package.module:Class`.

    Raises AdapterNotFound."""
    if ":" in name:
        return _by_path(kind, name)
    ours = f"{__name__}.{kind}.{name}"
    known = {name: ours} if name.isidentifier() and find_spec(ours) else names(kind)
    if name not in known:
        raise AdapterNotFound(f"no {kind[:-1]} {name!r}{nearest(name, known)}")
    if ":" in known[name]:
        return _by_path(kind, known[name])
    module = import_module(known[name])
    found = [v for v in vars(module).values() if _is_adapter(v, kind) and v.__module__ == module.__name__]
    if len(found) != 1:
        raise AdapterNotFound(f"{known[name]} must hold exactly one {KINDS[kind].__name__}, it holds {len(found)}")
    return cast("type[Adapter]", found[0])


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about a name that is not known: the nearest that is, if there is one."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _by_path(kind: Kind, path: str) -> type[Adapter]:
    module, _, attribute = path.partition(":")
    try:
        value = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise AdapterNotFound(f"{path!r} cannot be imported: {error}") from error
    if not _is_adapter(value, kind):
        raise AdapterNotFound(f"{path!r} is not a {KINDS[kind].__name__}")
    return cast("type[Adapter]", value)


def _is_adapter(value: object, kind: Kind) -> bool:
    return isinstance(value, type) and issubclass(value, KINDS[kind]) and value is not KINDS[kind]


def _of_entry_points(kind: Kind) -> dict[str, str]:
    from importlib.metadata import entry_points  # costs a lint 20 ms, and only others' adapters need it

    return {e.name: e.value for e in entry_points(group=f"airflow_datahub.{kind}")}


def _of_folder(package: str) -> dict[str, str]:
    """The modules of a package that may not exist: for users, `plugins/datahub_adapters/<kind>`."""
    *parents, last = package.split(".")
    roots = sys.path if len(parents) == 1 else [str(Path(__file__).parent.parent.parent)]
    folders = [str(Path(root, *parents, last)) for root in roots]
    return {m.name: f"{package}.{m.name}" for m in pkgutil.iter_modules([f for f in folders if Path(f).is_dir()])}
