"""What Airflow loads of this package by itself, through the entry point group `airflow.plugins`."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin


class AirflowDatahubPlugin(AirflowPlugin):
    """The plugin `airflow_datahub`; the plain name `datahub` belongs to another product.

    Every process of Airflow loads it, each task's too; what only the server needs is imported when the server asks."""

    name = "airflow_datahub"

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """Our pages."""
        from airflow_datahub.plugin.application import application
        from airflow_datahub.plugin.links import PREFIX

        return [{"app": application(), "url_prefix": PREFIX, "name": "airflow-datahub"}]

    @property
    def listeners(self) -> list[Any]:  # type: ignore[override]
        """Who closes the ledger of a task that was killed, and who imports the engine where tasks are forked from."""
        from airflow_datahub.plugin.listener import LedgerListener
        from airflow_datahub.plugin.preloading import PreloadListener

        return [LedgerListener(), PreloadListener()]

    @property
    def operator_extra_links(self) -> list[Any]:  # type: ignore[override]
        """Buttons beside a task."""
        from airflow_datahub.plugin.links import LedgerLink, RejectsLink

        return [LedgerLink(), RejectsLink()]
