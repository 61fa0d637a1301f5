"""Regexes and globs in time proportional to the text.

Python's `re` can take minutes on `(a+)+b`; pydantic brings Rust's engine, which backtracks never. Its syntax has no
look-around and no back-references (https://docs.rs/regex). It only tells whether a pattern is found: what must also
know where uses RE2, of the same kind (https://github.com/google/re2/wiki/Syntax).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError, SchemaError, SchemaValidator, core_schema


def finder(pattern: str) -> Callable[[str], bool]:
    """A function that says whether the pattern is found anywhere in a text. Raises ValueError for a bad pattern."""
    try:
        pattern.encode()
        validator = SchemaValidator(core_schema.str_schema(pattern=pattern, strict=True))
    except SchemaError as error:
        raise ValueError(f"not a regex: {str(error).strip().splitlines()[-1].removeprefix('error: ')}") from error
    return validator.isinstance_python


def searcher(pattern: str) -> Any:
    """The pattern as RE2 compiles it: `search`, `finditer` and `sub` as those of `re`. Raises ValueError for a bad one.

    They raise UnicodeEncodeError for a text with half a surrogate pair."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        said = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"not a regex: {said}") from error


def glob_pattern(glob: str) -> str:
    """The regex of a glob over a whole text: `*` any text, `?` one character, `[a-z]` and `[!a-z]` one of a set."""
    parts = re.split(r"(\*|\?|\[!?\]?[^\]]*\])", glob)
    return rf"(?s)\A{''.join(map(_glob_part, parts))}\z"


def _glob_part(part: str) -> str:
    if part in ("*", "?"):
        return ".*" if part == "*" else "."
    if len(part) > 2 and part[0] == "[" and part[-1] == "]":
        return _glob_set(part[1:-1])
    return re.escape(part)


def _glob_set(inner: str) -> str:
    negated = len(inner) > 1 and inner[0] == "!"
    escaped = re.sub(r"([\\\[\]&~^])", r"\\\1", inner[negated:])
    return f"[{'^' * negated}{escaped}]"


def _checked_regex(pattern: str) -> str:
    return _checked(pattern, pattern)


def _checked_glob(glob: str) -> str:
    return _checked(glob_pattern(glob), glob)


def _checked(pattern: str, text: str) -> str:
    try:
        finder(pattern)
    except ValueError as error:
        raise PydanticCustomError("regex", "{reason}", {"reason": str(error)}) from error
    return text


def _checked_search(pattern: str) -> str:
    try:
        searcher(pattern)
    except ValueError as error:
        raise PydanticCustomError("regex", "{reason}", {"reason": str(error)}) from error
    return pattern


Search = Annotated[str, AfterValidator(_checked_search)]
"""A field of a model that holds a regex by which parts of a text are found."""

Regex = Annotated[str, AfterValidator(_checked_regex)]
"""A field of a model that holds a regex."""

Glob = Annotated[str, AfterValidator(_checked_glob)]
"""A field of a model that holds a glob."""
