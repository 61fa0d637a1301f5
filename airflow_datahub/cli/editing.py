"""A text in a person's own editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

import typer


def edited(text: str) -> str:
    """What a person has made of a text, in a file that nobody else reads. A wrong call where nothing was changed."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "record.json")
        file.write_text(text, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(file)], check=True)  # noqa: S603 - no shell
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            raise typer.BadParameter(f"$EDITOR {editor!r}: {error}") from None
        after = file.read_text(encoding="utf-8")
    if after == text:
        raise typer.BadParameter("nothing was changed")
    return after
