"""What the plugin registers, and what it costs the processes that do not need it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from airflow.listeners.listener import get_listener_manager
from fastapi.routing import APIRoute

from airflow_datahub.plugin import AirflowDatahubPlugin
from airflow_datahub.plugin.application import application
from airflow_datahub.plugin.preloading import PreloadListener
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


PRELOADED = """
import tests.airflow_home, sys
from airflow_datahub.plugin.preloading import PreloadListener
class Component: pass
Component.__module__ = sys.argv[1]
PreloadListener().on_starting(Component())
before = set(sys.modules)
from airflow_datahub.dag_factory import build
from airflow_datahub.operators.stage import StageOperator
from airflow_datahub.engine.running import run_pipeline
from airflow_datahub.http.client import Client
from airflow_datahub.postgres.writing import TableWriter
print(len([name for name in set(sys.modules) - before if name.startswith("airflow_datahub")]))
"""


@pytest.mark.parametrize(("component", "is_preloaded"), [("airflow.jobs.job", True), ("airflow.sdk.x", False)])
def test_what_tasks_need_is_imported_where_they_are_forked_from_and_only_there(
    component: str, is_preloaded: bool
) -> None:
    run = subprocess.run([sys.executable, "-c", PRELOADED, component], capture_output=True, text=True)
    assert (int(run.stdout.split()[-1]) == 0) is is_preloaded, run.stdout + run.stderr


def test_airflow_calls_who_preloads() -> None:
    (listener,) = (each for each in AirflowDatahubPlugin().listeners if isinstance(each, PreloadListener))
    manager = get_listener_manager()
    manager.add_listener(listener)
    try:
        assert any(each.plugin is listener for each in manager.hook.on_starting.get_hookimpls())
    finally:
        manager.clear()


def test_the_buttons_and_the_pages_are_registered() -> None:
    plugin = AirflowDatahubPlugin()
    assert [app["url_prefix"] for app in plugin.fastapi_apps] == ["/airflow-datahub"]
    assert [link.name for link in plugin.operator_extra_links] == ["Ledger", "Rejects"]
