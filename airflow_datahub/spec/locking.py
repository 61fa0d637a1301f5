"""`lock`: one writer at a time for what a name stands for, also over several Airflow deployments (R18)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from airflow_datahub.locks import Backend
from airflow_datahub.quantities import Duration, SomeTime
from airflow_datahub.spec.words import Name, Word


class Lock(Word):
    """A lock that each task holds while it writes into a sink; a name alone, or this mapping."""

    name: Name
    """What it stands for; pipelines that give the same name never write at the same time."""

    backend: Backend | None = None
    """Where it is kept; none: in the first that is configured, redis (`[airflow_datahub] redis_conn_id`), postgres
    (the store's server), and else in a file, which holds on one machine. memory: between threads of one process."""

    connection: Name | None = None
    """The connection of type redis or postgres whose server keeps it, where deployments share another one."""

    ttl: SomeTime = timedelta(seconds=30)
    """How long Redis keeps it for a holder that died. Others free it at once."""

    wait: Duration = timedelta(seconds=5)
    """How long is waited for it; after that the task leaves and is tried again in half a minute."""

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits(self) -> Lock:
        if self.connection and self.backend in ("file", "memory"):
            raise PydanticCustomError("lock", "a lock in {it} takes no `connection`", {"it": self.backend})
        if "ttl" in self.model_fields_set and self.backend not in (None, "redis"):
            raise PydanticCustomError(
                "lock", "a lock in {it} takes no `ttl`: it ends with its holder", {"it": self.backend}
            )
        return self


class _NameOrMapping:
    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "minLength": 1}, handler(core)]}


AnyLock = Annotated[Lock, _NameOrMapping()]
"""A lock, in both forms."""
