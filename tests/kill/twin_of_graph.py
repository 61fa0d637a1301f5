"""Deliberately broken graphs: each source breaks the handing on between its stages where it is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_datahub.adapters.sources.http_api import HttpApi
from airflow_datahub.contract import Run
from airflow_datahub.engine import handing
from airflow_datahub.spool.together import Together


class MovesFirst(HttpApi):
    """The position moves once the source is read, before anything is loaded."""

    def open(self, run: Run) -> None:
        handing.Handing.manifest = _moving(handing.Handing.manifest)  # type: ignore[method-assign]
        super().open(run)


def _moving(manifest: Callable[..., Any]) -> Callable[..., Any]:
    def moved(self: handing.Handing, tally: Any) -> Any:
        made = manifest(self, tally)
        if made and made.origin:
            from airflow_datahub.state.store import Store

            with Store.open() as store:
                store.positions.move(dict(handing._moves(made, store)))
        return made

    return moved


class ReadsAgain(HttpApi):
    """What of the files is loaded is forgotten by the next try."""

    def open(self, run: Run) -> None:
        Together.renewed = lambda *_: True  # type: ignore[method-assign]
        super().open(run)
