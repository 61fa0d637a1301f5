"""`airflow-datahub schema`: the JSON Schema of a spec, for editors."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of standard output.")] = None,
) -> None:
    """Write the JSON Schema of pipeline specs, with every adapter that is installed."""
    from airflow_datahub.spec import json_schema

    text = json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"
    if output:
        try:
            output.write_text(text)
        except OSError as error:
            raise typer.BadParameter(f"{output}: {error.strerror}") from error
    else:
        sys.stdout.write(text)
