"""Every command and every YAML block of README and docs is executed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from airflow_datahub.engine.trial import try_pipeline
from airflow_datahub.spec import loads
from tests.docs import session
from tests.world import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SESSIONS = {"cli.md", "getting-started.md", "rejects.md", "revisions.md", "writing-adapters.md"}
"""Pages whose commands and files belong together: they are followed from top to bottom."""
ELSEWHERE = {
    "make test": "what runs these tests",
    "make demo": "tests/demo/test_make_demo.py",
    "python3 -m venv .venv": "make dist",
    ". .venv/bin/activate": "make dist",
    "pip install 'airflow-datahub[demo]'": "make dist",
    "airflow standalone": "tests/e2e starts its four components, with the page's pipeline",
}


def blocks(language: str) -> list[pytest.param]:
    alone = [page for page in PAGES if page.name not in SESSIONS]
    found = [(page, match) for page in alone for match in BLOCK.finditer(page.read_text()) if match[1] == language]
    return [
        pytest.param(match[2], id=f"{page.name}:{page.read_text()[: match.start()].count(chr(10)) + 1}")
        for page, match in found
    ]


@pytest.mark.parametrize("text", blocks("yaml"))
def test_yaml(text: str) -> None:
    name = re.match(r"# (\w+\.yaml)\n", text)
    if "steps:" in text:
        pipeline = loads(text, name[1] if name else "pipeline.yaml")
        assert [verdict.complaints for verdict in try_pipeline(pipeline) if not verdict.passed] == []
    else:
        yaml.safe_load(text)


@pytest.mark.parametrize("text", blocks("sh"))
def test_commands(text: str, tmp_path: Path) -> None:
    for line in text.splitlines():
        if line in ELSEWHERE:
            continue
        command, *arguments = shlex.split(line)
        assert command == ".venv/bin/airflow-datahub", f"who runs {line!r}?"
        arguments = [str(tmp_path / a) if arguments[i - 1] == "--output" else a for i, a in enumerate(arguments)]
        run = subprocess.run(
            [sys.executable, "-m", "airflow_datahub.cli", *arguments],
            cwd=ROOT, env={**os.environ, "AIRFLOW_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("name", sorted(SESSIONS))
def test_a_page_that_is_followed(name: str, tmp_path: Path) -> None:
    page = ROOT / "docs" / name
    output = session.follow(page, tmp_path, ELSEWHERE)
    assert session.missing(page, output) == [], output


def test_every_command_has_an_example() -> None:
    commands = re.findall("^### `(.*)`$", (ROOT / "docs" / "cli.md").read_text(), re.MULTILINE)
    executed = [match[2] for page in PAGES for match in BLOCK.finditer(page.read_text()) if match[1] == "sh"]
    assert len(commands) > 20
    assert [each for each in commands if not re.search(rf"^\S*\b{each} ?", "".join(executed), re.MULTILINE)] == []


def test_the_reference_is_what_the_classes_give() -> None:
    check = [sys.executable, "docs/reference.py", "--check"]
    run = subprocess.run(check, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_continuous_integration_runs_the_command_of_the_readme() -> None:
    assert "\nmake test\n" in (ROOT / "README.md").read_text()
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("make test")


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_files_that_pages_name_are_there() -> None:
    for page in PAGES:
        for path in re.findall(r"`((?:airflow_datahub|tests|docs|dags|plugins)/[\w./-]+)`", page.read_text()):
            written = page.name in SESSIONS and f"`{path}`:\n" in page.read_text()
            assert written or (ROOT / path).exists(), f"{page.name}: {path}"
