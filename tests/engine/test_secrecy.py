"""No secret of a connection gets out of a run, in whatever form an API throws it back (S8)."""

from __future__ import annotations

import base64
import json
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_datahub.contract import Connection, Run
from airflow_datahub.engine import run_pipeline
from airflow_datahub.engine.secrecy import masked_error
from airflow_datahub.errors import DatahubError, RunFailed
from airflow_datahub.masking import Mask
from airflow_datahub.spec import loads
from airflow_datahub.state.store import Store
from tests.hostile import Hostile, Reply, reply

SPEC = """version: 1
id: secretive
steps:
  - key: extract
    type: extract
    adapter: http_api
    config: {connection: api, path: /list, records: data, paging: {type: next_url, next: next}}
  - {key: tidy, type: transform, operators: [to_number: {field: n}, parse_date: {field: at}]}
  - {key: load, type: load, adapter: stdout}
"""

FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "in a path": quote,
    "in a URL": lambda secret: quote(secret, safe=""),
    "in a form": quote_plus,
    "in JSON": lambda secret: json.dumps(secret)[1:-1],
    "in JSON as PHP writes it": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    "in Base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "in Base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    "in a header": lambda secret: "Basic " + base64.b64encode(f"me:{secret}".encode()).decode(),
    "in Python": repr,
}

Scene = Callable[[str], Reply]


def value(text: str) -> Reply:
    return reply({"data": [{"n": text, "at": text}, {"n": "1", "at": text}], "next": None})


SCENES: dict[str, Scene] = {
    "a value that is rejected": value,
    "a record that cannot be read": lambda text: reply(b'{"data": [' + text.encode() + b"], " + b'"next": null}'),
    "a refusal": lambda text: reply({"error": text}, 403),
    "a page that is no JSON": reply,
    "a failure": lambda text: f"HTTP/1.1 500 {text}\r\ncontent-length: 0\r\n\r\n".encode(),
    "a redirect": lambda text: reply("", 302, location=f"http://elsewhere.example/{quote(text)}"),
    "a header that is none": lambda text: f"HTTP/1.1 200 OK\r\n{text}\r\n\r\n".encode(),
    "a link to elsewhere": lambda text: reply({"data": [], "next": f"http://elsewhere.example/?k={text}"}),
    "a link that is none": lambda text: reply({"data": [], "next": text}),
}


@dataclass
class Lines:
    """Keeps every event and field as a log would show it."""

    lines: list[str] = field(default_factory=list)

    def debug(self, event: str, **fields: Any) -> None:
        self.lines.append(" ".join([event, *(f"{name}={value}" for name, value in fields.items())]))

    info = warning = error = debug


@dataclass
class Stage:
    """One API, whose next answers a test decides, and a store."""

    server: Hostile = field(repr=False)
    home: Path
    store: Store
    said: Reply = b""
    runs: int = 0

    def play(self, connection: Connection) -> str:
        """All that can be seen of a run: its log, its error with all causes, its store."""
        self.runs += 1
        log, run_id = Lines(), f"run-{self.runs}"
        run = Run(pipeline="secretive", run_id=run_id, connections=lambda _: connection, log=log)
        try:
            run_pipeline(loads(SPEC, "secretive.yaml"), run, self.store)
        except DatahubError as error:
            log.lines += traceback.format_exception(error)
        kept = [file.read_bytes().decode("latin-1") for file in self.home.iterdir() if file.suffix != ".key"]
        return "\n".join([*log.lines, *kept])


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("secrecy")
    made: list[Stage] = []
    with Hostile(lambda _: made[0].said) as server, Store.open(None, home) as store:
        made.append(Stage(server, home, store))
        yield made[0]


def leaks(secret: str, seen: str) -> list[str]:
    """The forms of a secret that can be read; of what is cut off in the middle, 12 characters do."""
    packed = [name for name, form in FORMS.items() if form(secret) in seen]
    return packed + (["a part"] if secret[:12] in seen else [])


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40).map("k3y~".__add__)


@settings(max_examples=40)
@given(SECRETS, st.sampled_from(sorted(SCENES)), st.sampled_from(sorted(FORMS)), st.integers(0, 90))
@example("k3y~it's\"both\\/", "a value that is rejected", "plain", 70)
@example("k3y~0123456789abcdef", "a refusal", "plain", 190)
@example("k3y~ReNMugjUGbB[+'.hCH<", "a redirect", "in a path", 74)
@example("k3y~rUsp6Szpb\\Z@Lf,xN{7n", "a redirect", "in JSON as PHP writes it", 32)
@example("k3y~%J=*W+I8^?Nlj:E6Z}/x$.AeH.}E:\\~=$V*L\\ZZ", "a value that is rejected", "in JSON as PHP writes it", 35)
@example("k3y~(F8x:KhhDwUQ%1>;{wk/>{v'kPNtlTh", "a link that is none", "plain", 27)
def test_whatever_an_api_throws_back(stage: Stage, secret: str, scene: str, form: str, before: int) -> None:
    stage.said = SCENES[scene]("x" * before + FORMS[form](secret))
    extra = {"auth": "basic", "allow_private": True, "retries": 0, "timeout": 2, "breaker_failures": 100}
    connection = Connection("api", "http", "127.0.0.1", "me", secret, port=stage.server.port, extra=extra)
    seen = stage.play(connection)
    assert "secretive" in seen
    assert leaks(secret, seen) == []


def test_a_token_that_was_fetched_on_the_way(stage: Stage) -> None:
    token = "t0ken/0123456789+abc"
    address = f"http://127.0.0.1:{stage.server.port}"
    extra = {"auth": "oauth2", "oauth_url": f"{address}/token", "allow_private": True, "retries": 0}
    connection = Connection("api", "http", address, "me", "s3cr3t/key+1", extra=extra)
    stage.said = reply({"access_token": token, "data": [{"n": token, "at": "Bearer " + token}], "next": None})
    seen = stage.play(connection)
    assert "is not a number" in seen
    assert leaks(token, seen) == []


def test_the_secrets_of_any_connection_are_known_by_the_names_of_their_fields() -> None:
    extra = {
        "sslpassword": "s3cr3t-of-tls",
        "more": {"api_key": "k3y-inside"},
        "keys": "shown",
        "oauth_url": "https://x",
    }
    mask = Mask(Connection("w", "postgres", password="s3cr3t-of-db", extra=extra).secrets)
    assert mask("s3cr3t-of-tls k3y-inside s3cr3t-of-db shown https://x") == "*** *** *** shown https://x"


def test_an_error_is_masked_with_all_that_it_came_from() -> None:
    mask = Mask(["s3cr3t-of-db"])
    try:
        try:
            try:
                raise OSError(5, "no s3cr3t-of-db", "/s3cr3t-of-db")
            except OSError as first:
                first.add_note("a note of s3cr3t-of-db")
                raise ValueError("s3cr3t-of-db", 5) from first
        except ValueError:
            raise RunFailed("lost: s3cr3t-of-db")  # noqa: B904 - the context is what is looked at
    except RunFailed as raised:
        shown = "".join(traceback.format_exception(masked_error(raised, mask)))
    said = [line for line in shown.splitlines() if not line.startswith("    ")]  # and not the lines of this test
    assert "s3cr3t" not in "".join(said)
    for wanted in ("RunFailed: lost: ***", "ValueError: ('***', 5)", "OSError: [Errno 5] no ***"):
        assert wanted in shown


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("pässwort-geheim-7", str("pässwort-geheim-7".encode())),
        ("pässwort-geheim-7", '"p\\u00E4sswort-geheim-7"'),
        ("tok&en-1234", '"tok\\u0026en-1234"'),
        ('tok"en-1234', "tok&#34;en-1234"),
    ],
)
def test_other_ways_of_writing_a_secret(secret: str, text: str) -> None:
    assert "1234" not in Mask([secret])(text)
    assert "geheim" not in Mask([secret])(text)


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("/b64ish+secret==", "%5C" * 20_000),
        ("/b64ish+secret==", "\\" * 100_000),
        ("".join(chr(97 + (i * 7 + i // 26) % 26) for i in range(200)), None),
    ],
)
def test_no_text_keeps_a_mask_busy(secret: str, text: str | None) -> None:
    """A pattern cannot be interrupted. It takes minutes where the time grows with the square of the length."""
    started = time.process_time()
    Mask([secret])(text or (secret[:109] + "Q") * 200 + " x")
    assert time.process_time() - started < 10


def test_secrets_by_other_names_and_behind_the_scheme_of_a_header() -> None:
    extra = {"X-API-Key": 1234567890, "secret_key": "s3cr3t-of-s3", "Authorization": "Bearer tok-abcdef-99"}
    mask = Mask(Connection("w", "aws", extra=extra).secrets)
    assert mask("1234567890 s3cr3t-of-s3 tok-abcdef-99") == "*** *** ***"
