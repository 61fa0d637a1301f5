"""The site of docs/: `make docs` builds all pages, without warnings, and nothing of it comes from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.world import ROOT

BROKEN = """# Broken

[a page](nowhere.md) and [a heading](http.md#nowhere)
"""


@dataclass
class Site:
    """What was built, and what the builder said."""

    folder: Path
    said: list[str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site with one page more, whose links are broken, by the command of the Makefile."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "README.md", folder)
    (folder / "docs" / "broken.md").write_text(BROKEN)
    command = re.search(r"sphinx-build (.*) docs \.site\n", (ROOT / "Makefile").read_text())
    assert command
    run = subprocess.run(
        [sys.executable, "-m", "sphinx", *command[1].split(), "docs", "out"],
        cwd=folder, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert run.returncode == 1, "warnings are errors"
    return Site(folder / "out", run.stderr.splitlines())


def test_links_are_checked_and_those_of_our_pages_lead_somewhere(site: Site) -> None:
    warnings = [line for line in site.said if "WARNING" in line or "ERROR" in line]
    assert all("broken.md:3: WARNING: " in line for line in warnings), "\n".join(site.said)
    assert len(warnings) == 2


def test_every_page_is_there_and_can_be_found(site: Site) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in site.folder.glob("*.html")}
    index = (site.folder / "searchindex.js").read_text()
    assert all(f'"{page}"' in index for page in pages)
    front = (site.folder / "index.html").read_text()
    assert all(f'href="{page}.html' in front for page in pages - {"index"})


def test_pictures_are_there_and_nothing_is_fetched_from_elsewhere(site: Site) -> None:
    loaded = re.compile(r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"([^\"#?]+)")
    for page in site.folder.glob("*.html"):
        for address in loaded.findall(page.read_text()):
            assert (site.folder / address).is_file(), f"{page.name}: {address}"
    styles = "".join(path.read_text() for path in site.folder.rglob("*.css"))
    assert not re.search(r"@import|url\(['\"]?(?:https?:)?//", styles)
    assert (site.folder / "_images" / "dag.png").read_bytes() == (ROOT / "docs" / "images" / "dag.png").read_bytes()


def test_the_front_page_is_the_readme(site: Site) -> None:
    front = (site.folder / "index.html").read_text()
    assert "<h1>airflow-datahub" in front
    for title in re.findall(r"^## (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)[:-1]:
        assert f"<h2>{title}" in front
