"""Libraries that only some adapters need: each belongs to an extra of the package."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from airflow_datahub.errors import ConfigurationError


def library(module: str, extra: str) -> ModuleType:
    """The module; ConfigurationError, which says what to install, where it is missing."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{module!r} is not installed: pip install 'airflow-datahub[{extra}]', on every machine that runs tasks"
        ) from error
