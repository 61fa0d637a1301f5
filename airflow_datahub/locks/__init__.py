"""Locks over several Airflow deployments: one writer for what a name stands for (R18)."""

from airflow_datahub.locks.holding import held as held
from airflow_datahub.locks.lock import Backend as Backend
from airflow_datahub.locks.lock import Check as Check
from airflow_datahub.locks.lock import Wanted as Wanted
