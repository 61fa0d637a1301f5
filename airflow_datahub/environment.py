"""Options and connections where no Airflow is loaded, read from the places and in the forms that Airflow reads.

* option: `AIRFLOW__AIRFLOW_DATAHUB__NAME`, its `_CMD` form, `[airflow_datahub]` in `airflow.cfg`, the declared default
* connection: `AIRFLOW_CONN_<ID>`, as a URI or as JSON
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from airflow_datahub.contract import Connection, UndefinedConnection
from airflow_datahub.errors import ConfigurationError

SECTION = "airflow_datahub"
COMMAND_TIMEOUT = 30.0
"""Seconds that a `_CMD` may take."""


class Option(NamedTuple):
    """One option of the section `[airflow_datahub]`."""

    type: str
    default: str | None
    text: str
    """What it does, for a person."""
    sensitive: bool = False
    """A secret: only then do its `_CMD` and `_SECRET` forms act, as in Airflow."""
    otherwise: tuple[str, str] | None = None
    """Section and name of the option of Airflow's that holds where this one has no value."""


class Setting(NamedTuple):
    """An option as it is set here."""

    value: str | None
    origin: str
    """Where the value comes from, for a person."""


OPTIONS: Mapping[str, Option] = {
    "store_connection": Option(
        "string",
        "datahub_store",
        "Id of the PostgreSQL connection that the store is kept in: run ledger and rejects. While the connection of "
        "the default id is not defined, the store is the SQLite file airflow_datahub.db in AIRFLOW_HOME.",
    ),
    "encryption_key": Option(
        "string",
        None,
        "Fernet key that stored rejects are encrypted with; several, separated by commas, are tried in turn when "
        "reading, the first one encrypts. Default: [core] fernet_key.",
        sensitive=True,
        otherwise=("core", "fernet_key"),
    ),
    "spool": Option(
        "string",
        None,
        "Folder for the files that a task hands to the next one: a path, or an address such as s3://bucket/folder that "
        "Airflow's ObjectStoragePath takes. Workers on several machines must share it. Default: the folder "
        "airflow_datahub_spool in AIRFLOW_HOME, with LocalExecutor only.",
    ),
    "redis_conn_id": Option(
        "string",
        None,
        "Id of the connection of type redis in which all processes share the state of circuit breakers. Default: each "
        "process has its own. It needs the extra airflow-datahub[redis].",
    ),
    "progress_interval": Option(
        "float",
        "3",
        "Seconds between two lines of progress of a run, and between two writings of its ledger and its metrics, from "
        "0.1 to 3600: more of them where hundreds of tasks share one store.",
    ),
}
"""By name; the provider publishes them, so that Airflow's configuration knows them too."""


def option(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The value of an option as text, None where it has none; KeyError for a name that is not in OPTIONS.

    Raises ConfigurationError where a command fails, or where only a secrets backend knows the value.
    """
    declared = OPTIONS[name]
    found = _setting(SECTION, name, environ, declared.sensitive)
    return declared.default if found is None else found.value


def setting(name: str, environ: Mapping[str, str] = os.environ) -> Setting:
    """The value that acts for an option, Airflow's own in its stead included, and where it comes from.

    Arguments and errors are those of `option`."""
    declared = OPTIONS[name]
    found = _setting(SECTION, name, environ, declared.sensitive)
    if declared.otherwise and not (found and found.value):
        found = _setting(*declared.otherwise, environ, declared.sensitive) or found
    return found or Setting(declared.default, "default")


def unknown_options(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Names in our section that no option has, which therefore do nothing, by where they stand."""
    prefix = f"AIRFLOW__{SECTION}__".upper()
    path = _config_file(environ)
    found = {variable: variable.removeprefix(prefix).lower() for variable in environ if variable.startswith(prefix)}
    found |= {f"[{SECTION}] {name} in {path}": name for name in _section_of(path, SECTION)}
    return {where: name for where, name in found.items() if re.sub("_(cmd|secret)$", "", name) not in OPTIONS}


def encryption_key(environ: Mapping[str, str] = os.environ) -> str | None:
    """The Fernet keys, separated by commas, that stored payloads are encrypted with; None where none is set."""
    return setting("encryption_key", environ).value or None


def redis_connection(environ: Mapping[str, str] = os.environ) -> str | None:
    """The id of the connection to the Redis that processes share; None where none is set."""
    return option("redis_conn_id", environ) or None


def progress_interval(environ: Mapping[str, str] = os.environ) -> float:
    """Seconds between two lines of progress. Raises ConfigurationError for what is no such number."""
    text = option("progress_interval", environ) or ""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise ConfigurationError(f"[{SECTION}] progress_interval is {text[:80]!r}: write seconds from 0.1 to 3600")
    return seconds


def spreading_executors(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The executors of `[core] executor` whose tasks run on other machines, or may; empty where nothing is set."""
    named = _setting("core", "executor", environ, sensitive=False)
    names = re.split("[;,]", named.value or "") if named else []
    classes = [re.split("[=:.]", name.strip())[-1] for name in names]  # team=alias:package.Class
    return [name for name in classes if name and not name.endswith(_ON_ONE_MACHINE)]


_ON_ONE_MACHINE = ("LocalExecutor", "SequentialExecutor", "DebugExecutor", "MockExecutor")


def airflow_home(environ: Mapping[str, str] = os.environ) -> Path:
    """`$AIRFLOW_HOME`, `~/airflow` by default; it need not exist."""
    return Path(_expanded(environ.get("AIRFLOW_HOME") or "~/airflow", environ))


def spool_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder of what tasks hand to one another; None where none is named and workers may share no disk, or where
    it is no folder of this machine's."""
    named = option("spool", environ)
    if not named:
        return None if spreading_executors(environ) else airflow_home(environ) / "airflow_datahub_spool"
    return None if "://" in named else Path(named)


def plugins_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Airflow's plugins folder, in which users put adapters of their own; it need not exist."""
    named = _setting("core", "plugins_folder", environ, sensitive=False)
    return Path(named.value) if named and named.value else airflow_home(environ) / "plugins"


def connection(connection_id: str, environ: Mapping[str, str] = os.environ) -> Connection:
    """The connection of that id, from `AIRFLOW_CONN_<ID>`; the same text means what it means to Airflow.

    Raises UndefinedConnection where the variable is missing or empty, ConfigurationError where it cannot be read.
    """
    variable = f"AIRFLOW_CONN_{connection_id.upper()}"
    text = environ.get(variable, "").strip()
    if not text:
        raise UndefinedConnection(
            f"connection {connection_id!r} is not defined: set the environment variable {variable}, "
            f"for example to postgresql://login:password@host:5432/database or to JSON"
        )
    try:
        return Connection(id=connection_id, **(_from_json(text) if text.startswith("{") else _from_uri(text)))
    except ConfigurationError as error:
        raise ConfigurationError(f"connection {connection_id!r}: {variable} {error}") from None


def _setting(section: str, name: str, environ: Mapping[str, str], sensitive: bool) -> Setting | None:
    """What the environment says, else what airflow.cfg says."""
    variable = f"AIRFLOW__{section}__{name}".upper()
    if variable in environ:
        return Setting(_expanded(environ[variable], environ), variable)
    found = _by_form(environ, variable, ("_CMD", "_SECRET"), variable, sensitive)
    if found is not None:
        return found
    path = _config_file(environ)
    values = _section_of(path, section)
    where = f"[{section}] {name} in {path}"
    if name in values:
        return Setting(_expanded(values[name], environ), where)
    return _by_form(values, name, ("_cmd", "_secret"), where, sensitive)


def _by_form(
    values: Mapping[str, str], name: str, forms: tuple[str, str], where: str, sensitive: bool
) -> Setting | None:
    """The value of a setting that is stated as a command; ConfigurationError for a form that cannot act here."""
    command, secret = forms
    form = next((each for each in forms if name + each in values), None)
    if form is None:
        return None
    if not sensitive:
        raise ConfigurationError(f"{where} is no secret, so its form {form} does not act: set it without {form}")
    if form == secret:
        raise ConfigurationError(
            f"{where}: its form {form} is kept in a secrets backend, which only Airflow can ask; "
            f"outside Airflow set {where} itself or its form {command}"
        )
    origin = f"{where} (its form {form})"
    return Setting(_output(values[name + form], origin), origin)


def _output(command: str, where: str) -> str:
    """What a command prints, without its last line break. Its output is a secret and never shown."""
    import shlex
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603
            shlex.split(command), check=False, capture_output=True, text=True, timeout=COMMAND_TIMEOUT
        )
    except (OSError, ValueError, IndexError) as error:
        raise ConfigurationError(f"{where}: the command cannot be run: {error}") from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"{where}: the command took over {COMMAND_TIMEOUT:g} s") from None
    if done.returncode:
        said = f": {done.stderr.strip()[:80]}" if done.stderr.strip() else ""
        raise ConfigurationError(f"{where}: the command ended with code {done.returncode}{said}")
    return done.stdout.rstrip("\r\n")


def _config_file(environ: Mapping[str, str]) -> Path:
    named = environ.get("AIRFLOW_CONFIG")
    return Path(_expanded(named, environ)) if named else airflow_home(environ) / "airflow.cfg"


def _section_of(path: Path, section: str) -> Mapping[str, str]:
    """A section of airflow.cfg, empty where there is none."""
    import configparser

    # Interpolation would trip over a lone % in a value that nobody asked for; %% is all that Airflow writes.
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    except configparser.Error as error:
        lines = [number for number, _ in getattr(error, "errors", [])] or [getattr(error, "lineno", "?")]
        raise ConfigurationError(f"{path}, line {lines[0]}: this is no `[section]` and no `name = value`") from None
    if not parser.has_section(section):
        return {}
    return {name: value.replace("%%", "%") for name, value in parser[section].items()}


def _expanded(text: str, environ: Mapping[str, str]) -> str:
    """`$NAME`, `${NAME}` and a leading `~` filled in, as Airflow does with every value; unknown names stay."""
    text = re.sub(r"\$(?:(\w+)|\{([^}]*)\})", lambda found: environ.get(found[1] or found[2], found[0]), text)
    home = environ.get("HOME")
    return home + text[1:] if home and re.match(r"~(/|$)", text) else os.path.expanduser(text)


def _from_uri(uri: str) -> dict[str, Any]:
    """Airflow's way of reading a URI (`airflow.sdk.Connection.from_uri`), in which a host may carry a protocol."""
    nested = uri.count("://") == 2
    try:
        scheme = urlsplit(uri).scheme
        rest = uri.replace(f"{scheme}://", "" if nested else "//")
        parts = urlsplit(rest)
        port = parts.port
        readable = "//" in uri and uri.count("://") <= 2 and not (nested and {"@", ":"} & set(rest.split("://")[0]))
    except ValueError:
        readable = False
    if not readable:
        raise ConfigurationError(
            "is no URI: write type://login:password@host:port/schema and percent-encode special characters "
            "(@ is %40, / is %2F, # is %23, ? is %3F), or use the JSON form"
        )
    host = _host(parts)
    return {
        "type": _type(scheme),
        "host": f"{parts.scheme}://{host}" if nested and host else host,
        "schema": unquote(parts.path[1:]),
        "login": parts.username and unquote(parts.username),
        "password": parts.password and unquote(parts.password),
        "port": port,
        "extra": _extra_of_query(parts.query),
    }


def _host(parts: SplitResult) -> str:
    """The host name; one that holds an encoded path (a socket, an account) keeps its upper case letters."""
    host = unquote(parts.hostname or "")
    return unquote(parts.netloc.rsplit("@", 1)[-1].split(":", 1)[0]) if "/" in host else host


def _extra_of_query(query: str) -> dict[str, Any]:
    values = dict(parse_qsl(query, keep_blank_values=True))
    return _extra(values["__extra__"]) if "__extra__" in values else dict(values)


def _type(text: str) -> str:
    return "postgres" if text == "postgresql" else text.replace("-", "_")


_FIELDS = ("conn_type", "host", "login", "password", "schema", "port", "extra", "description")


def _from_json(text: str) -> dict[str, Any]:
    values = _object(text, "the text")
    if unknown := sorted(values.keys() - set(_FIELDS)):
        raise ConfigurationError(f"has an unknown field {unknown[0][:80]!r}: there are {', '.join(_FIELDS)}")
    return {
        "type": _type(_text("conn_type", values.get("conn_type")) or ""),
        **{name: _text(name, values.get(name)) for name in ("host", "login", "password", "schema")},
        "port": _port(values.get("port")),
        "extra": _extra(values.get("extra")),
    }


def _text(name: str, value: Any) -> str | None:
    if isinstance(value, dict | list):
        raise ConfigurationError(f"has a field {name!r} that is no text")
    return None if value is None else str(value)


def _port(value: Any) -> int | None:
    try:
        return int(value) if value else None
    except (TypeError, ValueError):
        raise ConfigurationError(f"has a port that is no number: {str(value)[:80]!r}") from None


def _extra(value: Any) -> dict[str, Any]:
    """The extra as an object; it may come as one or as its JSON text."""
    if not value:
        return {}
    if isinstance(value, str):
        return _object(value, "its extra")
    if not isinstance(value, dict):
        raise ConfigurationError("has a field 'extra' that is no JSON object")
    return value


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigurationError(f"cannot be read: {what} is no JSON from {place} on") from None
    if not isinstance(values, dict):
        raise ConfigurationError(f"cannot be read: {what} must be a JSON object")
    return values
