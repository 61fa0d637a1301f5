"""A home for the Airflow that a test process imports, so that it never touches somebody's own.

The packages of such tests import it before anything else."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

home = tempfile.mkdtemp(prefix="datahub-airflow-home-")
atexit.register(shutil.rmtree, home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = home
