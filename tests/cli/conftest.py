"""The command line in the tests' own process, which saves a start of Python for each call."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from airflow_datahub.cli import application

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command: its exit code and all that it prints, standard error behind standard output."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["airflow-datahub", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            application.main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out + said.err

    return run
