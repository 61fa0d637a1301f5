"""The pages as HTML: rendered here, without a script; everything that comes from data is escaped by Jinja."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from airflow_datahub.plugin.links import PREFIX, address
from airflow_datahub.plugin.showing import Ledger, Rejects
from airflow_datahub.state import Counters, RunRow

TEMPLATES = Path(__file__).with_name("templates")
LONGEST = 4096
"""Characters of a record that are shown."""
TITLES = {401: "Please log in to Airflow first", 403: "You may not see this", 404: "Nothing here"}


def ledger(dag_id: str, found: list[Ledger]) -> HTMLResponse:
    """The page of a run's ledger."""
    columns = [
        name for name in asdict(Counters()) if any(getattr(c, name) for each in found for c in each.steps.values())
    ]
    return _page("ledger.html", 200, ledgers=found, columns=columns, **_head(dag_id, found[0].run))


def rejects(dag_id: str, found: Rejects, like: int | None) -> HTMLResponse:
    """The page of a run's rejects."""
    return _page("rejects.html", 200, rejects=found, like=like, **_head(dag_id, found.run))


def refusal(status: int, text: str) -> HTMLResponse:
    """The page of an error."""
    return _page("refusal.html", status, title=TITLES.get(status, "This cannot be shown"), text=text)


def _head(dag_id: str, run: RunRow) -> dict[str, Any]:
    """What every page of a run says, and the addresses of its other pages, ours and Airflow's."""
    links = {page: address(dag_id, run.run_id, page) for page in ("ledger", "rejects")}
    airflow = links["ledger"].removesuffix("/ledger").replace(f"{PREFIX}/dags/", "/dags/", 1)
    return {"dag_id": dag_id, "run_id": run.run_id, "links": links | {"airflow": airflow}}


def _page(template: str, status: int, **values: Any) -> HTMLResponse:
    text = environment().get_template(template).render(style=style(), **values)
    return HTMLResponse(text, status, headers=headers())


@cache
def environment() -> Environment:
    """Jinja, which escapes everything unless told otherwise."""
    made = Environment(autoescape=True, loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True)
    made.filters["record"] = _record
    made.filters["number"] = _number
    return made


@cache
def style() -> str:
    """The only style, inline: a file of its own would be one more route."""
    return (TEMPLATES / "style.css").read_text()


@cache
def headers() -> dict[str, str]:
    """No script, no request to anywhere, no copy in a cache, no frame but Airflow's own."""
    digest = b64encode(sha256(style().encode()).digest()).decode()
    policy = {
        "default-src": "'none'", "style-src": f"'sha256-{digest}'", "base-uri": "'none'", "form-action": "'none'",
        "frame-ancestors": "'self'",
    }  # fmt: skip
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def _record(value: Any) -> str:
    """A record as text, cut where it is very long; half a character that JSON let through is written as its escape."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str, indent=1)
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"
    return cut.encode("utf-8", "backslashreplace").decode()


def _number(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
