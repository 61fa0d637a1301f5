"""Pipeline and step in the text of what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_datahub.errors import RunError, RunFailed


@contextmanager
def naming(pipeline: str, step: str) -> Iterator[None]:
    """Put pipeline and step into the text of what goes wrong."""
    try:
        yield
    except RunError as error:
        raise named(error, pipeline, step) from error.__cause__


def named(error: BaseException, pipeline: str, step: str) -> BaseException:
    """The error with pipeline and step in its text; what nobody foresaw becomes RunFailed, which the task retries."""
    if isinstance(error, RunError):
        error.args = (f"pipeline {pipeline!r}, step {(error.step or step)!r}: {error}", *error.args[1:])
        return error
    if not isinstance(error, Exception):
        return error
    failed = RunFailed(f"pipeline {pipeline!r}, step {step!r}: {type(error).__name__}: {error}")
    failed.__cause__ = error
    return failed
