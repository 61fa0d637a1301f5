"""A deliberately broken twin: all partitions share one checkpoint."""

from __future__ import annotations

from airflow_datahub.adapters.sources.http_api import HttpApi
from airflow_datahub.contract import Run
from airflow_datahub.engine import partitions, running


class SharesOne(HttpApi):
    """From the second partition on."""

    def open(self, run: Run) -> None:
        running.stream_of = lambda pipeline, partition=None: partitions.stream_of(pipeline)
        super().open(run)
