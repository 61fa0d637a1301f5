"""Our pages under /airflow-datahub on Airflow's own server: each route carries its own authentication."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import structlog
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import JSONResponse

from airflow_datahub.errors import RunError
from airflow_datahub.operators.handover import open_store
from airflow_datahub.plugin import pages
from airflow_datahub.plugin.rights import MAY_SEE_DATA, MAY_SEE_RUNS
from airflow_datahub.plugin.showing import Ledger, Rejects, ledgers_of, rejects_of
from airflow_datahub.state.store import Store

T = TypeVar("T")

OF_RUN = "/dags/{dag_id}/runs/{run_id}"
Id = Annotated[int | None, Query(ge=0, lt=2**63)]


def application() -> FastAPI:
    """The application that Airflow mounts. It has no pages of documentation: they would be open to everybody."""
    app = FastAPI(title="airflow-datahub", openapi_url=None, docs_url=None, redoc_url=None)
    app.exception_handler(HTTPException)(_explained)
    for path, (endpoint, right) in routes().items():
        app.add_api_route(path, endpoint, dependencies=[right], response_model=None)
    return app


def routes() -> dict[str, tuple[Callable[..., Response], Any]]:
    """All there are, each with the right that it asks for."""
    return {
        f"{OF_RUN}/ledger": (ledger_page, MAY_SEE_RUNS),
        f"{OF_RUN}/rejects": (rejects_page, MAY_SEE_DATA),
        f"/api{OF_RUN}/ledger": (ledger, MAY_SEE_RUNS),
        f"/api{OF_RUN}/rejects": (rejects, MAY_SEE_DATA),
    }


def ledger_page(dag_id: str, run_id: str) -> Response:
    """What each step of the run has counted."""
    return pages.ledger(dag_id, _ledgers(dag_id, run_id))


def rejects_page(dag_id: str, run_id: str, pipeline: str | None = None, before: Id = None, like: Id = None) -> Response:
    """What the run has set aside."""
    return pages.rejects(dag_id, _rejects(dag_id, run_id, pipeline, before, like), like)


def ledger(dag_id: str, run_id: str) -> Response:
    """The same as JSON."""
    return _json({"pipelines": [each.as_json() for each in _ledgers(dag_id, run_id)]})


def rejects(dag_id: str, run_id: str, pipeline: str | None = None, before: Id = None, like: Id = None) -> Response:
    """The same as JSON."""
    return _json(_rejects(dag_id, run_id, pipeline, before, like).as_json())


def _json(content: Any) -> Response:
    return JSONResponse(jsonable_encoder(content), headers={"Cache-Control": "no-store"})


def _ledgers(dag_id: str, run_id: str) -> list[Ledger]:
    with _store() as store:
        return _there(ledgers_of(store, dag_id, run_id), run_id)


def _rejects(dag_id: str, run_id: str, pipeline: str | None, before: int | None, like: int | None) -> Rejects:
    with _store() as store:
        return _there(rejects_of(store, dag_id, run_id, pipeline, before, like), run_id)


def _there(found: T | None, run_id: str) -> T:
    if not found:
        raise HTTPException(
            404, f"The store has nothing of the run {run_id!r}: no task of it has begun, or it writes to another store."
        )
    return found


@contextmanager
def _store() -> Iterator[Store]:
    """The store that the tasks write to. What is wrong with it is told without a traceback."""
    try:
        with open_store(structlog.get_logger(__name__)) as store:
            yield store
    except RunError as error:
        raise HTTPException(503, f"The store cannot be read: {error}") from error


async def _explained(request: Request, error: Exception) -> Response:
    """An error as the caller reads it: JSON below /api, a page elsewhere."""
    assert isinstance(error, HTTPException)
    inside = request.url.path.removeprefix(str(request.scope.get("root_path", "")))
    if inside.startswith("/api/"):
        return await http_exception_handler(request, error)
    return pages.refusal(error.status_code, str(error.detail))
