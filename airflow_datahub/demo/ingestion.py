"""The settings of a deployment (`.env.example`), turned into what pipelines read: connections and values of specs.

    python -m airflow_datahub.demo.ingestion                      run the events pipeline once
    python -m airflow_datahub.demo.ingestion airflow scheduler    run any command with those connections

The command takes the place of this process, so signals and the exit code are its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import urlsplit

from airflow_datahub.environment import connection
from airflow_datahub.errors import ConfigurationError

PIPELINE = "dags/pipelines/datasync_events.yaml"
ONCE = (sys.executable, "-m", "airflow_datahub.cli", "run", PIPELINE)
MOCK_URL = "http://127.0.0.1:3100/api/v1"
"""Unless MOCK_API_URL says where the mock is."""
MOCK_KEY = "demo-key"
WRONG = 2
"""Exit code for a wrong setting, as of the command line."""

MILLISECONDS = {
    "API_TIMEOUT_MS": ("timeout", 1, 3_600_000),
    "API_RETRY_BASE_MS": ("retry_delay", 1, 60_000),
    "API_RETRY_MAX_MS": ("max_retry_delay", 1, 300_000),
}
"""The field of the connection's extra, the least and the largest value."""

LEVELS = ("debug", "info", "warning", "error")


def main(arguments: Sequence[str]) -> NoReturn:
    """Become the command, the run of the events pipeline by default; exit code 2 for a wrong setting."""
    command = list(arguments or ONCE)
    try:
        environ = environment(os.environ)
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(WRONG)
    os.execvpe(command[0], command, environ)  # noqa: S606


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of the command; an empty setting counts as not set. ConfigurationError names the wrong one."""
    given = {name: value for name, value in settings.items() if value}
    for name in ("API_PAGE_LIMIT", "WRITE_BATCH_SIZE"):
        number(given, name, 1, 1_000_000)  # the spec takes them from the environment
    warehouse = database(given)
    return {
        "AIRFLOW_CONN_DATAHUB_STORE": warehouse,
        "AIRFLOW__LOGGING__LOGGING_LEVEL": level(given),
        **settings,
        "AIRFLOW_CONN_DATASYNC": json.dumps(api(given)),
        "AIRFLOW_CONN_WAREHOUSE": warehouse,
    }


def api(given: Mapping[str, str]) -> dict[str, Any]:
    """The connection `datasync`; only a mock may have an internal address."""
    mock = mode(given) == "mock"
    key = given.get("DATASYNC_API_KEY") or given.get("API_KEY") or (MOCK_KEY if mock else "")
    url = given.get("API_BASE_URL") or (given.get("MOCK_API_URL", MOCK_URL) if mock else "")
    if not key:
        raise ConfigurationError("DATASYNC_API_KEY is not set: API_MODE=live needs the key of the API")
    if not url:
        raise ConfigurationError("API_BASE_URL is not set: API_MODE=live needs the address of the API")
    extra = {"auth": "api_key", "header": "X-API-Key", "allow_private": mock, **patience(given)}
    return {"conn_type": "http", "host": address(url), "password": key, "extra": extra}


def mode(given: Mapping[str, str]) -> str:
    """`mock` or `live`."""
    found = given.get("API_MODE", "mock")
    if found not in ("mock", "live"):
        raise ConfigurationError(f"API_MODE is {found[:80]!r}: write mock or live")
    return found


def address(url: str) -> str:
    """The address as it was, if requests can go there."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.username
    except ValueError:
        good = False
    if not good:
        raise ConfigurationError("API_BASE_URL is no address: write https://host/path, without login and password")
    return url


def patience(given: Mapping[str, str]) -> dict[str, float]:
    """Times (seconds) and retries in the words of the connection's extra; what is not set is left out."""
    found: dict[str, float] = {}
    for name, (field, least, most) in MILLISECONDS.items():
        if (milliseconds := number(given, name, least, most)) is not None:
            found[field] = milliseconds / 1000
    if (retries := number(given, "API_MAX_RETRIES", 0, 20)) is not None:
        found["retries"] = retries
    return found


def number(given: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    """A whole number within its bounds; None where it is not set."""
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):
        raise ConfigurationError(f"{name} is {text[:80]!r}: write a whole number from {least:,} to {most:,}")
    return int(text)


def database(given: Mapping[str, str]) -> str:
    """The address of the warehouse as it was, if it is one of PostgreSQL. It holds a password and is never shown."""
    wanted = "write postgresql://login:password@host:5432/database"
    url = given.get("DATABASE_URL")
    if url is None:
        raise ConfigurationError(f"DATABASE_URL is not set: {wanted}")
    try:
        found = connection("warehouse", {"AIRFLOW_CONN_WAREHOUSE": url})
    except ConfigurationError:
        raise ConfigurationError(f"DATABASE_URL is no address: {wanted}, with special characters as %XX") from None
    if found.type != "postgres" or not found.host or not found.schema:
        raise ConfigurationError(f"DATABASE_URL is no address of a PostgreSQL database: {wanted}")
    return url


def level(given: Mapping[str, str]) -> str:
    """The level of Airflow's log, which is that of LOG_LEVEL."""
    found = given.get("LOG_LEVEL", "info")
    if found.lower() not in LEVELS:
        raise ConfigurationError(f"LOG_LEVEL is {found[:80]!r}: write one of {', '.join(LEVELS)}")
    return found.upper()


if __name__ == "__main__":
    main(sys.argv[1:])
