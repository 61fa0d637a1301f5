"""Any record comes back as it was."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from airflow_datahub.contract import Unreadable
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.state.sealing import RECORD_LIMIT, Seal, decoded, encoded

KEYS = [Fernet.generate_key().decode() for _ in range(3)]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None, exclude_categories=()))
    | st.decimals(allow_nan=False)
    | st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=5, minutes=30))) | st.none())
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.binary(max_size=20)
    | st.sets(st.integers(), max_size=3)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@given(st.dictionaries(st.text(), VALUES, max_size=4) | st.text() | VALUES)
def test_whatever_a_record_holds_comes_back(record: Any) -> None:
    back = decoded(encoded(record))
    assert back == record
    assert type(back) is type(record)


@pytest.mark.parametrize(
    "value",
    [10**4000, -0.0, 1e308, 5e-324, "\x00", "\ud800", "😀", Decimal("1.20"), Decimal("1E+2"), date(1, 1, 1),
     datetime(2024, 1, 1, tzinfo=UTC), time(1, 2, 3, 4), timedelta(-1, 2, 3), UUID(int=5), b"\x00\xff"],
)  # fmt: skip
def test_the_hard_ones_keep_their_exact_form(value: Any) -> None:
    back = decoded(encoded({"a": [value]}))["a"][0]
    assert (type(back), repr(back)) == (type(value), repr(value))


def test_numbers_that_json_has_no_form_for_come_back() -> None:
    back = decoded(encoded([math.nan, math.inf, -math.inf, Decimal("NaN")]))
    assert math.isnan(back[0])
    assert back[1:3] == [math.inf, -math.inf]
    assert back[3].is_nan()


def test_what_the_source_gave_as_bytes_is_read_and_what_it_could_not_read_is_text() -> None:
    assert decoded(encoded(msgspec.Raw(b'{"a": 1e400, "b": 12345678901234567890123}'))) == {
        "a": math.inf,
        "b": 12345678901234567890123,
    }
    assert decoded(encoded(Unreadable("cut off", '{"a": '))) == '{"a": '


@pytest.mark.parametrize(
    "record",
    [
        {"$airflow_datahub": "decimal", "value": "no number"},
        {"$airflow_datahub": "date", "value": 7},
        {"$airflow_datahub": "nothing we know", "value": 1},
        {"$airflow_datahub": ["decimal"], "value": "1"},
        {"$airflow_datahub": "decimal"},
        {"$airflow_datahub": "bytes", "value": "ü"},
        {"$airflow_datahub": "timedelta", "value": [10**30]},
    ],
)
def test_a_source_that_writes_our_tag_does_no_harm(record: dict[str, Any]) -> None:
    assert decoded(encoded(record)) == record


class Hostile:
    """Has no form at all."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_what_has_no_form_is_kept_as_it_can_be_written() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    around: dict[str, Any] = {}
    around["me"] = around
    assert decoded(encoded({"a": 1 + 2j}))["a"]["value"] == "(1+2j)"
    assert decoded(encoded({(1, 2): "x"}))["value"] == "{(1, 2): 'x'}"
    assert decoded(encoded(around))["value"] == "{'me': {...}}"
    assert decoded(encoded({"a": Hostile()}))["a"]["value"] == "<Hostile that cannot be written down>"
    assert "list" in decoded(encoded(deep))["value"]
    assert "int" in decoded(encoded(10**5000))["value"]


def test_it_is_encrypted_and_any_of_the_keys_opens_it() -> None:
    sealed = Seal(KEYS[0]).close({"name": "Ada Lovelace"})
    assert sealed
    assert b"Ada" not in sealed
    assert Seal(f"{KEYS[1]}, {KEYS[0]}").open(sealed) == {"name": "Ada Lovelace"}
    newer = Seal(f"{KEYS[1]},{KEYS[0]}").close({})
    assert newer
    assert Seal(KEYS[1]).open(newer) == {}, "the first key encrypts"


def test_another_key_says_so() -> None:
    sealed = Seal(KEYS[0]).close({})
    assert sealed
    with pytest.raises(LookupError, match="a key that is not configured"):
        Seal(KEYS[2]).open(sealed)


@pytest.mark.parametrize(
    "keys", ["hunter2", "", f"{KEYS[0]},", KEYS[0][:-6], "ü" * 44], ids=["short", "none", "comma", "cut", "letters"]
)
def test_what_is_no_key_is_refused_and_not_shown(keys: str) -> None:
    with pytest.raises(ConfigurationError, match="AIRFLOW__CORE__FERNET_KEY") as caught:
        Seal(keys)
    assert keys not in str(caught.value) or not keys


def test_the_limit_is_on_the_bytes_of_the_text() -> None:
    seal = Seal(KEYS[0])
    within, above = "x" * (RECORD_LIMIT - 2), "ü" * (RECORD_LIMIT // 2)
    sealed = seal.close(within)
    assert sealed
    assert seal.open(sealed) == within
    assert seal.close(above) is None


def test_the_library_is_loaded_by_the_first_record_alone() -> None:
    """It takes 6 MB, and most runs have no reject."""
    code = (
        "import sys; from airflow_datahub.state.sealing import Seal; from airflow_datahub.state import store;"
        f"seal = Seal({KEYS[0]!r}); before = 'cryptography' in sys.modules; seal.close({{}});"
        "print(before, 'cryptography' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "True"]
