"""The form of a connection of type http-api, made from the extra's own fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_datahub.http.extra import Extra

LABELS: Mapping[str, str] = {
    "auth": "Authentication",
    "header": "Header",
    "param": "Query parameter",
    "oauth_url": "Token address",
    "scope": "Scope",
    "audience": "Audience",
    "refresh_token": "Refresh token",
    "client_auth": "Client authentication",
    "test_path": "Test path",
    "base_path": "Base path",
    "allow_private": "Allow private",
    "rate_limit": "Rate limit",
    "burst": "Burst",
    "concurrency": "Concurrency",
    "timeout": "Timeout",
    "retries": "Retries",
    "verify": "Verify TLS",
    "ca_file": "CA file",
}
"""Fields of the form, in its order; the other ones are written into the extra as JSON."""

SHOWN: Mapping[str, Mapping[str, str]] = {
    "auth": {
        "null": "By login and password: basic, else none", "none": "None", "api_key": "API key",
        "bearer": "Bearer token", "basic": "Basic", "hmac": "HMAC signature", "oauth2": "OAuth 2",
    },
    "client_auth": {"null": "Basic", "basic": "Basic", "body": "In the body"},
}  # fmt: skip
"""What a list shows for its values; `null` is the one that nobody has chosen."""

BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema"],
    "relabeling": {"host": "Address", "login": "Login or client id", "password": "Password, key, token or secret"},
    "placeholders": {"host": "https://api.example.com/v1"},
}


def fields() -> dict[str, Any]:
    """In the form of `conn-fields` of a provider: a label, a description and a JSON schema by name."""
    properties = Extra.model_json_schema()["properties"]
    return {name: _field(name, properties[name]) for name in LABELS}


def _field(name: str, known: dict[str, Any]) -> dict[str, Any]:
    return {"label": LABELS[name], "description": _description(known), "schema": _schema(name, known)}


def _description(known: Mapping[str, Any]) -> str:
    """The form shows text as it is, names fields by their labels, and leaves numbers empty that nobody has given."""
    text = str(known["description"]).replace("false: any", "Off: any").replace("\n", " ")
    labels = {f"`{name}`": label for name, label in LABELS.items()}
    kinds = {f"{kind}: ": f"{shown}: " for kind, shown in SHOWN["auth"].items()}
    for word, shown in (labels | kinds).items():
        text = text.replace(word, shown)
    default = known.get("default")
    number = isinstance(default, int | float) and not isinstance(default, bool)
    return (f"{text[:-1]}; {default:g} by default." if number else text).replace("`", "")


def _schema(name: str, known: dict[str, Any]) -> dict[str, Any]:
    """Airflow's form demands an entry for each field that may not be null."""
    kind = known.get("anyOf", [known])[0]
    if kind["type"] == "boolean":
        return {"type": "boolean", "default": known["default"]}
    limits = {key: kind[key] for key in ("minimum", "maximum", "exclusiveMinimum") if key in kind}
    choice = {"enum": [None, *kind["enum"]], "values_display": SHOWN[name]} if "enum" in kind else {}
    secret = {} if Extra.model_fields[name].repr else {"format": "password"}
    return {"type": [kind["type"], "null"], **limits, **choice, **secret}
