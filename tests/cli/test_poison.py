"""A page of 1,000 records with every kind of poison among them: each good one is loaded, each bad one set aside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_datahub.demo.mock_api import MockApi
from tests.hostile import Hostile, reply
from tests.world import World

SPEC = """
version: 1
steps:
  - key: extract
    type: extract
    adapter: http_api
    config: {connection: poison, path: /page, records: data}
  - key: load
    type: load
    adapter: postgres
    config:
      connection: warehouse
      table: poisoned
      key: [id]
      strategy: insert
      columns: {id: text, n: integer, name: text, data: {type: jsonb, from: $}}
"""

REFUSED: dict[str, tuple[bytes, str]] = {
    "a raw NUL": (b'{"id": "ID", "name": "a\x00b"}', "not readable as JSON"),
    "an escaped NUL": (b'{"id": "ID", "name": "a\\u0000b"}', "NUL"),
    "a NUL that nobody looks at": (b'{"id": "ID", "other": "a\\u0000b"}', "NUL"),
    "half a pair": (b'{"id": "ID", "name": "\\ud800"}', "half of a surrogate pair"),
    "half a pair that nobody looks at": (b'{"id": "ID", "other": "\\udc00x"}', "surrogate"),
    "not a number": (b'{"id": "ID", "n": NaN}', "not readable as JSON"),
    "infinity": (b'{"id": "ID", "n": Infinity}', "not readable as JSON"),
    "minus infinity": (b'{"id": "ID", "n": -Infinity}', "not readable as JSON"),
    "too large a number": (b'{"id": "ID", "n": 1e999}', "out of range"),
    "10,000 digits": (b'{"id": "ID", "n": ' + b"7" * 10_000 + b"}", "out of range"),
    "text for a number": (b'{"id": "ID", "n": "many"}', "many"),
    "an object for a number": (b'{"id": "ID", "n": {"a": 1}}', "n"),
    "no key": (b'{"name": "nobody"}', "id"),
    "a null key": (b'{"id": null, "name": "nobody"}', "id"),
    "bytes that are no text": (b'{"id": "ID", "name": "caf\xe9"}', "not readable as JSON"),
    "bytes that are no text and nobody looks at": (b'{"id": "ID", "other": "caf\xe9"}', "utf-8"),
    "a broken word": (b'{"id": "ID", "n": tru}', "not readable as JSON"),
    "a missing colon": (b'{"id" "ID"}', "not readable as JSON"),
    "a number": (b"5", "must be a JSON object"),
    "null": (b"null", "must be a JSON object"),
    "a list": (b"[1]", "must be a JSON object"),
    "65 levels": (b'{"id": "ID", "other": ' + b"[" * 64 + b"]" * 64 + b"}", "nested deeper than 64 levels"),
    "100,000 levels": (b'{"id": "ID", "other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deeper than 64 levels"),
    "11 MiB": (b'{"id": "ID", "name": "' + b"x" * (11 << 20) + b'"}', "larger than 10 MiB"),
}
TAKEN: dict[str, bytes] = {
    "the same name twice": b'{"id": "first", "id": "ID", "n": 1, "n": 2}',
    "64 levels": b'{"id": "ID", "other": ' + b"[" * 63 + b"]" * 63 + b"}",
    "a number that jsonb holds": b'{"id": "ID", "other": 12345678901234567890.123456789}',
    "brackets and quotes in text": b'{"id": "ID", "name": "]}\\"{[\\\\"}',
}


@pytest.fixture
def poisoned(tmp_path: Path, database: str, mock_api: MockApi) -> Iterator[World]:
    with Hostile(lambda _: reply(b'{"data": [' + b",\n".join(PAGE) + b"]}", content_type="application/json")) as server:
        extra = {"allow_private": True, "timeout": 60}
        connection = json.dumps({"conn_type": "http", "host": f"http://127.0.0.1:{server.port}", "extra": extra})
        yield World(tmp_path, database, mock_api, {"AIRFLOW_CONN_POISON": connection})


def _page() -> list[bytes]:
    """Good records with the others spread among them, the first and the last place included."""
    rows = [b'{"id": "g%d", "n": %d, "name": "x"}' % (n, n) for n in range(1000)]
    odd = [body for body, _ in REFUSED.values()] + list(TAKEN.values())
    step = 999 / (len(odd) - 1)
    for index, body in enumerate(odd):
        rows[round(index * step)] = body.replace(b"ID", b"odd%d" % index)
    return rows


PAGE = _page()


def test_each_good_one_is_loaded_and_each_bad_one_set_aside(poisoned: World) -> None:
    spec = poisoned.spec(SPEC, "poisoned")
    run = poisoned.call("run", spec)
    assert run.returncode == 0, run.stderr[-3000:]
    good = 1000 - len(REFUSED) - len(TAKEN)
    assert poisoned.query("select count(*) from poisoned where id like 'g%'") == [(good,)]
    taken = [index + len(REFUSED) for index in range(len(TAKEN))]
    assert poisoned.query("select count(*) from poisoned") == [(good + len(TAKEN),)]
    assert poisoned.query(f"select n from poisoned where id = 'odd{taken[0]}'") == [(2,)]
    listed = poisoned.call("rejects", "list", "--pipeline", "poisoned", "--json", "--limit", 100)
    rejects = [json.loads(line) for line in listed.stdout.splitlines()]
    assert len(rejects) == len(REFUSED)
    rejects.sort(key=lambda reject: (reject["version"], reject["position"]))
    places = [index for index, body in enumerate(PAGE) if not body.startswith(b'{"id": "g')]
    for place, reject, (name, (_, says)) in zip(places, rejects, REFUSED.items(), strict=False):
        assert says in reject["reason"], (name, reject["reason"])
        whole = "" if name == "11 MiB" else PAGE[place].decode(errors="backslashreplace")
        kept = reject["record"]
        same = kept == whole if isinstance(kept, str) else kept == (json.loads(whole) if whole else None)
        assert same, (name, str(kept)[:300])
    again = poisoned.call("run", spec)
    assert again.returncode == 0
    assert poisoned.query("select count(*) from poisoned") == [(good + len(TAKEN),)]
