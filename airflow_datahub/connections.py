"""What the rest of this package knows of an Airflow connection, and of the places that connections lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_datahub.errors import ConfigurationError
from airflow_datahub.masking import secrets_in


@dataclass(frozen=True)
class Connection:
    """An Airflow connection, read by us or handed over by Airflow. Its password and extra are never shown."""

    id: str
    type: str
    host: str | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    port: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def secrets(self) -> list[str]:
        """What no text may show."""
        return list(secrets_in(self.login, self.password, self.extra))


class UndefinedConnection(ConfigurationError, LookupError):
    """There is no connection of that id; one that is there and cannot be used is a plain ConfigurationError."""


def no_connections(connection_id: str) -> Connection:
    """The `connections` of a run that has none."""
    raise UndefinedConnection(f"connection {connection_id!r} is not defined")


@dataclass(frozen=True, slots=True)
class Place:
    """Where data is, as lineage names it: the same for everybody who looks at it, without credentials."""

    namespace: str
    """The system: `postgres://host:5432`, `https://api.example.com:443`."""
    name: str
    """What of it: `database.schema.table`, `/v1/events`."""
