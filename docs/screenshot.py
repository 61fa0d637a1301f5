"""Takes the README's picture: the demo's DAG in a real Airflow, in Chromium (`make browser`).

python docs/screenshot.py
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console

from airflow_datahub.demo.__main__ import DAG, World, ingest, parser, start

PICTURE = Path(__file__).parent / "images" / "dag.png"
SIZE = {"width": 1360, "height": 760}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--disable-background-networking",
]


def main() -> None:
    """Run the demo in a folder of its own and take the picture."""
    if not (chromium := shutil.which("chromium")):
        sys.exit("Chromium is missing: make browser")
    console = Console()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        world = start(parser().parse_args(["--folder", folder, "--events", "100000"]), stack, console)
        ingest(world, console)
        photograph(world, chromium)
    console.print(f"written: {PICTURE}")


def photograph(world: World, chromium: str) -> None:
    """Log in by token, open the run's graph, wait for the task, and take the picture."""
    airflow = world.airflow
    run = airflow.get(f"/dags/{DAG}/dagRuns")["dag_runs"][0]["dag_run_id"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        context = browser.new_context(viewport=SIZE, device_scale_factor=1)
        context.add_cookies([{"name": "_token", "value": airflow.token(), "url": airflow.url}])
        page = context.new_page()
        page.goto(f"{airflow.url}/dags/{DAG}/runs/{run}/tasks/extract-tidy-load")
        page.get_by_text("ingestion complete", exact=False).first.wait_for(timeout=60_000)
        page.wait_for_timeout(1500)
        PICTURE.parent.mkdir(exist_ok=True)
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
