"""A run of the command that comes to its end, or to a halt, at a chosen point of its work.

The product has no hooks for this: its functions are replaced from outside, in a process of the run's own.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import itertools
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import reduce, wraps
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

# what a run needs is loaded here: the processes are forked from one that has loaded this module
import aiohttp  # noqa: F401
import jinja2.sandbox  # noqa: F401
import psycopg  # noqa: F401

import airflow_datahub.adapters.sinks.postgres
import airflow_datahub.adapters.sources.http_api
import airflow_datahub.adapters.transforms.parse_date
import airflow_datahub.cli.console
import airflow_datahub.cli.run
import airflow_datahub.cli.specs
import airflow_datahub.engine
import airflow_datahub.environment
import airflow_datahub.http.client
import airflow_datahub.http.page
import airflow_datahub.postgres.stages
import airflow_datahub.postgres.writing
import airflow_datahub.spec
import airflow_datahub.state.store
from airflow_datahub.cli import main
from tests.world import EVENTS

airflow_datahub.spec.load(EVENTS)  # the models of its steps are made at their first use
gc.freeze()  # so that no collection in a fork copies the pages of what stands here

Talk = Connection
What = Literal["kill", "stop", "say", "wait"]
"""What happens at a point: SIGKILL or SIGSTOP to this very process; `say` tells the test, `wait` also waits for it."""

STARTED = "started"

POINTS = {
    STARTED: ("airflow_datahub.engine.stage:Stage.run", "before"),
    "request sent": ("aiohttp.client_reqrep:ClientResponse.start", "before"),
    "page read": ("airflow_datahub.engine.stage:Stage._offer", "before"),
    "batch prepared": ("airflow_datahub.postgres.writing:TableWriter.prepare", "after"),
    "before COPY": ("airflow_datahub.postgres.loading:copy", "before"),
    "in COPY": ("psycopg.copy:Copy.write", "before"),
    "after COPY": ("airflow_datahub.postgres.loading:copy", "after"),
    "copied ahead": ("airflow_datahub.postgres.stages:Stages.fill", "after"),
    "before commit": ("airflow_datahub.postgres.writing:TableWriter.commit", "before"),
    "before upsert": ("airflow_datahub.postgres.loading:Loader._move", "before"),
    "after upsert": ("airflow_datahub.postgres.loading:Loader._move", "after"),
    "rejects stored": ("airflow_datahub.engine.rejecting:Rejecting.add", "after"),
    "checkpoint moved": ("airflow_datahub.postgres.checkpoints:move", "after"),
    "committed": ("airflow_datahub.postgres.writing:TableWriter.commit", "after"),
    "rejects confirmed": ("airflow_datahub.engine.rejecting:Rejecting.confirm", "after"),
    "before ledger's end": ("airflow_datahub.state.store:Store.end", "before"),
}
"""Where each point is: a function, and whether the point lies before or after it."""

OF_A_SWAP = {
    "before swap": ("airflow_datahub.postgres.shadow:Shadow.swap", "before"),
    "after swap": ("airflow_datahub.postgres.shadow:Shadow.swap", "after"),
    "finished": ("airflow_datahub.postgres.writing:TableWriter.finish", "after"),
}
"""Points that only a replacing load passes, once a run."""

OF_A_GRAPH = {
    "before file": ("airflow_datahub.spool.folder:Folder.write", "before"),
    "handed on": ("airflow_datahub.engine.handing:Handing.manifest", "after"),
    "loaded": ("airflow_datahub.postgres.writing:TableWriter.commit", "after"),
    "before position": ("airflow_datahub.state.positions:Positions.move", "before"),
    "position moved": ("airflow_datahub.state.positions:Positions.move", "after"),
}
"""Points that only a pipeline of several stages passes."""


def run(
    point: str, nth: int, what: What, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, talk: Talk
) -> None:
    """Be the command, in a fresh process; `what` happens when the point is passed for the `nth` time."""
    count = itertools.count(1)

    def passing() -> None:
        if next(count) == nth:
            strike(what, talk)

    os.environ.update(environment)
    os.chdir(folder)
    log = os.open(f"log.{os.getpid()}", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    where, when = (POINTS | OF_A_SWAP | OF_A_GRAPH)[point]
    replace(where, lambda function: around(function, when, passing))
    sys.argv = ["airflow-datahub", *arguments]
    main()


def strike(what: What, talk: Talk) -> None:
    """What happens at the point."""
    if what != "kill":
        talk.send("reached")
    if what == "wait":
        talk.recv()
    elif what != "say":
        os.kill(os.getpid(), signal.SIGKILL if what == "kill" else signal.SIGSTOP)


def around(function: Callable[..., Any], when: str, passing: Callable[[], None]) -> Callable[..., Any]:
    """The function, with `passing` called before or after it."""
    before, after = (passing, _nothing) if when == "before" else (_nothing, passing)

    @wraps(function)
    async def coroutine(*arguments: Any, **named: Any) -> Any:
        before()
        result = await function(*arguments, **named)
        after()
        return result

    @wraps(function)
    def plain(*arguments: Any, **named: Any) -> Any:
        before()
        result = function(*arguments, **named)
        after()
        return result

    return coroutine if inspect.iscoroutinefunction(function) else plain


def _nothing() -> None:
    pass


def replace(where: str, change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put what `change` makes of a function in its place, also in modules that have imported it by name."""
    module, _, names = where.partition(":")
    *parents, name = names.split(".")
    owner = reduce(getattr, parents, importlib.import_module(module))
    old = getattr(owner, name)
    new = change(old)
    setattr(owner, name, new)
    for other in [each for key, each in sys.modules.items() if key.startswith("airflow_datahub.")]:
        if getattr(other, name, None) is old:
            setattr(other, name, new)
