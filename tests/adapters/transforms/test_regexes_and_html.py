"""extract_regex, replace_regex and strip_html: what they find, and that hostile text takes them no time."""

from __future__ import annotations

import re
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_datahub.errors import RejectRecord
from tests.adapters.transforms.operators import apply, function, operator

quick = settings(max_examples=60, database=None, deadline=None)
SIMPLE = st.text(alphabet="ab1 ä\n", max_size=20)


def extracted(text: Any, **fields: Any) -> Any:
    return apply("extract_regex", {"v": text}, field="v", to="w", **fields).get("w", "nothing")


def replaced(text: str, pattern: str, new: str, **fields: Any) -> Any:
    return apply("replace_regex", {"v": text}, field="v", pattern=pattern, with_=new, **fields)["v"]


def stripped(html: str, **fields: Any) -> Any:
    return apply("strip_html", {"v": html}, field="v", **fields)["v"]


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"pattern": "[0-9]+"}, "5"),
        ({"pattern": "[0-9]+ ?(kg|g)"}, "kg"),
        ({"pattern": "([0-9]+) ?(kg|g)", "group": 2}, "kg"),
        ({"pattern": "([0-9]+) ?(kg|g)", "group": 0}, "5 kg"),
        ({"pattern": "(?P<n>[0-9]+) ?(?P<u>k?g)"}, {"n": "5", "u": "kg"}),
        ({"pattern": "(?P<n>[0-9]+) ?(?P<u>k?g)?", "all": True}, [{"n": "5", "u": "kg"}, {"n": "12", "u": None}]),
        ({"pattern": "(?P<n>[0-9]+) ?(?P<u>k?g)", "group": "u"}, "kg"),
        ({"pattern": "[0-9]+", "all": True}, ["5", "12"]),
        ({"pattern": "(?i)ÄPFEL"}, "Äpfel"),
        ({"pattern": "x"}, "nothing"),
        ({"pattern": "(x)?Äpfel"}, "nothing"),
        ({"pattern": "x", "all": True}, "nothing"),
        ({"pattern": "x", "default": "none"}, "none"),
        ({"pattern": "x", "all": True, "default": []}, []),
        ({"pattern": "$"}, ""),
    ],
)
def test_a_part_is_extracted(fields: dict[str, Any], result: Any) -> None:
    assert extracted("5 kg Äpfel, 12", **fields) == result


def test_where_nothing_is_found() -> None:
    assert apply("extract_regex", {"v": "abc"}, field="v", pattern="x") == {"v": "abc"}
    assert apply("extract_regex", {"v": None}, field="v", pattern="x", default="d") == {"v": None}
    with pytest.raises(RejectRecord, match=r"v: 'abc' .* has nothing that 'x' finds"):
        extracted("abc", pattern="x", required=True)


def test_a_default_is_each_records_own() -> None:
    extract = function("extract_regex", field="v", pattern="x", default=[1])
    first: Any = extract({"v": "a"})
    first["v"].append(2)
    assert extract({"v": "a"}) == {"v": [1]}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pattern": "("}, r"not a regex: missing \)"),
        ({"pattern": "a(?=b)"}, "not a regex"),
        ({"pattern": "(a)", "group": 2}, "has no group 2, it has 1"),
        ({"pattern": "(?P<size>a)", "group": "sizes"}, "no group 'sizes'; did you mean 'size'"),
        ({"pattern": "a", "required": True, "default": 1}, "`default` or `required`, not both"),
    ],
)
def test_a_wrong_extraction_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        operator("extract_regex", field="v", **fields)


@pytest.mark.parametrize(
    ("text", "pattern", "new", "result"),
    [
        ("a1b22", "[0-9]+", "", "ab"),
        ("a1b22", "([0-9]+)", r"<\1>", "a<1>b<22>"),
        ("a1", "(?P<n>[0-9])", r"\g<n>\g<1>\g<0>\0", "a1111"),
        ("a", "(x)?a", r"[\1]", "[]"),
        ("a", "a", r"\\1\n\t$1", "\\1\n\t$1"),
        ("größe", "ö", "ü€ä", "grü€äße"),
        ("日本", "", "-", "-日-本-"),
    ],
)
def test_matches_are_replaced(text: str, pattern: str, new: str, result: str) -> None:
    assert replaced(text, pattern, new) == result


def test_only_so_many_are_replaced() -> None:
    assert replaced("aaa", "a", "b", count=2) == "bba"


@pytest.mark.parametrize(
    ("pattern", "new", "words"),
    [
        ("a", r"\1", "names the group '1', which `pattern` does not have"),
        ("(?P<n>a)", r"\g<m>", "names the group 'm'"),
        ("(a)", r"\g", "means nothing"),
        ("(a)", "\\", "means nothing"),
        ("[", "", "not a regex"),
    ],
)
def test_a_wrong_replacement_is_refused(pattern: str, new: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        operator("replace_regex", field="v", pattern=pattern, with_=new)


@quick
@given(SIMPLE, st.sampled_from(["a", "(a+)b?", "[0-9]|ä", "(?:b|ab)+", r"\s+", "^a", "ä$", "a|(b)"]))
def test_it_finds_what_re_finds(text: str, pattern: str) -> None:
    pattern = pattern.replace("$", r"\z")  # Python's `$` also matches before a line end
    python = pattern.replace(r"\z", r"\Z")
    assert replaced(text, pattern, r"<\g<0>>") == re.sub(python, r"<\g<0>>", text)
    found = extracted(text, pattern=pattern, group=0, all=True)
    assert found == ([match[0] for match in re.finditer(python, text)] or "nothing")


@pytest.mark.parametrize("name", ["extract_regex", "replace_regex"])
def test_hostile_text_for_a_regex(name: str) -> None:
    more: dict[str, Any] = {"with_": "b"} if name == "replace_regex" else {"all": True}
    start = process_time()
    apply(name, {"v": "a" * 100_000}, field="v", pattern="(a+)+b", **more)
    assert process_time() - start < 2
    with pytest.raises(RejectRecord, match="half a surrogate pair; `normalize_unicode`"):
        apply(name, {"v": "\ud800"}, field="v", pattern="a", **more)


def test_a_pattern_that_looks_far_for_every_match_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_datahub.matching._MOST_STEPS", 100_000)
    assert replaced("x" * 300, "x*y|x", "z") == "z" * 300
    with pytest.raises(RejectRecord, match=r"more than 99 matches of 'x\*y\|x'"):
        replaced("x" * 1000, "x*y|x", "z")
    with pytest.raises(RejectRecord, match="would grow to more than 1,000,000"):
        replaced("x" * 50, "x", "z" * 30_000)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        ("a &lt; b &amp;&nbsp;c &euro; &#8364; &#x20ac &copy", "a < b & c € € € ©"),
        ("<p>a</p><p>b<br>c<br/>d</p>", "a\nb\nc\nd"),
        ("<B>a</B><i>b</i>  c\n d", "ab c d"),
        ("<ul><li>a<li>b</ul>c", "a\nb\nc"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><th>c", "a b\nc"),
        ("x<script>if (a < b) {'</p>'}</script><style>p{}</style>y", "xy"),
        ("<SCRIPT>x</SCRIPT >y<template><p>z</p></template>", "y"),
        ("<title>t</title><noscript>n</noscript>a<!-- b --><!doctype html><?php x ?>", "a"),
        ("a<script>never closed", "a"),
        ("a<!-- never closed", "a"),
        ('a <a href="https://exa', "a"),
        ("a <b", "a"),
        ("a </b", "a"),
        ("1 < 2 and I <3 you, size <M and larger", "1 < 2 and I <3 you, size <M and larger"),
        ("</p></div>a</b>", "a"),
        ("<![CDATA[<p>a</p>]]>b ]]>", "a\nb ]]>"),
        ("<![if x]>a<![endif]>", "a"),
        ("<![foo[a]]>b", "b"),
        ("a<b title='>'>c</b>d", "acd"),
        ("&#0;&#xd800;&#99999999999;&#" + "9" * 5000 + ";", "\ufffd" * 4),
        ("a\x00\ud800", "a\x00\ud800"),
        ("AT&T &unknown; R&D", "AT&T &unknown; R&D"),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    assert stripped(html) == text


def test_blocks_are_separated_as_asked() -> None:
    assert stripped("<p>a</p>\n\n<p>b", separator=" ") == "a b"
    assert stripped("<p>a</p><p>b", separator=" | ") == "a | b"


@quick
@given(st.lists(st.sampled_from(["<", ">", "<p>", "</p>", "<!--", "-->", "<![", "&", "&#1", "a", "'", "<a b='", "\n"])))
def test_broken_html_never_fails(parts: list[str]) -> None:
    assert "<p>" not in stripped("".join(parts))


@quick
@given(st.text(alphabet=st.characters(exclude_characters="<>&\n", exclude_categories=["Cs", "Zs", "Cc", "Zl", "Zp"])))
def test_text_without_markup_stays(text: str) -> None:
    assert stripped(text) == text


@pytest.mark.parametrize("part", ["<!--", "<a ", "<a b='", "<![", "<![CDATA[", "</", "&#99", "<?", "<a b=c "])
def test_hostile_html_takes_no_time(part: str) -> None:
    html = part * (100_000 // len(part))
    start = process_time()
    stripped(html)
    stripped(html + ">")
    assert process_time() - start < 2
