"""What the plugin registers, and what it costs the processes that do not need it."""

from __future__ import annotations

import subprocess
import sys

from fastapi.routing import APIRoute

from airflow_datahub.plugin import AirflowDatahubPlugin
from airflow_datahub.plugin.application import application
from airflow_datahub.plugin.rights import MAY_SEE_DATA, MAY_SEE_RUNS
from tests.e2e.test_pages import ROUTES


def test_every_route_carries_a_right_and_is_tried_by_the_test_of_rights() -> None:
    routes = [route for route in application().routes if isinstance(route, APIRoute)]
    assert {route.path for route in routes} == set(ROUTES)
    assert len(routes) == len(application().routes), "nothing else is mounted"
    for route in routes:
        assert set(route.dependencies) & {MAY_SEE_RUNS, MAY_SEE_DATA}, route.path
        assert route.methods == {"GET"}


def test_what_only_the_server_needs_is_not_imported_by_every_process() -> None:
    code = (
        "import tests.airflow_home, sys, airflow_datahub.plugin as plugin; made = plugin.AirflowDatahubPlugin(); "
        "made.listeners; print([name for name in ('fastapi', 'sqlalchemy.orm', 'airflow_datahub.operators.stage') "
        "if name in sys.modules and name not in before])"
    )
    before = "import airflow.plugins_manager, sys; before = set(sys.modules); "
    run = subprocess.run(
        [sys.executable, "-c", "import tests.airflow_home; " + before + code], capture_output=True, text=True
    )
    assert run.stdout.strip().endswith("[]"), run.stdout + run.stderr


def test_the_buttons_and_the_pages_are_registered() -> None:
    plugin = AirflowDatahubPlugin()
    assert [app["url_prefix"] for app in plugin.fastapi_apps] == ["/airflow-datahub"]
    assert [link.name for link in plugin.operator_extra_links] == ["Ledger", "Rejects"]
