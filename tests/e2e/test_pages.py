"""What Airflow shows of a run through us: buttons beside the task, and the pages behind them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from airflow_datahub.demo.airflow_rest import AirflowRest
from tests.e2e.conftest import HOSTILE, TASK, Deployment

pytestmark = pytest.mark.airflow

RUN = "run_~.:+1"
ROUTES = tuple(
    f"{kind}/dags/{{dag_id}}/runs/{{run_id}}/{page}" for kind in ("", "/api") for page in ("ledger", "rejects")
)
"""All that there are; tests/plugin makes sure of it."""


@pytest.fixture(scope="module")
def ended(deployment: Deployment) -> str:
    """The address of a run that has ended, below our pages."""
    deployment.start("rejecting", RUN)
    assert deployment.airflow.wait("rejecting", RUN) == "success"
    return f"/dags/rejecting/runs/{RUN.replace(':', '%3A').replace('+', '%2B')}"


def asked(deployment: Deployment, path: str, name: str | None = "admin", **query: Any) -> httpx.Response:
    """What one of Airflow's users, or nobody, is answered at /airflow-datahub."""
    airflow = deployment.airflow
    passwords = json.loads((airflow.home / "passwords.json").read_text())
    headers = {}
    if name:
        headers["Authorization"] = f"Bearer {AirflowRest(airflow.url, name, passwords[name]).token()}"
    return httpx.get(f"{airflow.url}/airflow-datahub{path}", headers=headers, params=query, trust_env=False, timeout=30)


def test_every_route_asks_who_is_there_and_obeys_the_rights(deployment: Deployment, ended: str) -> None:
    for route in ROUTES:
        path = route.replace("/dags/{dag_id}/runs/{run_id}", ended)
        statuses = {name: asked(deployment, path, name).status_code for name in (None, "stranger", "viewer", "admin")}
        assert statuses == {None: 401, "stranger": 403, "viewer": 200, "admin": 200}, path
        assert asked(deployment, path.replace("/rejecting/", "/lost/"), "stranger").status_code != 403
    for open_to_all in ("/docs", "/openapi.json", "/redoc", "/"):
        assert asked(deployment, open_to_all, None).status_code in (401, 404)


def test_the_buttons_lead_to_the_pages(deployment: Deployment, ended: str) -> None:
    links = deployment.airflow.get(f"/dags/rejecting/dagRuns/{RUN}/taskInstances/{TASK}/links")["extra_links"]
    assert links == {name.title(): f"/airflow-datahub{ended}/{name}" for name in ("ledger", "rejects")}


def test_the_ledger_as_json(deployment: Deployment, ended: str) -> None:
    (ledger,) = asked(deployment, f"/api{ended}/ledger", "viewer").json()["pipelines"]
    assert (ledger["run"]["state"], ledger["run"]["tries"]) == ("success", 1)
    counted = {step["step"]: (step["records_in"], step["records_out"], step["rejected"]) for step in ledger["steps"]}
    assert counted == {"extract": (63, 63, 0), "tidy": (63, 1, 62), "load": (1, 1, 0)}


def test_rejects_as_json_are_grouped_paged_and_masked(deployment: Deployment, ended: str) -> None:
    first = asked(deployment, f"/api{ended}/rejects").json()
    (group,) = first["groups"]
    assert (group["step"], group["operator"], group["field"], group["count"]) == ("tidy", "to_number", "amount", 62)
    assert group["example"]["record"] == {"id": 2, "amount": "n2", "note": HOSTILE, "user": {"email": "***"}}
    second = asked(deployment, f"/api{ended}/rejects", before=first["older"], like=group["example"]["id"]).json()
    seen = [row["record"]["id"] for row in first["rejects"] + second["rejects"]]
    assert (seen, second["older"]) == (list(range(63, 1, -1)), None)
    assert "ann" not in json.dumps([first, second])
    for query in ({"before": "x"}, {"like": -1}, {"before": 2**63}):
        assert asked(deployment, f"/api{ended}/rejects", **query).status_code == 422


def test_a_run_that_never_began_is_told_of(deployment: Deployment) -> None:
    page = asked(deployment, "/dags/rejecting/runs/<b>none/ledger".replace("<b>", "%3Cb%3E"))
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "&lt;b&gt;none" in page.text
    assert asked(deployment, "/api/dags/rejecting/runs/none/ledger").json()["detail"].startswith("The store has not")


def test_a_person_comes_from_the_task_to_its_rejects(deployment: Deployment, ended: str, browser: Browser) -> None:
    airflow, errors = deployment.airflow, []
    for scheme in ("dark", "light"):
        context = browser.new_context(color_scheme=scheme)
        context.set_default_timeout(120_000)
        context.add_cookies([{"name": "_token", "value": airflow.token(), "url": airflow.url}])
        page = context.new_page()
        page.on("dialog", lambda dialog: errors.append(dialog.message))
        page.goto(f"{airflow.url}/dags/rejecting/runs/{RUN}/tasks/{TASK}/details")
        page.get_by_role("link", name="Ledger").click()
        page.get_by_role("row", name="tidy 63 1 62").wait_for()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.get_by_role("link", name="See the 62 rejected").click()
        page.get_by_text("first example", exact=True).click()
        assert HOSTILE in page.locator("details pre").inner_text()
        page.get_by_role("link", name="Older").click()
        assert page.locator("article").count() == 12
        assert page.locator("img, script").count() == 0
        page.get_by_role("link", name="tidy / to_number / amount").click()
        assert page.locator("article").count() == 50
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 31)"
        assert dark == (scheme == "dark"), "the page's own style is let through by its policy"
        page.get_by_role("link", name="Run in Airflow").click()
        page.wait_for_url("**/dags/rejecting/runs/**")
        context.close()
    assert errors == []
