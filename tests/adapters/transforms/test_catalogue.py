"""Operators of one value (those on text: test_text.py), each by what it makes of values and what it refuses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from airflow_datahub.errors import RejectRecord
from tests.adapters.transforms.operators import apply

D = Decimal

MADE: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("to_string", {}, 1e300, "1e+300"),
    ("to_string", {}, D("1.50"), "1.50"),
    ("to_string", {}, 0.1, "0.1"),
    ("to_boolean", {}, " YES ", True),
    ("to_boolean", {}, "off", False),
    ("to_boolean", {"true": ["ja"], "false": ["nein"]}, "Ja", True),
    ("round", {"digits": 2, "mode": "half_up"}, 2.675, 2.68),
    ("round", {"digits": 2}, "2.675", D("2.68")),
    ("round", {"digits": 1}, D("0.25"), D("0.2")),
    ("round", {"digits": -2}, 1250, 1200),
    ("parse_number", {"locale": "de"}, "-1.234,5 €", D("-1234.5")),
    ("parse_number", {"locale": "fr"}, f"1{chr(0x202F)}234,56", D("1234.56")),
    ("parse_number", {"locale": "en"}, "$1,234.50", D("1234.50")),
    ("parse_number", {"locale": "en_IN"}, "12,34,567.8", D("1234567.8")),
    ("parse_number", {"locale": "en"}, "(5.00)", D("-5.00")),
    ("parse_number", {"locale": "en"}, "12.5%", D("0.125")),
    ("format_number", {"locale": "de", "digits": 2}, D("1234.5"), "1.234,50"),
    ("format_number", {"locale": "en", "currency": "JPY"}, 1234, "¥1,234"),
    ("format_number", {"locale": "en", "style": "percent"}, 0.12, "12%"),
    ("to_minor_units", {"currency": "JPY"}, "500", 500),
    ("to_minor_units", {"currency": "BHD"}, D("1.234"), 1234),
    ("from_minor_units", {"currency": "EUR"}, 5, D("0.05")),
    ("convert_currency", {"currency": "USD", "to_currency": "JPY", "rates": {"USD": 1, "JPY": "150.5"}}, 2, D("301")),
    ("convert_unit", {"from": "in", "to_unit": "cm"}, 1, D("2.54")),
    ("convert_unit", {"from": "c", "to_unit": "f"}, 100, 212),
    ("convert_unit", {"from": "f", "to_unit": "c"}, D("212"), D("100")),
    ("convert_unit", {"from": "l", "to_unit": "ml"}, "0.5", D("500")),
    ("format_date", {"form": "date", "timezone": "Asia/Tokyo"}, "2024-01-15T20:00:00Z", "2024-01-16"),
    ("format_date", {"form": "epoch_ms"}, "2024-01-15T09:50:00.5Z", 1705312200500),
    ("format_date", {"form": "http"}, 1705312200, "Mon, 15 Jan 2024 09:50:00 GMT"),
    ("date_add", {"months": 1}, "2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z"),
    ("date_add", {"days": 1, "timezone": "Europe/Berlin"}, "2024-03-30T11:00:00Z", "2024-03-31T10:00:00Z"),
    ("date_add", {"hours": -24}, "2024-01-01", "2023-12-31T00:00:00Z"),
    ("timezone", {"zone": "Europe/Berlin"}, "2024-07-01T00:00:00Z", "2024-07-01T02:00:00+02:00"),
    ("timezone", {"zone": "Europe/Berlin", "local": True}, "2024-07-01T02:00:00", "2024-07-01T02:00:00+02:00"),
    ("timezone", {"zone": "Europe/Berlin", "local": True, "twice": "later"}, "2024-10-27T02:30:00",
     "2024-10-27T02:30:00+01:00"),
    ("parse_json", {"decimals": True}, "[1.10]", [D("1.10")]),
    ("stringify_json", {"sort_keys": True}, {"b": 1, "a": D("1.10")}, '{"a":1.10,"b":1}'),
    ("count", {}, {"a": 1}, 1),
    ("unique", {}, [1, 1.0, "1", 1, [2], [2]], [1, 1.0, "1", [2]]),
    ("unique", {"by": "k"}, [{"k": 1, "n": 1}, {"k": 1, "n": 2}], [{"k": 1, "n": 1}]),
    ("flatten", {"depth": 1}, [[1, [2]], 3], [1, [2], 3]),
    ("first", {"default": 0}, [], 0),
    ("last", {}, [1, 2], 2),
    ("sort_list", {}, [3, None, 1.5, D("2")], [1.5, D("2"), 3, None]),
    ("sort_list", {"by": "n", "descending": True}, [{"n": 1}, {}, {"n": 2}], [{"n": 2}, {"n": 1}, {}]),
    ("group", {"by": "k"}, [{"k": 1}, {"n": 2}], {"1": [{"k": 1}], "": [{"n": 2}]}),
    ("mask", {"mode": "partial", "keep_start": 1, "keep_end": 1}, "abcd", "a**d"),
    ("mask", {"mode": "partial", "keep_end": 4}, "abc", "***"),
    ("mask", {}, {"a": 1}, "***"),
    ("lookup", {"table": {1: "one"}}, 1, "one"),
    ("lookup", {"table": {"a": 1}, "missing": "null"}, "b", None),
    ("lookup", {"table": {"a": 1}, "missing": "default", "default": [0]}, "b", [0]),
    ("match_format", {"format": "gtin", "normalize": True}, "4006381 333931", "4006381333931"),
    ("match_format", {"format": "iban", "normalize": True}, "de89 3704 0044 0532 0130 00", "DE89370400440532013000"),
    ("match_format", {"format": "phone", "region": "DE", "normalize": True}, "030 901820", "+4930901820"),
    ("match_format", {"format": "email", "normalize": True}, "Ann@EXAMPLE.com", "Ann@example.com"),
    ("match_format", {"format": "url"}, "https://a.example/x?y=1", "https://a.example/x?y=1"),
    ("match_format", {"format": "regex", "pattern": "[a-z]+|[0-9]+"}, "123", "123"),
    ("html_to_markdown", {}, "<h1>A</h1><script>x</script>b", "# A\n\nb"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "value", "result"), MADE)
def test_it_makes(name: str, fields: dict[str, Any], value: Any, result: Any) -> None:
    made = apply(name, {"v": value}, field="v", **fields)["v"]
    assert repr(made) == repr(result)
    assert apply(name, {"v": None}, field="v", **fields) == {"v": None}, "null passes"
    assert apply(name, {}, field="v", **fields) == {}, "what is missing passes"


REFUSED: list[tuple[str, dict[str, Any], Any, str]] = [
    ("split", {}, None, "missing or null"),
    ("to_string", {}, float("nan"), "no value that JSON has"),
    ("to_boolean", {}, "maybe", "neither true nor false"),
    ("to_boolean", {}, 2, "neither true nor false"),
    ("round", {}, "1,5", "is not a number"),
    ("parse_number", {"locale": "en"}, "1,23", "written in en"),
    ("parse_number", {"locale": "de"}, "12 apples", "written in de"),
    ("format_number", {"locale": "de"}, 10**200, "too large"),
    ("to_minor_units", {"currency": "EUR"}, "1.234", "part of the smallest unit"),
    ("to_minor_units", {"currency_field": "c"}, 1, "is not a currency of ISO 4217"),
    ("from_minor_units", {"currency": "EUR"}, 1.5, "no whole number"),
    (
        "convert_currency",
        {"currency_field": "c", "to_currency": "EUR", "rates": {"EUR": 1, "USD": 1}},
        1,
        "has no rate",
    ),
    ("convert_unit", {"from_field": "c", "to_unit": "kg"}, 1, "that can become kg"),
    ("format_date", {"form": "date"}, "yesterday", "`parse_date` reads other forms"),
    ("date_add", {"years": 9000}, "2024-01-01", "years 1 to 9999"),
    ("timezone", {"zone": "Europe/Berlin", "local": True}, "2024-03-31T02:30:00", "does not exist in Europe/Berlin"),
    ("timezone", {"zone": "Europe/Berlin", "local": True}, "2024-10-27T02:30:00", "is there twice"),
    ("parse_json", {}, "{", "is not JSON"),
    ("parse_json", {}, "[" * 100 + "]" * 100, "more than 64 deep"),
    ("stringify_json", {}, "\ud800", "cannot be written as JSON"),
    ("count", {}, "abc", "no list and no object"),
    ("sort_list", {}, [1, "a"], "cannot be compared"),
    ("first", {}, "abc", "is not a list"),
    ("mask", {"mode": "partial", "keep_end": 1}, [1], "no single value"),
    ("lookup", {"table": {"a": 1}, "missing": "reject"}, "b", "is not in the table"),
    ("match_format", {"format": "gtin"}, "4006381333932", "has not the form gtin"),
    ("match_format", {"format": "iban"}, "DE88370400440532013000", "has not the form iban"),
    ("match_format", {"format": "email"}, "a@b@c", "has not the form email"),
    ("match_format", {"format": "url"}, "ftp://a.example/", "has not the form url"),
    ("match_format", {"format": "country"}, "XX", "has not the form country"),
    ("match_format", {"format": "regex", "pattern": "a|b"}, "ab", "has not the form"),
    ("image_resize", {"width": 5}, "bm9wZQ==", "not a picture"),
    ("image_convert", {"format": "png"}, "???", "is not base64"),
]


@pytest.mark.parametrize(("name", "fields", "value", "reason"), REFUSED)
def test_it_refuses(name: str, fields: dict[str, Any], value: Any, reason: str) -> None:
    with pytest.raises(RejectRecord, match=reason):
        apply(name, {"v": value}, field="v", required=True, **fields)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("to_boolean", {"field": "v", "true": ["x"], "false": ["X"]}, "cannot mean both"),
    ("parse_number", {"field": "v", "locale": "klingon"}, "no locale 'klingon'"),
    ("format_number", {"field": "v", "locale": "de", "currency": "EURO"}, "did you mean"),
    ("convert_unit", {"field": "v", "from": "kg", "to_unit": "cm"}, "unit of mass"),
    ("convert_unit", {"field": "v", "from": "kgg", "to_unit": "g"}, "did you mean 'kg'"),
    ("format_date", {"field": "v", "form": "%Q"}, "no form"),
    ("date_add", {"field": "v"}, "wants one of"),
    ("timezone", {"field": "v", "zone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
    ("math", {"to": "v"}, "takes one of"),
    ("math", {"to": "v", "add": [1, 2], "abs": "x"}, "takes one of"),
    ("switch", {"to": "v", "cases": {"a": 1}}, "takes `field`"),
    ("jmespath", {"to": "v", "expression": "a["}, "not a JMESPath"),
    ("validate_schema", {"schema": {"type": "nothing"}}, "not a JSON Schema"),
    ("validate_schema", {"schema": {"$ref": "https://a.example/s.json"}}, "is not fetched"),
    ("python", {"function": "no.such:thing"}, "cannot be imported"),
    ("mask", {"field": "v", "mode": "hash"}, "takes `connection`"),
    ("match_format", {"field": "v", "format": "regex"}, "takes `pattern`"),
    ("hash", {"to": "h", "of": "text"}, "takes one field"),
    ("uuid", {"to": "i", "version": 5}, "takes `fields`"),
    ("template", {"to": "t", "template": "${a"}, "without its"),
    ("sample", {"share": "200%"}, "is no share"),
    ("image_resize", {"field": "v"}, "takes `width`"),
]


@pytest.mark.parametrize(("name", "fields", "reason"), WRONG)
def test_it_wants_fields_that_fit(name: str, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        apply(name, {}, **fields)
