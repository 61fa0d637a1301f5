"""The command `airflow-datahub`. One file a command; none of them imports Airflow.

Exit codes: 0 done, 1 failed, 2 spec or call wrong, 3 interrupted.
"""

from __future__ import annotations

import gc
import os

# a command is short: collecting cycles while modules are loaded costs a sixth of a lint and frees nothing
gc.set_threshold(100_000, 50, 100)
# looking for pydantic's plugins reads the metadata of every installed package: another sixth
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from airflow_datahub.cli.application import main  # noqa: E402

__all__ = ["main"]
