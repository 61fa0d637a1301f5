"""The form of a connection of type http-api, made from the extra's own fields."""

from __future__ import annotations

from typing import Any

from airflow_datahub.http.extra import Extra

SHOWN = (
    "auth", "header", "param", "token_url", "scope", "audience", "refresh_token", "client_auth",
    "rate_limit", "burst", "concurrency", "allow_private", "verify", "ca_file", "base_path", "timeout", "retries",
)  # fmt: skip
"""Fields of the form; the other ones are written into the extra as JSON."""
BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema"],
    "relabeling": {"host": "Address", "login": "Login or client id", "password": "Password, key, token or secret"},
    "placeholders": {"host": "https://api.example.com/v1"},
}


def fields() -> dict[str, Any]:
    """In the form of `conn-fields` of a provider: a label, a description and a JSON schema by name."""
    properties = Extra.model_json_schema()["properties"]
    return {name: _field(name, properties[name]) for name in SHOWN}


def _field(name: str, known: dict[str, Any]) -> dict[str, Any]:
    label = name.replace("_", " ").capitalize()
    return {"label": label, "description": known["description"], "schema": _schema(name, known)}


def _schema(name: str, known: dict[str, Any]) -> dict[str, Any]:
    """Airflow's form demands an entry for each field that may not be null."""
    kind = known.get("anyOf", [known])[0]
    if kind["type"] == "boolean":
        return {"type": "boolean", "default": known["default"]}
    limits = {key: kind[key] for key in ("minimum", "maximum", "exclusiveMinimum") if key in kind}
    choice = {"enum": [*kind["enum"], None]} if "enum" in kind else {}
    secret = {} if Extra.model_fields[name].repr else {"format": "password"}
    return {"type": [kind["type"], "null"], **limits, **choice, **secret}
