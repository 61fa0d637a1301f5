"""Every word of the grammar that does not act yet is known, and refused at its line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_datahub import adapters
from airflow_datahub.spec import Pipeline, future

EXTRACT = "{key: e, type: extract, adapter: inline, config: {rows: []}"
TRANSFORM = "{key: t, type: transform, operators: [{'tests.spec.spec_adapters:Move': {from: a, to: b"
LOAD = "{key: l, type: load, adapter: stdout}"

GIVEN = {
    "pipeline": {
        "catchup": "true",
        "intervals": "true",
        "triggers": "[{webhook: {}}]",
    },
    "step": {},
}


def text(place: str, word: str, value: str) -> str:
    """A spec with one word at a place; the word stands first in line 2."""
    said = f"\n{word}: {value}"
    heads = {
        "pipeline": said,
    }
    step = f", {word}: {value}" if place == "step" else ""
    return f"version: 1{heads.get(place, '')}\nsteps:\n- {EXTRACT}{step}}}\n- {TRANSFORM}}}}}]}}\n- {LOAD}\n"


WORDS = [(place, word) for place, words in future.WORDS.items() for word in words]


def test_all_words_are_tried() -> None:
    assert {place: set(words) for place, words in GIVEN.items()} == {p: set(w) for p, w in future.WORDS.items()}


@pytest.mark.parametrize(("place", "word"), WORDS)
def test_words_are_refused_at_their_place(wrong: Callable[..., list[str]], place: str, word: str) -> None:
    spec = text(place, word, GIVEN[place][word])
    (found,) = wrong(spec)
    before = spec[: spec.rfind(f"{word}: ")]
    at = f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
    assert found.startswith(f"{at}: '{word}' does not yet act: ")
    assert "not yet" in found


@pytest.mark.parametrize(("place", "word"), WORDS)
def test_defaults_written_out_change_nothing(right: Callable[..., Pipeline], place: str, word: str) -> None:
    value = future.WORDS[place][word][0]
    written = {False: "false", None: "null"}[value] if value in (False, None) else str(value)
    right(text(place, word, written).removeprefix("version: 1\n"))
    right(text(place, word, "null").removeprefix("version: 1\n"))


@pytest.mark.parametrize("kind", future.STEP_TYPES)
def test_step_types(wrong: Callable[..., list[str]], kind: str) -> None:
    found = wrong(f"version: 1\nsteps:\n- {EXTRACT}}}\n- {{key: x, type: {kind}, whatever: 1}}\n- {LOAD}\n")
    assert found == [f"4:18: the step type {kind!r} does not yet act: {future.NOW}"]


def names(kind: adapters.Kind) -> list[str]:
    return sorted(set(future.ADAPTERS[kind].split()) - set(adapters.names(kind)))


@pytest.mark.parametrize("name", names("sources"))
def test_sources(wrong: Callable[..., list[str]], name: str) -> None:
    (found,) = wrong(f"version: 1\nsteps:\n- {{key: e, type: extract, adapter: {name}, config: {{a: 1}}}}\n- {LOAD}\n")
    assert found.startswith(f"3:36: the source {name!r} does not yet act: there are ")


@pytest.mark.parametrize("name", names("sinks"))
def test_sinks(wrong: Callable[..., list[str]], name: str) -> None:
    (found,) = wrong(f"version: 1\nsteps:\n- {EXTRACT}}}\n- {{key: l, type: load, adapter: {name}}}\n")
    assert found.startswith(f"4:33: the sink {name!r} does not yet act: there are ")


@pytest.mark.parametrize("name", names("transforms"))
def test_operators(wrong: Callable[..., list[str]], name: str) -> None:
    step = f"{{key: t, type: transform, operators: [{{{name}: {{a: 1}}}}]}}"
    (found,) = wrong(f"version: 1\nsteps:\n- {EXTRACT}}}\n- {step}\n- {LOAD}\n")
    assert found.startswith(f"4:42: the operator {name!r} does not yet act: there ")


@pytest.mark.parametrize("kind", ["sources", "transforms", "sinks"])
def test_what_exists_is_not_refused(kind: adapters.Kind) -> None:
    for name in adapters.names(kind):
        assert adapters.load(kind, name)
