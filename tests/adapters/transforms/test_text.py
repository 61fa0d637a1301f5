"""The operators that make a text, a list of texts or one of them of a text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_datahub.conditions.values import shown
from airflow_datahub.errors import RejectRecord
from tests.adapters.transforms.operators import apply, operator

FAMILY = "👩‍👩‍👧"
THUMB = "👍🏽"
GERMANY = "🇩🇪"

quick = settings(max_examples=60, database=None, deadline=None)


def made(name: str, value: Any, **fields: Any) -> Any:
    return apply(name, {"v": value}, field="v", **fields)["v"]


MADE: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("trim", {}, " \t\r\n\u00a0\u3000a b\u2003\u200b\ufeff\u0085", "a b"),
    ("trim", {}, "a\u200bb", "a\u200bb"),
    ("trim", {}, "\u200b \ufeff", ""),
    ("trim", {"side": "left"}, " a ", "a "),
    ("trim", {"side": "right"}, " a ", " a"),
    ("trim", {"characters": "/-"}, "-/a/b/-", "a/b"),
    ("trim", {"characters": "/"}, " /a/ ", " /a/ "),
    ("uppercase", {}, "straße ﬁ i", "STRASSE FI I"),
    ("lowercase", {}, "ÀΟΔΟΣ Σ I", "àοδος σ i"),
    ("titlecase", {}, "ANN o'neil's 3RD t-shirt", "Ann O'Neil's 3rd T-Shirt"),
    ("titlecase", {}, "don't i'll l’oréal", "Don't I'll L’Oréal"),
    ("titlecase", {}, "e\u0301COLE élan ǆ", "E\u0301cole Élan ǅ"),
    ("titlecase", {}, "ΟΔΟΣ straße_WEG", "Οδος Straße_Weg"),
    ("titlecase", {"keep_capitals": True}, "the USA of mcDonald", "The USA Of McDonald"),
    ("titlecase", {}, "", ""),
    ("slugify", {}, "T-Shirt", "t-shirt"),
    ("slugify", {}, "  Größe 42 / Łódź!  ", "grosse-42-lodz"),
    ("slugify", {}, "Ann's Crème_brûlée, 1,5 l", "anns-creme-brulee-1-5-l"),
    ("slugify", {}, "Nike® Air™ 50% ½", "nike-air-50-1-2"),
    ("slugify", {}, "Ольга Чайковская", "olga-chaikovskaia"),
    ("slugify", {}, "北京 🎉 ＡＢＣ", "bei-jing-abc"),
    ("slugify", {}, "o\u0308l\ud800\x00x", "ol-x"),
    ("slugify", {"replacements": {"Ö": "oe", "&": " und "}}, "O\u0308l&Essig", "oel-und-essig"),
    ("slugify", {"separator": "_"}, "a b", "a_b"),
    ("slugify", {"separator": ""}, "a b", "ab"),
    ("slugify", {"max_length": 6}, "one twentythree ab", "one"),
    ("slugify", {"max_length": 7}, "one two three", "one-two"),
    ("slugify", {"max_length": 4}, "twentythree ab", "twen"),
    ("split", {}, "a, b,,c", ["a", "b", "", "c"]),
    ("split", {}, "", []),
    ("split", {}, ",", ["", ""]),
    ("split", {"keep_empty": False}, "a, ,c,", ["a", "c"]),
    ("split", {"separator": " | ", "trim": False}, "a | b  | c", ["a", "b ", "c"]),
    ("split", {"limit": 2}, "a,b,c", ["a", "b,c"]),
    ("split", {"limit": 1}, "a,b,c", ["a,b,c"]),
    ("split", {"pattern": "[,;]|und"}, "a, b;c und d", ["a", "b", "c", "d"]),
    ("split", {"pattern": "x*", "limit": 2}, "abxxcx", ["ab", "cx"]),
    ("split", {"pattern": "(ä)"}, "1ä2ä3", ["1", "2", "3"]),
    ("join", {"separator": "-"}, ["a", 1, None, True, Decimal("1.50"), 0.5], "a-1-true-1.50-0.5"),
    ("join", {}, [], ""),
    ("join", {"separator": ""}, ["a", "", "b"], "ab"),
    ("replace", {"find": ".", "with": ","}, "1.2.3", "1,2,3"),
    ("replace", {"find": ".", "with": "", "count": 1}, "1.2.3", "12.3"),
    ("replace", {"find": "a", "with": r"\1"}, "a", r"\1"),
    ("replace", {"pairs": {"a": "b", "b": "a", "ab": "X"}}, "abab a b", "XX b a"),
    ("replace", {"pairs": {"a": "1", "b": "2"}, "count": 2}, "abab", "12ab"),
    ("truncate", {"length": 5, "suffix": "…"}, "abcdefgh", "abcd…"),
    ("truncate", {"length": 5}, "abcde", "abcde"),
    ("truncate", {"length": 5}, "abcd efg", "abcd"),
    ("truncate", {"length": 8, "words": True}, "ab cd efgh", "ab cd"),
    ("truncate", {"length": 5, "words": True}, "ab cd efgh", "ab cd"),
    ("truncate", {"length": 6, "words": True}, "ab cd efgh", "ab cd"),
    ("truncate", {"length": 3, "words": True}, "abcdef gh", "abc"),
    ("truncate", {"length": 2}, "ae\u0301b", "a"),
    ("truncate", {"length": 2}, "e\u0301\u0301\u0301", "e\u0301"),
    ("truncate", {"length": 2}, "a\r\nb", "a"),
    ("truncate", {"length": 2}, "a\ud83d\ude00", "a"),
    ("truncate", {"length": 4}, f"a{FAMILY}", "a"),
    ("truncate", {"length": 2}, f"a{THUMB}", "a"),
    ("truncate", {"length": 3}, GERMANY * 2, GERMANY),
    ("truncate", {"length": 2}, "a\u1112\u1161\u11ab", "a"),
    ("truncate", {"bytes": 4}, "aäöü", "aä"),
    ("truncate", {"bytes": 7}, "aäöü", "aäöü"),
    ("truncate", {"bytes": 6, "suffix": "…"}, "aäöü", "aä…"),
    ("truncate", {"bytes": 6}, f"ab{GERMANY}", "ab"),
    ("pad", {"length": 4, "character": "0"}, "7", "0007"),
    ("pad", {"length": 3, "side": "right"}, "a", "a  "),
    ("pad", {"length": 2}, "abc", "abc"),
    ("normalize_unicode", {}, "e\u0301\x00", "é\x00"),
    ("normalize_unicode", {"form": "NFD"}, "é", "e\u0301"),
    ("normalize_unicode", {"form": "NFKC"}, "ﬁ①Ａ", "fi1A"),
    ("normalize_unicode", {"strip_accents": True}, "éÀ ё ά ø が हिन्दी", "eA е α ø が हिन्दी"),
    ("normalize_unicode", {"remove_control": True}, "a\x00\t\r\n\x1b\x85\ud800\U0001ffffb\u200dc", "a\t\r\nb\u200dc"),
    ("normalize_unicode", {"remove_control": True}, "\ud83d\ude00\ude00\ufeff", "😀\ufeff"),
]  # fmt: skip


def _shown(value: Any) -> str:
    return shown(value)[:40]


@pytest.mark.parametrize(("name", "fields", "value", "result"), MADE, ids=_shown)
def test_it_makes(name: str, fields: dict[str, Any], value: Any, result: Any) -> None:
    assert repr(made(name, value, **fields)) == repr(result)


TEXT_OPERATORS: dict[str, dict[str, Any]] = {
    "trim": {}, "uppercase": {}, "lowercase": {}, "titlecase": {}, "slugify": {}, "split": {}, "strip_html": {},
    "replace": {"find": "a", "with": ""}, "replace_regex": {"pattern": "a", "with": ""}, "truncate": {"length": 1},
    "extract_regex": {"pattern": "a"}, "pad": {"length": 1}, "normalize_unicode": {},
}  # fmt: skip


@pytest.mark.parametrize("name", TEXT_OPERATORS)
def test_only_text_is_served_and_null_and_missing_pass(name: str) -> None:
    fields = TEXT_OPERATORS[name]
    for value in (5, 1.5, True, [], ["a"], {}, Decimal(1)):
        with pytest.raises(RejectRecord, match=r"v: .* is not a text; `to_string`") as caught:
            made(name, value, **fields)
        assert caught.value.field == "v"
    assert apply(name, {"v": None}, field="v", to="w", **fields) == {"v": None}
    assert apply(name, {}, field="v", to="w", **fields) == {}
    with pytest.raises(RejectRecord, match="v: required, and missing or null"):
        made(name, None, required=True, **fields)
    with pytest.raises(RejectRecord, match="1,000,001 characters; at most 1,000,000"):
        made(name, "a" * 1_000_001, **fields)


def test_it_writes_elsewhere_and_keeps_the_field() -> None:
    assert apply("trim", {"a": {"b": " x "}}, field="a.b", to="c.d") == {"a": {"b": " x "}, "c": {"d": "x"}}


REFUSED: list[tuple[str, dict[str, Any], Any, str]] = [
    ("slugify", {}, "!!! 🎉", "leaves nothing for a name"),
    ("slugify", {}, "a" * 10_001, "at most 10,000"),
    ("split", {}, "," * 100_000, "more than 100,000 parts; `limit`"),
    ("split", {"pattern": ","}, "a\ud800", "half a surrogate pair; `normalize_unicode`"),
    ("join", {}, "abc", r"\(string\) is not a list"),
    ("join", {}, ["a", [1]], "`stringify_json`"),
    ("join", {}, [float("nan")], "no value that JSON has"),
    ("join", {}, [10**5000], "too many digits"),
    ("join", {}, ["a" * 999_999, "b"], "would become a text of 1,000,001"),
    ("replace", {"find": "a", "with": "bb"}, "a" * 600_000, "would grow to 1,200,000"),
    ("truncate", {"bytes": 5}, "a\ud800", "half a surrogate pair; `normalize_unicode`"),
    ("normalize_unicode", {}, "a" + "\u0300\u0316" * 600, "more than 1,000 marks"),
]


@pytest.mark.parametrize(("name", "fields", "value", "words"), REFUSED, ids=_shown)
def test_it_rejects(name: str, fields: dict[str, Any], value: Any, words: str) -> None:
    with pytest.raises(RejectRecord, match=words) as caught:
        made(name, value, **fields)
    assert caught.value.reason.startswith("v: ")
    assert len(caught.value.reason) < 600


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("trim", {"characters": ""}, "at least 1"),
    ("trim", {"side": "start"}, "'both', 'left' or 'right'"),
    ("slugify", {"separator": "/"}, "separator"),
    ("slugify", {"max_length": 0}, "max_length"),
    ("slugify", {"replacements": {"": "x"}}, "at least 1"),
    ("split", {"separator": ""}, "at least 1"),
    ("split", {"separator": ",", "pattern": ";"}, "takes `separator` or `pattern`, not both"),
    ("split", {"pattern": "("}, r"not a regex: missing \)"),
    ("replace", {}, "takes `find` and `with`, or `pairs`"),
    ("replace", {"find": "a"}, "takes `find` and `with`, or `pairs`"),
    ("replace", {"find": "a", "with": "b", "pairs": {"c": "d"}}, "takes `find` and `with`, or `pairs`"),
    ("replace", {"pairs": {"": "a"}}, "at least 1"),
    ("truncate", {}, "takes `length` or `bytes`"),
    ("truncate", {"length": 1, "bytes": 1}, "takes `length` or `bytes`"),
    ("truncate", {"length": 3, "suffix": "..."}, "leaves no room"),
    ("truncate", {"bytes": 3, "suffix": "…"}, "leaves no room"),
    ("pad", {"length": 3, "character": "ab"}, "at most 1"),
    ("pad", {"length": 10_001}, "length"),
    ("normalize_unicode", {"form": "NFX"}, "'NFC', 'NFD', 'NFKC' or 'NFKD'"),
]


@pytest.mark.parametrize(("name", "fields", "words"), WRONG, ids=_shown)
def test_a_wrong_form_is_refused(name: str, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        operator(name, field="v", **fields)


@quick
@given(st.text(max_size=30))
def test_once_more_changes_nothing(text: str) -> None:
    settled: dict[str, dict[str, Any]] = {
        "trim": {}, "titlecase": {}, "truncate": {"length": 5, "suffix": "…", "words": True}, "pad": {"length": 9},
        "normalize_unicode": {"remove_control": True, "form": "NFKC"},
    }  # fmt: skip
    for name in ("trim", "truncate", "pad", "normalize_unicode"):
        once = made(name, text, **settled[name])
        assert made(name, once, **settled[name]) == once
    try:
        slug = made("slugify", text)
    except RejectRecord:
        return
    assert made("slugify", slug) == slug


@quick
@given(st.text(max_size=30), st.integers(1, 12), st.sampled_from(["", "…", ".."]), st.booleans())
def test_what_is_cut_fits(text: str, most: int, suffix: str, words: bool) -> None:
    most += len(suffix.encode())
    short = made("truncate", text, length=most, suffix=suffix, words=words)
    assert len(short) <= most
    narrow = made("truncate", text, bytes=most, suffix=suffix, words=words)
    assert len(narrow.encode()) <= most
    for cut in (short, narrow):
        assert cut == text or (cut.endswith(suffix) and text.startswith(cut.removesuffix(suffix)))


@quick
@given(st.lists(st.text(alphabet="ab c\u00e4", max_size=4), min_size=1, max_size=6).filter(lambda parts: parts != [""]))
def test_what_is_joined_is_split_again(parts: list[str]) -> None:
    assert made("split", made("join", parts, separator=";"), separator=";", trim=False) == parts
    assert made("split", made("join", parts, separator=";"), pattern=";", trim=False) == parts


CONCATENATED: list[tuple[dict[str, Any], dict[str, Any], Any]] = [
    ({"a": "x", "b": {"c": "y"}}, {"parts": ["a", "b.c"]}, "xy"),
    ({"a": "x", "b": None}, {"parts": ["a", "b", "c"], "separator": "-"}, "x"),
    ({"a": "", "b": "y"}, {"parts": ["a", "b"], "separator": "-"}, "-y"),
    ({"a": 1, "b": True, "c": Decimal("1.50")}, {"parts": ["a", "b", "c"], "separator": " "}, "1 true 1.50"),
    ({"a": "x"}, {"parts": [{"text": "SKU"}, "a"], "separator": "-"}, "SKU-x"),
    ({"a": None}, {"parts": [{"text": "SKU"}, "a"]}, None),
    ({"b": "y"}, {"parts": ["a", "b"], "separator": "|", "default": ""}, "|y"),
    ({}, {"parts": ["a", "b"], "separator": "|", "default": "?"}, "?|?"),
]


@pytest.mark.parametrize(("record", "fields", "text"), CONCATENATED, ids=_shown)
def test_fields_are_put_together(record: dict[str, Any], fields: dict[str, Any], text: Any) -> None:
    assert apply("concat", record, to="all", **fields) == (record if text is None else {**record, "all": text})


def test_what_concat_rejects_and_refuses() -> None:
    with pytest.raises(RejectRecord, match="b: required, and missing or null"):
        apply("concat", {"a": "x"}, parts=["a", "b"], to="c", required=True)
    with pytest.raises(RejectRecord, match=r"a: .* is no single value; `stringify_json`"):
        apply("concat", {"a": {"b": 1}}, parts=["a"], to="c")
    with pytest.raises(RejectRecord, match="c: would be a text of 1,000,001"):
        apply("concat", {"a": "x" * 1_000_000}, parts=["a", {"text": "y"}], to="c")
    with pytest.raises(ValidationError, match="names no field; `set`"):
        operator("concat", parts=[{"text": "a"}], to="c")
    with pytest.raises(ValidationError, match="`default` or `required`, not both"):
        operator("concat", parts=["a"], to="c", default="", required=True)


def test_concat_looks_only_at_its_fields() -> None:
    concat = operator("concat", parts=["a.b", {"text": "x"}], to="c")
    assert concat.carries(("d",)) == ("d",)
    assert concat.carries(("c",)) == ("c",)
    assert concat.carries(("a",)) is None
