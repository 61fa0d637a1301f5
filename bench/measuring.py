"""Runs one program on a fresh database, and measures its rate, its memory, and the CPU of both sides."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airflow_datahub.demo.postgres import EmbeddedPostgres

ROOT = Path(__file__).parent.parent
OURS = re.compile(r"ingestion complete: ([\d,]+) records in ([\d.]+) s")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Program:
    """What is measured. `{dsn}` in arguments and environment is the database."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    table: str = "events"
    folds: bool = True
    """Whether a key that comes twice makes one row."""


@dataclass(frozen=True)
class Measured:
    """One run."""

    name: str
    seconds: float
    """Of the work itself, as the program says; without its start."""
    rows: int
    """In the table afterwards."""
    rate: float
    """Records read a second of work."""
    memory: float
    """Peak of the process and its children, MB."""
    cpu: float
    """Microseconds of the process a record, start included."""
    postgres_cpu: float
    """Microseconds of PostgreSQL a record."""


def measure(program: Program, events: int, server: EmbeddedPostgres) -> Measured:
    """Run it to its end, which it reaches or the benchmark ends with what it said."""
    database = f"bench_{program.name}"
    server.execute(f"drop database if exists {database} with (force)")
    dsn = server.create_database(database)
    server.execute("checkpoint")
    before = cpu_of(server)
    text, usage = run_program(program, dsn)
    after = cpu_of(server)
    seconds = float(found[2]) if (found := OURS.search(text)) else float(text.split()[-2])
    rows = int(server.execute(f"select count(*) from {program.table}", database)[0][0])
    server.execute(f"drop database {database} with (force)")
    cpu = (usage.ru_utime + usage.ru_stime) * 1e6 / events
    return Measured(
        program.name, seconds, rows, events / seconds, usage.ru_maxrss / 1024, cpu, (after - before) * 1e6 / events
    )


def run_program(program: Program, dsn: str) -> tuple[str, os._Rusage]:
    """What it printed and used; `{dsn}` is put in."""
    argv = [each.replace("{dsn}", dsn) for each in program.argv]
    environment = {key: value.replace("{dsn}", dsn) for key, value in program.environment.items()}
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            argv, cwd=ROOT, stdout=output, stderr=output,
            env={**os.environ, "AIRFLOW_HOME": home, "BENCH_FOLDER": home, **environment},
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        sys.exit(f"{program.name} failed:\n{text}")
    return text, usage


def cpu_of(server: EmbeddedPostgres) -> float:
    """Seconds that the server has used so far, in all its processes, the ended ones too. Linux only, else 0."""
    if not Path("/proc/self/stat").exists():
        return 0.0
    main = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
    living = [each for name in os.listdir("/proc") if name.isdigit() and (each := _stat(name))]
    own = sum(sum(each[11:13]) for each in living if each[1] == main)
    return (own + sum(sum(each[11:15]) for each in living if each[0] == main)) / TICKS


def _stat(process: str) -> list[int] | None:
    """Number, parent and what follows in /proc/…/stat; None where the process has gone."""
    try:
        text = Path("/proc", process, "stat").read_text(errors="replace")
    except OSError:
        return None
    return [int(process), *map(int, text.rpartition(")")[2].split()[1:15])]
