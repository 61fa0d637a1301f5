"""Conditions and CEL, compiled once: `condition({"field": "total", "gt": 0}).compile()(record)`."""

from airflow_datahub.conditions.comparison import Check
from airflow_datahub.conditions.condition import Condition, condition
from airflow_datahub.conditions.expression import compile_expression

__all__ = ["Check", "Condition", "compile_expression", "condition"]
