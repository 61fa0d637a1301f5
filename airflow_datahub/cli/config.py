"""`airflow-datahub config`: every option of Airflow's section `[airflow_datahub]`, and where its value comes from."""

from __future__ import annotations

import json
import textwrap
from typing import Annotated, Any

import typer

from airflow_datahub.environment import OPTIONS, SECTION, setting, unknown_options
from airflow_datahub.errors import ConfigurationError

MASKED = "***"


def config(
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON an option.")] = False,
) -> None:
    """Show every option with its value here, where that comes from, and what it does. Secrets are not shown."""
    from airflow_datahub.adapters import nearest

    rows = [_row(name) for name in OPTIONS]
    for row in rows:
        print(json.dumps(row) if as_json else _told(row))
    wrong = [row["problem"] for row in rows if row["problem"]]
    wrong += [f"{where}: there is no such option{nearest(name, OPTIONS)}" for where, name in unknown_options().items()]
    if wrong:
        raise ConfigurationError("\nerror: ".join(wrong))


def _row(name: str) -> dict[str, Any]:
    option = OPTIONS[name]
    value, origin, problem = None, None, None
    try:
        value, origin = setting(name)
    except ConfigurationError as error:
        problem = str(error)
    shown = MASKED if option.sensitive and value else value
    row = {"name": name, "value": shown, "origin": origin, "problem": problem, "default": option.default}
    return row | {"type": option.type, "sensitive": option.sensitive, "text": option.text}


def _told(row: dict[str, Any]) -> str:
    value = "none" if row["value"] is None else row["value"]
    origin = row["problem"] or row["origin"]
    told = f"[{SECTION}] {row['name']} = {value}  ({row['type']}; {origin})"
    return f"{told}\n{textwrap.indent(textwrap.fill(row['text'], 110), '    ')}"
