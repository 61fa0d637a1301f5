"""A DAG bundle for a local folder of specs: it keeps the stubs beside them, so that nobody has to write any."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.local import LocalDagBundle

from airflow_datahub.spec import refused, specs_in, stub_of, write_stub

log = logging.getLogger(__name__)


class SpecBundle(LocalDagBundle):
    """The folder `path`, its own `*.yaml` and `*.yml` each with a stub (folders in it get none); other DAG files in it
    are served as by Airflow's own class.

    Nothing is raised for one spec: what is wrong with its name or cannot be written is logged, the others are served.
    """

    def __init__(self, *, path: str, **kwargs: Any) -> None:
        super().__init__(path=path, **kwargs)

    def initialize(self) -> None:
        """Stubs first: a worker with a folder of its own has no dag-processor that wrote them."""
        keep_stubs(self.path)
        super().initialize()

    def refresh(self) -> None:
        """Airflow's dag-processor asks for it every `refresh_interval` seconds."""
        keep_stubs(self.path)


def keep_stubs(folder: Path) -> None:
    """Write the stubs that are missing, touch those whose spec is newer, take away ours whose spec is gone."""
    try:
        specs = specs_in(folder)
    except OSError as error:
        log.error("%s: no stub is written: %s", folder, error.strerror)
        return
    bad = refused(sorted(specs, key=lambda name: not (folder / f"{name}.py").exists()))  # who was there first stays
    for name, message in bad.items():
        log.error("%s:1:1: %s", folder / name, message)
    for name in specs:
        if name not in bad:
            _trying(_keep, folder, name)
    for stub in [*folder.glob("*.yaml.py"), *folder.glob("*.yml.py")]:
        _trying(_take_away, folder, stub.stem)


def _trying(action: Callable[[Path, str], None], folder: Path, spec: str) -> None:
    """One that cannot be written must not cost the others."""
    try:
        action(folder, spec)
    except OSError as error:
        log.error("%s: its stub cannot be kept: %s", folder / spec, error.strerror)


def _keep(folder: Path, spec: str) -> None:
    stub = folder / f"{spec}.py"
    if not stub.exists():
        write_stub(folder, spec)
    elif not _ours(stub):
        log.warning("%s is not a stub that airflow-datahub wrote; it is left as it is", stub)
    else:
        _touch(stub, (folder / spec).stat().st_mtime)


def _touch(stub: Path, changed: float) -> None:
    """Airflow looks at the time of the DAG file alone, and parses it again if that is after its last look."""
    if stub.stat().st_mtime < changed:
        now = max(time.time(), changed)
        os.utime(stub, (now, now))


def _take_away(folder: Path, spec: str) -> None:
    stub = folder / f"{spec}.py"
    if not (folder / spec).exists() and _ours(stub):
        stub.unlink(missing_ok=True)


def _ours(stub: Path) -> bool:
    return stub.is_file() and stub.read_bytes() == stub_of(stub.stem).encode()
