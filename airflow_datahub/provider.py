"""What Airflow's provider manager asks this package about itself; its entry point is `apache_airflow_provider`."""

from __future__ import annotations

from typing import Any

from airflow_datahub import __version__
from airflow_datahub.environment import OPTIONS, SECTION, Option
from airflow_datahub.hooks import form

OPERATORS = tuple(f"airflow_datahub.operators.{name}" for name in ("stage", "ingest", "spooling"))
"""The modules that hold them."""


def get_provider_info() -> dict[str, Any]:
    """In the form of Airflow's provider_info.schema.json."""
    return {
        "package-name": "airflow-datahub",
        "name": "airflow-datahub",
        "description": "Data ingestion: a short YAML file becomes a fast, resumable DAG.",
        "versions": [__version__],
        "integrations": [{"integration-name": "airflow-datahub"}],
        "bundles": [
            {"integration-name": "airflow-datahub", "python-modules": ["airflow_datahub.dag_factory.bundle"]},
        ],
        "operators": [
            {"integration-name": "airflow-datahub", "python-modules": list(OPERATORS)},
        ],
        "connection-types": [
            {
                "connection-type": "http-api",
                "hook-class-name": "airflow_datahub.hooks.http_api.HttpApiHook",
                "hook-name": "HTTP API",
                "conn-fields": form.fields(),
                "ui-field-behaviour": form.BEHAVIOUR,
            }
        ],
        "config": {
            SECTION: {
                "description": "Data ingestion by airflow-datahub.",
                "options": {name: described(option) for name, option in OPTIONS.items()},
            }
        },
    }


def described(option: Option) -> dict[str, Any]:
    """One option as Airflow's configuration lists it."""
    return {
        "description": option.text,
        "version_added": __version__,
        "type": option.type,
        "example": None,
        "default": option.default,
        "sensitive": option.sensitive,
    }
