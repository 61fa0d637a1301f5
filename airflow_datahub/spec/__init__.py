"""What the YAML says: loading with line numbers, frozen models, the plan of stages, the JSON Schema, stubs.

Importing it is cheap; jsonschema, Jinja, croniter and the adapters' own libraries are imported by the specs that need
them."""

from airflow_datahub.spec.loading import load, loads
from airflow_datahub.spec.models import Edge, Every, ExpectedReject, Pipeline, PipelineTest
from airflow_datahub.spec.parameters import is_on, resolve_params
from airflow_datahub.spec.plan import Input, Plan, Stage, plan, shape_of
from airflow_datahub.spec.schema import json_schema
from airflow_datahub.spec.step_types import (
    AnyStep,
    EnrichStep,
    ExtractStep,
    GateStep,
    LoadStep,
    MergeStep,
    Operator,
    RouteStep,
    TransformStep,
    ValidateStep,
)
from airflow_datahub.spec.stubs import refused, specs_in, stub_of, write_stub, write_stubs
from airflow_datahub.spec.words import OnError, Share

__all__ = [
    "AnyStep",
    "Edge",
    "EnrichStep",
    "Every",
    "ExpectedReject",
    "ExtractStep",
    "GateStep",
    "Input",
    "LoadStep",
    "MergeStep",
    "OnError",
    "Operator",
    "Pipeline",
    "PipelineTest",
    "Plan",
    "RouteStep",
    "Share",
    "Stage",
    "TransformStep",
    "ValidateStep",
    "is_on",
    "json_schema",
    "load",
    "loads",
    "plan",
    "refused",
    "resolve_params",
    "shape_of",
    "specs_in",
    "stub_of",
    "write_stub",
    "write_stubs",
]
