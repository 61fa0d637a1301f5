"""What Airflow asks this package about itself."""

from __future__ import annotations

import json
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from jsonschema import validate

from airflow_datahub.environment import OPTIONS
from airflow_datahub.provider import get_provider_info
from tests.world import ROOT


def test_the_provider_info_is_what_airflow_wants() -> None:
    package = find_spec("airflow")
    assert package
    assert package.submodule_search_locations
    schema = Path(package.submodule_search_locations[0], "provider_info.schema.json")
    info = get_provider_info()
    validate(info, json.loads(schema.read_text()))
    assert info["config"]["airflow_datahub"]["options"].keys() == OPTIONS.keys()
    for group in ("operators", "bundles"):
        assert all(import_module(module) for each in info[group] for module in each["python-modules"])


def test_every_entry_point_leads_somewhere() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert {"apache_airflow_provider", "airflow.plugins"} <= groups.keys()
    for module, _, name in (value.partition(":") for points in groups.values() for value in points.values()):
        assert hasattr(import_module(module), name)
