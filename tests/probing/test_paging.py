"""Which paging is told from which answer; each is one that a spec may hold."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from airflow_datahub.http.paging import Paging
from airflow_datahub.probing.paging import Evidence
from airflow_datahub.probing.shape import records

FIVE = [{"id": number} for number in range(5)]


def proposed(answer: Any, headers: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    found = Evidence(answer, headers or {}, records(answer), **{"size_param": "limit", "sizes": {5: 5}, **changes})
    paging = dict(found.proposal().paging)
    TypeAdapter(Paging).validate_python(paging)
    return paging


CURSOR = {"type": "cursor", "limit": 100}
CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"nextCursor": "abc", "hasMore": True}, CURSOR | {"param": "cursor", "next": "nextCursor", "more": "hasMore"}),
    ({"nextCursor": None, "hasMore": False}, CURSOR | {"param": "cursor", "next": "nextCursor", "more": "hasMore"}),
    ({"next_page_token": "abc"}, CURSOR | {"param": "page_token", "next": "next_page_token"}),
    ({"nextPageToken": "abc"}, CURSOR | {"param": "pageToken", "next": "nextPageToken"}),
    ({"nextToken": "abc"}, CURSOR | {"param": "nextToken", "next": "nextToken"}),
    ({"meta": {"next_cursor": 7}}, CURSOR | {"param": "cursor", "next": "meta.next_cursor"}),
    ({"pageInfo": {"endCursor": "a", "hasNextPage": True}},
     CURSOR | {"param": "after", "next": "pageInfo.endCursor", "more": "pageInfo.hasNextPage"}),
    ({"next": "abc=="}, CURSOR | {"param": "cursor", "next": "next"}),
    ({"next": "https://api.example.com/e?page=2", "count": 9}, {"type": "next_url", "next": "next", "limit": 100}),
    ({"next": None, "count": 3}, {"type": "next_url", "next": "next", "limit": 100}),
    ({"links": {"next": {"href": "/e?page=2"}}}, {"type": "next_url", "next": "links.next.href", "limit": 100}),
    ({"@odata.nextLink": "https://a/e?$skip=5"}, {"type": "next_url", "next": r"@odata\.nextLink", "limit": 100}),
    ({"page": 1, "total_pages": 9},
     {"type": "page", "param": "page", "start": 1, "pages": "total_pages", "limit": 100}),
    ({"meta": {"currentPage": 0}}, {"type": "page", "param": "page", "start": 0, "limit": 100}),
    ({"offset": 0, "total": 90}, {"type": "offset", "param": "offset", "total": "total", "limit": 100}),
    ({"skip": 0, "count": 5}, {"type": "offset", "param": "skip", "limit": 100}),
    ({"skip": 0, "count": 90}, {"type": "offset", "param": "skip", "total": "count", "limit": 100}),
    ({}, {"type": "offset", "param": "offset", "limit": 100}),
]  # fmt: skip


@pytest.mark.parametrize(("beside", "paging"), CASES)
def test_told_from_the_body(beside: dict[str, Any], paging: dict[str, Any]) -> None:
    assert proposed({"data": FIVE, **beside}) == paging


def test_told_from_headers() -> None:
    link = {"link": '<https://api.example.com/e?page=2>; rel="next"'}
    assert proposed(FIVE, link) == {"type": "link_header", "limit": 100}
    assert proposed(FIVE, {"x-total-pages": "9"}) == {"type": "page", "param": "page", "limit": 100}


def test_sizes() -> None:
    answer = {"data": FIVE, "nextCursor": "a"}
    assert proposed(answer, sizes={5: 5, 100: 100, 1000: 250})["limit"] == 250
    assert proposed(answer, sizes={5: 20})["limit"] is None
    assert proposed(answer, size_param="per_page")["limit_param"] == "per_page"
    assert proposed(answer, size_param="")["limit"] is None


def test_a_size_that_is_not_obeyed_and_no_sign_is_no_paging() -> None:
    assert proposed({"data": FIVE}, sizes={5: 20}) == {"type": "none"}


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"errors": [], "data": [{"id": 1}]}, "data"),
        ({"data": [{"id": 1}], "included": [{"id": 1}, {"id": 2}]}, "data"),
        ({"tags": ["a", "b"], "orders": [{"id": 1}]}, "orders"),
        ({"warnings": [], "items": []}, "items"),
        ({"a.b": [{"id": 1}]}, r"a\.b"),
    ],
)
def test_where_the_records_are(answer: Any, path: str) -> None:
    assert records(answer).path == path
