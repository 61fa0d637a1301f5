"""What the YAML says: loading with line numbers, frozen models, the plan of stages, the JSON Schema, stubs.

Importing it is cheap; jsonschema, Jinja, croniter and the adapters' own libraries are imported by the specs that need
them."""

from airflow_datahub.spec.loading import load, loads
from airflow_datahub.spec.models import (
    AnyStep,
    Every,
    ExpectedReject,
    ExtractStep,
    LoadStep,
    Operator,
    Pipeline,
    PipelineTest,
    TransformStep,
)
from airflow_datahub.spec.parameters import resolve_params
from airflow_datahub.spec.plan import Plan, Stage, plan
from airflow_datahub.spec.schema import json_schema
from airflow_datahub.spec.stubs import refused, specs_in, stub_of, write_stub, write_stubs
from airflow_datahub.spec.words import OnError, Share

__all__ = [
    "AnyStep",
    "Every",
    "ExpectedReject",
    "ExtractStep",
    "LoadStep",
    "OnError",
    "Operator",
    "Pipeline",
    "PipelineTest",
    "Plan",
    "Share",
    "Stage",
    "TransformStep",
    "json_schema",
    "load",
    "loads",
    "plan",
    "refused",
    "resolve_params",
    "specs_in",
    "stub_of",
    "write_stub",
    "write_stubs",
]
