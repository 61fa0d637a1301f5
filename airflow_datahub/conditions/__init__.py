"""Conditions and CEL, compiled once: `condition({"field": "total", "gt": 0}).compile()(record)`.

The modules are imported one by one, so that a spec without conditions does not pay for them.
"""
