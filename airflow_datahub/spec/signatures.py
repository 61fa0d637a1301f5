"""What a class at an import path takes, read from its source: nothing is imported, Airflow least of all."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from airflow_datahub.environment import plugins_folder
from airflow_datahub.spec.words import near


@dataclass(frozen=True)
class Signature:
    """Arguments by name."""

    names: tuple[str, ...]
    required: tuple[str, ...]
    closed: bool
    """Whether it takes no others."""


def signature_of(path: str) -> Signature | None:
    """What `package.module:Class` or `package.module.Class` is made with; None where its source does not tell.

    Raises LookupError, for a person, where there is no such module or no such class in it."""
    module, name = path.replace(":", ".").rsplit(".", 1)
    tree = _source(_found(module))
    if tree is None:
        return None
    classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    if name in classes:
        return _signature(classes[name])
    if not {name, "__getattr__"} & _bound(tree):
        raise LookupError(f"the module {module!r} has no {name!r}{near(name, classes)}")
    return None


def _found(module: str) -> Path | None:
    """The module's file, found step by step: Python's own way imports the packages above it. None: not in Python."""
    top, *below = module.split(".")
    places = _places_of(top)
    if places is None:
        raise LookupError(_missing(top))
    for length, name in enumerate(below, 2):
        if isinstance(places, Path):
            raise LookupError(_missing(".".join([top, *below][:length])))
        places = _inside(places, name)
        if places is None:
            raise LookupError(_missing(".".join([top, *below][:length])))
    return places if isinstance(places, Path) else _first(places)


Places = Path | list[Path]
"""A module's file, or the folders that a package's modules are in."""


def _places_of(top: str) -> Places | None:
    """Of a module that no package is above; also of those in Airflow's plugins folder, which Airflow can import."""
    spec = find_spec(top)
    if spec is None:
        return _inside([plugins_folder()], top)
    if spec.submodule_search_locations is None:
        return Path(spec.origin or top)
    shared = [Path(place, top) for place in sys.path]  # what Airflow's packages add to their own path
    return list(dict.fromkeys([*map(Path, spec.submodule_search_locations), *filter(Path.is_dir, shared)]))


def _inside(places: list[Path], name: str) -> Places | None:
    for place in places:
        if (place / name / "__init__.py").exists():
            return [place / name]
        if found := next(place.glob(f"{name}.*"), None):
            return place / f"{name}.py" if (place / f"{name}.py").exists() else found
    return [place / name for place in places if (place / name).is_dir()] or None


def _first(places: list[Path]) -> Path | None:
    return next((place / "__init__.py" for place in places if (place / "__init__.py").exists()), None)


def _missing(module: str) -> str:
    return f"there is no module {module!r} here; install it here and where Airflow runs"


def _source(file: Path | None) -> ast.Module | None:
    if file is None or file.suffix != ".py":
        return None
    try:
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def _bound(tree: ast.Module) -> set[str]:
    """Every name that the module gets from elsewhere or makes otherwise than by a class statement."""
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.FunctionDef):
            bound.add(node.name)
    return bound


def _signature(made: ast.ClassDef) -> Signature | None:
    init = next((n for n in made.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    if init is None:
        return None
    given = init.args
    positional = [argument.arg for argument in (*given.posonlyargs, *given.args)][1:]
    named = [argument.arg for argument in given.kwonlyargs]
    needed = positional[: max(len(positional) - len(given.defaults), 0)]
    needed += [name for name, default in zip(named, given.kw_defaults, strict=True) if default is None]
    return Signature((*positional, *named), tuple(needed), closed=given.kwarg is None)
