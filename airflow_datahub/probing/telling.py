"""What was found out, as lines for a person. Foreign text is masked, cut, and cannot steer a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus

from airflow_datahub.http.client import Answer
from airflow_datahub.http.rate import tightest
from airflow_datahub.masking import MASKED
from airflow_datahub.probing.asking import Reaction
from airflow_datahub.probing.paging import Proposal
from airflow_datahub.probing.shape import Records, fields

LONGEST = 160
MOST = 100
"""Fields that are told of."""
SECRET = re.compile(r"cookie|auth|token|secret|session|api-?key")
"""In the name of a header whose value is not shown: more than what is masked anyway, since a person only looks on."""


def plain(text: str) -> str:
    """At most so many characters, all printable."""
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def reaction(found: Reaction) -> Iterator[str]:
    """Status, headers and rate limit of an answer, or why there is none."""
    by = f" by {found.question.way}" if found.question.way else ""
    if found.answer is None:
        yield f"{found.question.path}{by}: {found.failure}"
        return
    answer = found.answer
    yield f"{answer.shown}{by}: HTTP {answer.status} {_phrase(answer.status)}, {len(answer.body)} bytes"
    if found.failure:
        yield f"  {found.failure}"
    for name, value in answer.headers.items():
        yield f"  {plain(name)}: {MASKED if SECRET.search(name) else plain(answer.masked(value))}"
    yield f"  rate limit: {_limit(answer)}"


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""


def _limit(answer: Answer) -> str:
    quota = tightest(answer.headers)
    if quota is None:
        return "the headers tell of none"
    of = "" if quota.limit is None else f" of {quota.limit}"
    return f"{quota.left}{of} requests left for {quota.seconds:.0f} s"


def shape(found: Records) -> Iterator[str]:
    """Where the records are and what is in them."""
    where = repr(found.path) if found.path else "the answer itself"
    yield f"records: {where}, a list of {len(found.items)}"
    if not found.items:
        yield "  it is empty: nothing is known of its fields; ask for something else with PATH or --query"
    elif not any(isinstance(item, dict) for item in found.items):
        yield "  they are no objects, as records have to be"
    known = fields(found.items)
    for each in known[:MOST]:
        empty = f", {each.empty:.0%} null or missing" if each.empty else ""
        yield f"  {plain(each.path)}: {plain(' | '.join(each.types)) or 'null'}{empty}"
    if len(known) > MOST:
        yield f"  … and {len(known) - MOST:,} more fields"


def proposal(found: Proposal) -> Iterator[str]:
    """Why the paging is proposed, and what to make sure of."""
    yield f"proposal, as {plain(found.why)}:"
    for doubt in found.doubts:
        yield f"  make sure: {plain(doubt)}"
