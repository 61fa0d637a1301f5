"""Whatever stands in a file: a Pipeline or a SpecError, nothing else."""

from __future__ import annotations

import contextlib
import json
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_datahub.errors import SpecError
from airflow_datahub.spec import Pipeline, loads, plan
from airflow_datahub.spec.document import read
from tests.spec.test_spec_pipeline import WHOLE

SETTINGS = settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
WORDS = """version id steps edges tests params schedule key type config adapter operators name given expect rejects step
    from to extract load transform inline stdout rows rename every max pool on_error retries timeout triggers when null
    default format date-time object properties $ref {{ {% ${X} ${X:-a} *a &a << !!x - : , # [ ] { } | > 1% 5m 2024-01-01
    tests.spec.spec_adapters:Paged tests.spec.spec_adapters:Table tests.spec.spec_adapters:Move""".split()  # noqa: SIM905
SEEDS = st.integers(0, 2**32)


def anything(chance: random.Random, depth: int = 4) -> Any:
    """Plain data at random, in the grammar's words; hypothesis would take a hundred times as long to draw it."""
    kind = chance.randrange(9 if depth else 6)
    if kind < 3:
        return chance.choice(WORDS)
    if kind < 6:
        return chance.choice([None, True, False, 0, -1, 10**30, 1.5, "", "ü\0", "a" * 3000])
    some = range(chance.randrange(4))
    if kind == 6:
        return [anything(chance, depth - 1) for _ in some]
    return {chance.choice(WORDS): anything(chance, depth - 1) for _ in some}


def survives(text: str) -> None:
    with contextlib.suppress(SpecError):
        plan(loads(text, "p.yaml", {"X": "1"})).as_dict()


@SETTINGS
@given(st.text())
def test_any_text(text: str) -> None:
    survives(text)


@SETTINGS
@given(SEEDS)
def test_any_words(seed: int) -> None:
    chance = random.Random(seed)
    survives("".join(chance.choice([*WORDS, "\n", "\n  ", " ", ": ", "\t"]) for _ in range(60)))


@SETTINGS
@given(SEEDS)
def test_any_data(seed: int) -> None:
    survives(json.dumps(anything(random.Random(seed))))


@SETTINGS
@given(SEEDS)
def test_any_values_under_right_words(seed: int) -> None:
    chance = random.Random(seed)
    head = {word: anything(chance) for word in chance.sample(list(Pipeline.model_fields), 5)}
    steps = [
        {"key": "k", "type": chance.choice(["extract", "transform", "load"]), chance.choice(WORDS): anything(chance)}
    ]
    survives(json.dumps({**head, "version": 1, "steps": steps, "edges": anything(chance)}))


@SETTINGS
@given(SEEDS)
def test_a_right_spec_with_one_value_exchanged(seed: int) -> None:
    data, chance = _data(), random.Random(seed)
    parent: Any = data
    while True:
        key = chance.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
        if not isinstance(parent[key], dict | list) or not parent[key] or chance.random() < 0.2:
            break
        parent = parent[key]
    parent[key] = anything(chance)
    survives(json.dumps(data))


@SETTINGS
@given(st.integers(0, len(WHOLE)), st.integers(0, 40), st.text(max_size=5))
def test_a_right_spec_with_a_piece_exchanged(start: int, length: int, piece: str) -> None:
    survives(WHOLE[:start] + piece + WHOLE[start + length :])


def _data() -> Any:
    node, _ = read(WHOLE, "p.yaml", {})
    assert node is not None
    return json.loads(json.dumps(node.value))
