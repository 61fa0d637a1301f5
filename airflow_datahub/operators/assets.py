"""What a task that loads brings up to date, as Airflow names it."""

from __future__ import annotations

from airflow.sdk import Asset


def asset_of(name: str, uri: str) -> Asset:
    """The asset, with its URI put past Airflow's normalising, which knows no scheme of ours: to look, it imports the
    asset modules of every provider (boto3, Google's clients), 3 s and 90 MB in each process that parses or runs."""
    made = Asset(name=name)
    object.__setattr__(made, "uri", uri)
    return made
