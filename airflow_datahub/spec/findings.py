"""What is wrong with a spec, gathered: pydantic's errors in plain words, each at its line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from airflow_datahub.errors import Problem
from airflow_datahub.spec.document import Node
from airflow_datahub.spec.future import WORDS, changes_nothing, not_yet
from airflow_datahub.spec.words import did_you_mean, near, nearest

M = TypeVar("M", bound=BaseModel)
Path = tuple[str | int, ...]

_SHAPES = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "dict": "a mapping",
    "mapping": "a mapping",
    "model": "a mapping",
    "dataclass": "a mapping",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen": "a list",
    "datetime": "a date and time such as 2024-01-31T08:00:00Z",
    "date": "a date such as 2024-01-31",
    "none": "null",
    "time": "a time such as 08:00:00",
    "bytes": "text",
}
"""By the first word of a pydantic error type that ends with `_type`, `_parsing` or `_required`."""

_LIMITS = {
    "greater_than": "a value above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "a value below {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "string_pattern_mismatch": "text of the form {pattern}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "union_tag_invalid": "{discriminator} to be one of {expected_tags}",
    "union_tag_not_found": "a mapping with {discriminator}",
    "finite_number": "a finite number",
    "wanted": "{what}",
}


class Findings:
    """The problems found in one spec."""

    def __init__(self, file: str, problems: Iterable[Problem] = ()):
        self.file = file
        self.problems = list(problems)
        self._taken = {(p.line, p.column) for p in self.problems}
        self._noted = set(self.problems)

    def at(self, node: Node, message: str) -> None:
        """Note a problem where a value stands; nothing where the YAML itself was already found wrong."""
        self._note((node.line, node.column), message)

    def at_key(self, node: Node, key: str, message: str) -> None:
        """Note a problem where a mapping's key stands."""
        self._note(node.keys.get(key, (node.line, node.column)), message)

    def _note(self, place: tuple[int, int], message: str) -> None:
        problem = Problem(self.file, *place, message)
        if place not in self._taken and problem not in self._noted:
            self.problems.append(problem)
            self._noted.add(problem)

    def validated(self, model: type[M], node: Node, values: Mapping[str, Any], name: str) -> M | None:
        """The model made from values of the YAML; None, and problems noted, where they do not fit.

        `name` is what a person calls the mapping; used where a message is about it as a whole."""
        try:
            return model.model_validate(values, by_alias=True, by_name=False)
        except ValidationError as error:
            self._explain(error, model, node, name)
        except (
            Exception
        ) as error:  # a validator of somebody's adapter is broken, which must not hide the other problems
            self.at(node, f"{name!r} cannot be checked: {type(error).__name__}: {str(error)[:200]}")
        return None

    def present(self, place: str, node: Node) -> dict[str, Any]:
        """A mapping's words less those of the future, which are noted unless their value changes nothing."""
        words = dict(node.value)
        for word, (_, instead) in WORDS[place].items():
            if word in words and not changes_nothing(place, word, words.pop(word)):
                self.at_key(node, word, not_yet(repr(word), instead))
        return words

    def _explain(self, error: ValidationError, model: type[BaseModel], node: Node, name: str) -> None:
        errors = error.errors(include_url=False)
        inner = self._unknown(errors, model, node)
        inner |= self._missing(errors, model, node, inner)
        mismatches: dict[Path, list[Any]] = {}
        for each in errors:
            if each["type"] not in ("missing", "extra_forbidden"):
                path = find(node, each["loc"], _holds(each["input"]))
                mismatches.setdefault(path, []).append(each)
        for path, here in mismatches.items():
            if not any(len(other) > len(path) and other[: len(path)] == path for other in {*mismatches, *inner}):
                self.at(descend(node, path), _sentence(named(path, name), descend(node, path), here))

    def _unknown(self, errors: list[Any], model: type[BaseModel], node: Node) -> set[Path]:
        """Note the fields that do not exist; gives their paths, and those that were meant."""
        paths: set[Path] = set()
        for each in errors:
            if each["type"] == "extra_forbidden":
                *location, word = each["loc"]
                path = find(node, location, _has(word))
                meant = nearest(str(word), _words(model, location))
                self.at_key(descend(node, path), word, f"no field {word[:80]!r}{did_you_mean(meant)}")
                paths |= {(*path, word), (*path, meant or word)}
        return paths

    def _missing(self, errors: list[Any], model: type[BaseModel], node: Node, meant: set[Path]) -> set[Path]:
        """Note the fields that must be given, unless an unknown one already stands for them; gives their paths."""
        paths: set[Path] = set()
        for each in errors:
            if each["type"] == "missing":
                *location, word = each["loc"]
                path = find(node, location, _holds(each["input"]))
                paths.add((*path, word))
                if (*path, word) not in meant:
                    description = getattr(_words(model, location).get(word), "description", None)
                    self.at(descend(node, path), f"{word!r} is missing{_explained(description)}")
        return paths


def find(node: Node, location: Sequence[Any], fits: Callable[[Node], bool] = lambda end: True) -> Path:
    """The path to the value that a pydantic error is about.

    Its location also names members of unions, which are no keys of the YAML: every way to leave names out is followed,
    and the longest one whose end fits wins."""
    ends: dict[Path, Node] = {(): node}
    for name in location:
        further = {(*path, name): end.children[name] for path, end in ends.items() if name in end.children}
        ends = further | ends if len(ends) < 64 else further or ends
    ordered = sorted(ends, key=len, reverse=True)
    return next((path for path in ordered if fits(ends[path])), ordered[0])


def _holds(value: Any) -> Callable[[Node], bool]:
    return lambda end: end.value is value


def _has(word: Any) -> Callable[[Node], bool]:
    return lambda end: word in end.keys


def descend(node: Node, path: Path) -> Node:
    """The node at a path."""
    for name in path:
        node = node.children[name]
    return node


def named(path: Path, name: str) -> str:
    """What a person calls the place: `tags[0]`."""
    start = max((i for i, part in enumerate(path) if isinstance(part, str)), default=-1)
    first = str(path[start]) if start >= 0 else name
    return first + "".join(f"[{part}]" for part in path[start + 1 :])


def shown(value: Any) -> str:
    """A value in a message, at most some 80 characters."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _sentence(name: str, node: Node, errors: list[Any]) -> str:
    """One message for what each member of a union says about a value; those of another shape count for nothing."""
    shaped = [error for error in errors if _shape(error) is None] or errors
    wants = dict.fromkeys(_wants(error) for error in shaped)
    wants.pop(None, None)
    if not wants:
        said = dict.fromkeys(str(error.get("ctx", {}).get("error", error["msg"])) for error in shaped)
        return _unsubstituted(f"{name!r}: {'; '.join(said)}", node)
    meant = "".join(error["ctx"].get("meant", "") for error in shaped if error["type"] == "wanted")
    message = f"{name!r} wants {' or '.join(str(want) for want in wants)}, not {shown(node.raw)}"
    return message + (meant or _suggestion(node, shaped))


def _wants(error: Any) -> str | None:
    """What the field wants, as the end of a sentence; None where the error's own text says it better."""
    if error["type"] in _LIMITS:
        return _LIMITS[error["type"]].format(**error.get("ctx", {}))
    return _shape(error)


def _shape(error: Any) -> str | None:
    """What kind of value the field wants, where the kind is what is wrong."""
    kind: str = error["type"]
    if kind.startswith("time_delta"):
        return "a duration such as 30s, 5m, 2h or 1d"
    first, _, rest = kind.partition("_")
    return _SHAPES.get(first) if rest and kind not in _LIMITS else None


def _suggestion(node: Node, errors: list[Any]) -> str:
    texts = [str(error["ctx"].get("expected", "")) for error in errors if error["type"] in ("literal_error", "enum")]
    return (
        near(node.raw, [each for text in texts for each in text.split("'")[1::2]]) if isinstance(node.raw, str) else ""
    )


def _unsubstituted(message: str, node: Node) -> str:
    """What came from the environment may be secret: show the variable's name instead."""
    if isinstance(node.value, str) and node.value and node.value != node.raw:
        return message.replace(node.value, node.raw)
    return message


def _explained(description: str | None) -> str:
    """The first sentence of a field's description, after a colon."""
    return ": " + " ".join(description.split()).split(". ")[0].rstrip(".") if description else ""


def _words(model: type[BaseModel], location: Sequence[Any]) -> dict[str, FieldInfo]:
    """The fields that the mapping at a location may have, by their YAML names."""
    models = [model]
    for name in location:
        fields = [field for each in models for word, field in words_of(each).items() if word == name]
        models = [m for field in fields for m in models_in(field.annotation)] or models
    return {word: field for each in models for word, field in words_of(each).items()}


def words_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by the names that the YAML uses."""
    return {str(field.alias or name): field for name, field in model.model_fields.items()}


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model that a type mentions, also within unions and lists."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)
