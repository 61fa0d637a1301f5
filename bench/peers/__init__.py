"""Other tools on the same work, each at its best setting, in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

from bench.measuring import Program

HERE = Path(__file__).parent
FOLDER = HERE.parent.parent / ".bench"


def peers(api: str, key: str) -> list[Program]:
    """dlt and sling, installed where they are not yet; pinned in `dlt.txt` and `sling.txt`."""
    dlt, sling = _python("dlt"), _python("sling")
    return [
        Program(f"dlt_{form}", [dlt, str(HERE / "dlt_api.py"), form, api, key, "{dsn}"], _quiet(), "bench.events")
        for form in ("csv", "parquet")
    ] + [Program("sling", [sling, str(HERE / "sling_file.py"), api, key, "{dsn}"], _quiet(), folds=False)]


def _quiet() -> Mapping[str, str]:
    return {"RUNTIME__DLTHUB_TELEMETRY": "false", "SLING_DISABLE_TELEMETRY": "TRUE", "DBUS_SESSION_BUS_ADDRESS": ""}


def _python(name: str) -> str:
    folder = FOLDER / name
    python, ready = folder / "bin" / "python", folder / ".ready"
    if not ready.exists():
        print(f"installing {name} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / f"{name}.txt"], check=True)
        ready.touch()
    return str(python)
