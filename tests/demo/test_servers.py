"""Servers to try with, for as long as a command runs; tests/docs follows a page through them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_datahub.demo import folders, servers
from airflow_datahub.errors import ConfigurationError

PROGRAM = """
import os, sys
from airflow_datahub.environment import connection
sys.exit(0 if connection("warehouse").schema == "shop" else 1)
"""


def test_the_command_finds_the_connections_and_gives_the_exit_code() -> None:
    known = {"warehouse": {"conn_type": "postgres", "schema": "shop"}}
    assert servers.run([sys.executable, "-c", PROGRAM], known) == 0
    assert servers.run([sys.executable, "-c", "raise SystemExit(7)"], {}) == 7


def test_control_c_is_for_the_command_alone() -> None:
    ask = f"import os, signal; os.kill({os.getpid()}, signal.SIGINT)"
    assert servers.run([sys.executable, "-c", ask], {}) == 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("command", [[], ["no-such-command"]])
def test_a_command_that_cannot_be_run_is_said(command: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"no command|no-such-command cannot be run: No such file"):
        servers.run(command, {})


def test_a_folder_that_another_holds_is_said(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "airflow_datahub.demo.servers", "--folder", str(tmp_path), "true"]
    with folders.held(tmp_path):
        run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (1, "")
    assert "stop it, or give this one a folder of its own" in run.stderr
