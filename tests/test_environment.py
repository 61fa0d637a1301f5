"""Options and connections outside Airflow mean what they mean to Airflow."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_datahub.contract import Connection, UndefinedConnection
from airflow_datahub.environment import OPTIONS, airflow_home, connection, encryption_key, option
from airflow_datahub.errors import ConfigurationError

TEXTS = {
    "plain": "postgres://loader:pw@db.example.com:5433/warehouse",
    "other_name": "postgresql://loader:pw@db.example.com/warehouse",
    "encoded": "postgres://us%40er:p%2Fw%23%3F%25%20%C3%BC@host/da%2Fta",
    "options": "postgres://u:p@host:5432/db?sslmode=require&connect_timeout=10&empty=&flag=true",
    "http": "http://user:pw@127.0.0.1:8080/?allow=internal",
    "host_with_protocol": "http://user:pw@https%3A%2F%2Fapi.example.com",
    "nested": "http://https://api.example.com:8443/v1?timeout=3",
    "extra": "http://:token@api.example.com/?__extra__=%7B%22a%22%3A%20%5B1%2C%20null%5D%2C%20%22b%22%3A%20%22%3D%26%22%7D",
    "dashes": "google-cloud-platform://?project=p&num_retries=5",
    "only_type": "aws://",
    "upper_case": "postgres://U:P@DB.Example.COM/Db",
    "socket": "postgres://u:p@%2FVar%2Frun%2Fpostgresql/db",
    "ipv6": "postgres://u:p@[::1]:5432/db",
    "no_password": "ssh://me@host:22",
    "empty_password": "ssh://me:@host",
    "schemeless": "//host/schema",
    "padded": "  postgres://u:p@host/db \n",
    "json": json.dumps(
        {"conn_type": "postgresql", "host": "h", "login": "l", "password": "p/@", "schema": "s", "port": 1}
    ),
    "json_port_text": json.dumps({"conn_type": "google-cloud-platform", "port": "5432", "description": "what it is"}),
    "json_extra": json.dumps({"conn_type": "http", "extra": {"a": {"b": [1, 2.5, None, "ü"]}}}),
    "json_extra_text": json.dumps({"conn_type": "http", "extra": '{"a": true}', "host": None}),
    "json_empty": json.dumps({"conn_type": "http", "port": "", "extra": "", "host": ""}),
}

MALFORMED = {
    "no_uri": "just a text with hunter2",
    "slash_in_password": "postgres://user:hunter2/x@host/db",
    "hash_in_password": "postgres://user:hunter2#x@host:5432/db",
    "port": "postgres://user:hunter2@host:port/db",
    "three_protocols": "http://a://b://hunter2",
    "protocol_behind_login": "http://user:hunter2@https://host",
    "broken_json": '{"conn_type": "http", "password": "hunter2"',
    "unknown_field": '{"conn_type": "http", "pasword": "hunter2"}',
    "json_port": '{"conn_type": "http", "port": "many", "password": "hunter2"}',
    "json_extra": '{"conn_type": "http", "extra": "hunter2"}',
    "json_extra_list": '{"conn_type": "http", "extra": ["hunter2"]}',
    "uri_extra": "http://host/?__extra__=hunter2",
    "json_list_field": '{"conn_type": "http", "password": ["hunter2"]}',
}

ASK_AIRFLOW = """
import json, os, sys
from airflow.configuration import conf
from airflow.sdk import Connection
from airflow.sdk.execution_time.secrets import ExecutionAPISecretsBackend as Backend
names = ("conn_type", "host", "login", "password", "schema", "port")
answers = {}
for name, text in json.load(sys.stdin).items():
    found = Backend._deserialize_connection_value(Connection, name, text)
    answers[name] = {**{each: getattr(found, each) for each in names}, "extra": found.extra_dejson}
answers["fernet_key"] = conf.get("core", "fernet_key")
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def airflow_says(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow itself reads from TEXTS and from an airflow.cfg, in a process of its own."""
    home = tmp_path_factory.mktemp("airflow")
    (home / "airflow.cfg").write_text("[core]\nfernet_key = 50%% of $SECRET\n")
    environment = {"AIRFLOW_HOME": str(home), "SECRET": "hidden", "PATH": "/usr/bin:/bin", "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", ASK_AIRFLOW],
        input=json.dumps(TEXTS), env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answers: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answers | {"home": str(home)}


@pytest.mark.parametrize("name", TEXTS)
def test_a_connection_reads_as_in_airflow(name: str, airflow_says: dict[str, Any]) -> None:
    ours = asdict(connection(name, {f"AIRFLOW_CONN_{name.upper()}": TEXTS[name]}))
    theirs = airflow_says[name]
    assert ours == {"id": name, "type": theirs.pop("conn_type") or "", **theirs}


def test_the_configuration_file_reads_as_in_airflow(airflow_says: dict[str, Any]) -> None:
    environ = {"AIRFLOW_HOME": airflow_says["home"], "SECRET": "hidden"}
    assert encryption_key(environ) == airflow_says["fernet_key"] == "50% of hidden"


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_connection_is_named_and_its_secret_is_not(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connection("Source", {"AIRFLOW_CONN_SOURCE": MALFORMED[name]})
    assert not isinstance(caught.value, UndefinedConnection)
    assert "'Source'" in str(caught.value)
    assert "AIRFLOW_CONN_SOURCE" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__, "a traceback would show the text"


@pytest.mark.parametrize("environ", [{}, {"AIRFLOW_CONN_WAREHOUSE": " "}])
def test_a_missing_connection_says_what_to_set(environ: dict[str, str]) -> None:
    with pytest.raises(UndefinedConnection, match=r"'warehouse'.*AIRFLOW_CONN_WAREHOUSE"):
        connection("warehouse", environ)


@given(st.text(max_size=200))
@example("a://[")
@example("\x00")
@example("{")
@example("[]//")
def test_any_text_is_a_connection_or_our_error(text: str) -> None:
    with suppress(ConfigurationError):
        assert isinstance(connection("any", {"AIRFLOW_CONN_ANY": text}), Connection)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_encoded_credentials_come_back(login: str, password: str) -> None:
    from urllib.parse import quote

    try:
        text = f"postgres://{quote(login, safe='')}:{quote(password, safe='')}@host/db"
    except UnicodeEncodeError:
        return
    found = connection("any", {"AIRFLOW_CONN_ANY": text})
    assert (found.login, found.password) == (login, password)


def test_a_connection_never_shows_its_secrets() -> None:
    found = connection("any", {"AIRFLOW_CONN_ANY": "http://u:hunter2@host/?token=hunter2"})
    assert found.password == found.extra["token"] == "hunter2"
    assert "hunter2" not in repr(found)


def test_an_option_comes_from_the_variable_then_the_file_then_its_default(tmp_path: Path) -> None:
    environ = {"AIRFLOW_HOME": str(tmp_path)}
    assert option("store_connection", environ) == "datahub_store"
    (tmp_path / "airflow.cfg").write_text("[core]\n[airflow_datahub]\nstore_connection = from_file\n")
    assert option("store_connection", environ) == "from_file"
    environ["AIRFLOW__AIRFLOW_DATAHUB__STORE_CONNECTION"] = "from_variable"
    assert option("store_connection", environ) == "from_variable"


def test_another_configuration_file_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "my.cfg").write_text("[airflow_datahub]\nstore_connection = named\n")
    assert option("store_connection", {"AIRFLOW_CONFIG": "$FOLDER/my.cfg", "FOLDER": str(tmp_path)}) == "named"


def test_an_unknown_option_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        option("colour", {})


def test_a_command_runs_without_a_shell(tmp_path: Path) -> None:
    environ = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__AIRFLOW_DATAHUB__ENCRYPTION_KEY_CMD": "echo '$HOME;  a' ; ls"}
    assert encryption_key(environ) == "$HOME;  a ; ls"
    (tmp_path / "airflow.cfg").write_text("[core]\nfernet_key_cmd = echo from-file\n")
    assert encryption_key({"AIRFLOW_HOME": str(tmp_path)}) == "from-file"


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("no-such-program-here x", "cannot be run"),
        ("cat /no/such/file", "code 1: cat:"),
        ("'open quote", "cannot be run"),
        ("", "cannot be run"),
    ],
)
def test_a_failing_command_is_named(command: str, what: str, tmp_path: Path) -> None:
    environ = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__FERNET_KEY_CMD": command}
    with pytest.raises(ConfigurationError, match=f"AIRFLOW__CORE__FERNET_KEY .*{what}"):
        encryption_key(environ)


def test_what_only_a_secrets_backend_knows_is_said(tmp_path: Path) -> None:
    environ = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__AIRFLOW_DATAHUB__ENCRYPTION_KEY_SECRET": "path/to/it"}
    with pytest.raises(ConfigurationError, match=r"ENCRYPTION_KEY: its form _SECRET .*only Airflow can ask"):
        encryption_key(environ)
    (tmp_path / "airflow.cfg").write_text("[core]\nfernet_key_secret = path\n")
    with pytest.raises(ConfigurationError, match=r"\[core\] fernet_key in .*airflow.cfg: its form _secret"):
        encryption_key({"AIRFLOW_HOME": str(tmp_path)})


def test_a_form_for_secrets_does_not_act_silently_on_other_options(tmp_path: Path) -> None:
    environ = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__AIRFLOW_DATAHUB__STORE_CONNECTION_CMD": "echo x"}
    with pytest.raises(ConfigurationError, match="is no secret, so its form _CMD does not act"):
        option("store_connection", environ)


def test_the_key_of_our_own_goes_before_airflows(tmp_path: Path) -> None:
    environ = {"AIRFLOW_HOME": str(tmp_path)}
    assert encryption_key(environ) is None
    environ["AIRFLOW__CORE__FERNET_KEY"] = "airflows"
    assert encryption_key(environ) == "airflows"
    environ["AIRFLOW__AIRFLOW_DATAHUB__ENCRYPTION_KEY"] = ""
    assert encryption_key(environ) == "airflows"
    environ["AIRFLOW__AIRFLOW_DATAHUB__ENCRYPTION_KEY"] = "ours"
    assert encryption_key(environ) == "ours"


def test_a_broken_configuration_file_is_named_without_its_content(tmp_path: Path) -> None:
    environ = {"AIRFLOW_HOME": str(tmp_path)}
    (tmp_path / "airflow.cfg").write_text("[core]\nfernet_key = a\nhunter2\n")
    with pytest.raises(ConfigurationError, match=r"airflow.cfg, line 3") as caught:
        encryption_key(environ)
    assert "hunter2" not in str(caught.value)
    (tmp_path / "airflow.cfg").write_text("hunter2 = 1\n")
    with pytest.raises(ConfigurationError, match=r"airflow.cfg, line 1"):
        encryption_key(environ)
    (tmp_path / "airflow.cfg").write_bytes(b"[core]\n\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"airflow.cfg cannot be read"):
        encryption_key(environ)


def test_home_is_airflows() -> None:
    assert airflow_home({"AIRFLOW_HOME": "/srv/$NAME", "NAME": "air"}) == Path("/srv/air")
    assert airflow_home({"AIRFLOW_HOME": "~/x", "HOME": "/home/me"}) == Path("/home/me/x")
    assert airflow_home({"HOME": "/home/me"}) == Path("/home/me/airflow")


def test_options_are_declared_in_full() -> None:
    for name, declared in OPTIONS.items():
        assert name == name.lower()
        assert declared.type in ("string", "float")
        assert len(declared.text) > 20


def test_it_needs_neither_airflow_nor_a_database() -> None:
    code = "import sys, airflow_datahub.environment, airflow_datahub.state; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"airflow", "sqlalchemy", "cryptography", "psycopg"}.isdisjoint(loaded)
