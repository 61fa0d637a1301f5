"""A page read as a session at a terminal: files that it has written, commands that it has run, what they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.world import ROOT

BLOCK = re.compile(r"(?:`(?P<path>[\w./-]+)`:\n\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d[\d.,]*")
TIME = re.compile(r"^\d\d:\d\d:\d\d ", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of a page; `path` is the file that the words in front of it, "`path`:", say it is."""

    path: str | None
    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    for found in BLOCK.finditer(page.read_text()):
        yield Block(found["path"], found["language"], found["text"])


def file(page: Path, path: str) -> str:
    """The text of a file that a page has written."""
    return next(block.text for block in blocks(page) if block.path == path)


def script(page: Path, elsewhere: Collection[str]) -> str:
    """What a person does who follows the page, less the commands that are run elsewhere."""
    lines = ["set -e", "export SHELLOPTS"]  # a shell inside the shell goes on with both
    for block in blocks(page):
        if block.path:
            folder = str(Path(block.path).parent)
            lines += [f"mkdir -p {folder}", f"cat > {block.path} <<'END OF FILE'", block.text + "END OF FILE"]
        elif block.language == "sh":
            lines += [line for line in block.text.splitlines() if line not in elsewhere]
    return "\n".join([*lines, "echo the end of the page", ""])


def follow(page: Path, folder: Path, elsewhere: Collection[str]) -> str:
    """Follow the page in a folder, by one bash that reads it as it would read a terminal; all that is printed."""
    commands = folder / "commands"
    commands.mkdir(parents=True)
    for name, module in {"airflow-datahub": "airflow_datahub.cli", "pytest": "pytest"}.items():
        (commands / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        (commands / name).chmod(0o755)
    place = folder / "place"
    place.mkdir()
    path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST", "COLUMNS"))
    }
    run = subprocess.run(
        ["bash"], input=script(page, elsewhere), cwd=place, text=True, timeout=290,
        env={**environment, "PATH": path, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert "the end of the page" in run.stdout, run.stdout
    return run.stdout


def missing(page: Path, output: str) -> list[str]:
    """The lines that the page says are printed, and that were not. Numbers may be others."""
    said = {comparable(line) for line in output.splitlines()}
    printed = [block for block in blocks(page) if block.language == "text" and not block.path]
    wanted = [line for block in printed for line in block.text.splitlines()]
    return [line for line in wanted if line.strip() not in ("", "…") and comparable(line) not in said]


def comparable(line: str) -> str:
    """A line without what differs from run to run."""
    return NUMBER.sub("0", TIME.sub("", line)).strip()
