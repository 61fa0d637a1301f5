"""What a person may do with the definitions of a pipeline: look, keep a draft, publish it, go back to an older one.

The spec's file stays what is deployed; nothing here is read by a run. A text that is replaced is kept first.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_datahub.engine.pinning import SHORT
from airflow_datahub.errors import ConfigurationError, SpecError
from airflow_datahub.spec import Pipeline, load, loads
from airflow_datahub.spec.loading import stem
from airflow_datahub.spec.replacing import replace_file
from airflow_datahub.state import RevisionRow, RevisionState, Use
from airflow_datahub.state.store import Store

FILE = "file"
"""Stands for what the spec's file has, where a revision may be named."""

_COMMAND = "airflow-datahub revisions"


@dataclass(frozen=True)
class Desk:
    """One spec's file, which need not be there or be right, and the revisions of its pipeline in a store."""

    file: Path
    store: Store
    actor: str = ""
    """Who acts, for the audit."""

    @property
    def id(self) -> str:
        """The pipeline."""
        return stem(self.file.name)

    def now(self) -> Pipeline | None:
        """What the file defines; None where it is missing or has mistakes."""
        try:
            return load(self.file)
        except SpecError:
            return None

    def all(self) -> list[RevisionRow]:
        """Revisions and drafts, the newest first."""
        return self.store.revisions.all(self.id)

    def named(self, name: str, *states: RevisionState) -> RevisionRow:
        """The revision whose hash begins so, in one of these states (all of them, a draft first, where none is given).

        Raises ConfigurationError for none and for several.
        """
        rows = self._in(states)
        found = sorted((row for row in rows if row.revision.startswith(name)), key=lambda row: row.state != "draft")
        if len({row.revision for row in found}) != 1:
            how = "several revisions begin" if found else f"no {_called(states)} begins"
            raise ConfigurationError(f"{how} with {name!r}: {self._known(rows, states)}")
        return found[0]

    def newest(self, state: RevisionState) -> RevisionRow:
        """The newest one that is deployed or a draft; ConfigurationError where there is none."""
        rows = self._in((state,))
        if not rows:
            raise ConfigurationError(f"there is no {_called((state,))}: {self._known(rows, (state,))}")
        return rows[0]

    def _in(self, states: Sequence[RevisionState]) -> list[RevisionRow]:
        return [row for row in self.all() if not states or row.state in states]

    def _known(self, rows: Sequence[RevisionRow], states: Sequence[RevisionState]) -> str:
        known = ", ".join(dict.fromkeys(row.revision[:SHORT] for row in rows))
        how = f"`{_COMMAND} draft` keeps one" if states == ("draft",) else "each run keeps the one that it begins with"
        return f"the store has {known or 'none'} of pipeline {self.id!r}; {how}"

    def difference(self, old: str | None, new: str) -> str:
        """A unified diff of two texts, empty where they are the same; each a hash or `file`."""
        before = self.newest("deployed").revision if old is None else old
        (name, text), (other, changed) = self._text(before), self._text(new)
        lines = difflib.unified_diff(
            text.splitlines(keepends=True), changed.splitlines(keepends=True), name, other
        )  # fmt: skip
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

    def draft(self, text: str, called: str, note: str = "") -> RevisionRow:
        """Keep a text under review. Raises SpecError for one with mistakes, which are said of the file `called` so, and
        ConfigurationError for the text that is there."""
        if text == self._content().decode(errors="replace"):
            raise ConfigurationError(f"{self.file} has this text already: there is nothing to review")
        made = self._checked(text, called)
        row = RevisionRow(
            self.id, made.revision, "draft", made.text, self.actor, note, self._seen(), created_at=datetime.now(UTC)
        )
        self.store.revisions.put(row)
        self._audit("draft", f"{row.revision[:SHORT]} {note}".strip())
        return row

    def forget(self, name: str) -> RevisionRow:
        """Take a draft away. Raises ConfigurationError where there is none of that name."""
        row = self.named(name, "draft")
        self.store.revisions.drop_draft(self.id, row.revision)
        self._audit("draft --forget", row.revision[:SHORT])
        return row

    def publish(self, row: RevisionRow, act: str = "publish", *, force: bool = False) -> bool:
        """Put a text into the file, whole or not at all; whether the file had another one.

        Raises SpecError where this release refuses the text, and ConfigurationError, without `force`, where the file
        has changed since a draft was made or would be lost because its own text cannot be kept.
        """
        self._checked(row.text, f"{self.file}@{row.revision[:SHORT]}")
        seen, replaced = self._seen(), self.now()
        if replaced is not None:
            self._keep(replaced)
        content = row.text.encode()
        with self.store.revisions.alone() as connection:
            if self._seen() != seen:
                raise ConfigurationError(f"{self.file} is being changed by somebody else; try again")
            changes = self._content() != content
            if changes and not force:
                self._refuse_loss(row, seen, replaced)
            if changes:
                self._write(content)
            if row.state == "draft":
                self._deploy(connection, row)
        before = replaced.revision[:SHORT] if replaced else "no right spec"
        self._audit(act, f"{row.revision[:SHORT]} into {self.file}, which had {before}")
        return changes

    def _deploy(self, connection: Any, draft: RevisionRow) -> None:
        row = replace(draft, state="deployed", author=self.actor, made_from=None, created_at=datetime.now(UTC))
        self.store.revisions.put_in(connection, row, ("text", "author", "note"))
        self.store.revisions.drop_draft_in(connection, self.id, draft.revision)

    def _checked(self, text: str, called: str) -> Pipeline:
        try:
            return loads(text, str(self.file))
        except SpecError as error:
            raise SpecError([replace(problem, file=called) for problem in error.problems]) from None

    def _keep(self, pipeline: Pipeline) -> None:
        """With the comments that it has now, which do not make another revision."""
        row = RevisionRow(self.id, pipeline.revision, "deployed", pipeline.text, created_at=datetime.now(UTC))
        self.store.revisions.put(row, ("text",))

    def _refuse_loss(self, row: RevisionRow, seen: str | None, replaced: Pipeline | None) -> None:
        short = row.revision[:SHORT]
        if row.state == "draft" and seen != row.made_from:
            raise ConfigurationError(
                f"{self.file} has changed since the draft {short} was made. `{_COMMAND} diff {self.file} {FILE} "
                f"{short}` shows both: put them together and make the draft anew with `{_COMMAND} draft {self.file} "
                f"NEW.yaml`, or publish it all the same with --force, which keeps the file's text as a revision"
            )
        if seen is not None and replaced is None:
            raise ConfigurationError(
                f"{self.file} has mistakes (`airflow-datahub lint {self.file}` shows them), so its text cannot be kept "
                "as a revision and would be lost: save it elsewhere if you need it, and say --force"
            )

    def _write(self, content: bytes) -> None:
        try:
            replace_file(self.file, content)
        except OSError as error:
            raise ConfigurationError(f"{self.file} cannot be written: {error.strerror}") from error

    def _text(self, name: str) -> tuple[str, str]:
        """How a text is called in a diff, and itself."""
        if name == FILE:
            return str(self.file), self._content().decode(errors="replace")
        row = self.named(name)
        return f"{self.file}@{row.revision[:SHORT]}", row.text

    def _content(self) -> bytes:
        try:
            return self.file.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise ConfigurationError(f"{self.file} cannot be read: {error.strerror}") from error

    def _seen(self) -> str | None:
        return hashlib.sha256(self._content()).hexdigest() if self.file.exists() else None

    def _audit(self, act: str, detail: str) -> None:
        self.store.audit(self.actor, f"revisions {act}", self.id, detail)


def _called(states: Sequence[RevisionState]) -> str:
    return "draft" if states == ("draft",) else "revision"


def described(desk: Desk | None, pipeline: str, store: Store) -> list[dict[str, Any]]:
    """The revisions of a pipeline as JSON has them, the newest first, with their runs and whether the file has them."""
    now = desk.now() if desk else None
    uses = store.revisions.uses(pipeline)
    current = now.revision if now else None
    return [_described(row, uses.get(row.revision), current) for row in store.revisions.all(pipeline)]


def _described(row: RevisionRow, use: Use | None, current: str | None) -> dict[str, Any]:
    of_row = {name: getattr(row, name) for name in ("pipeline", "revision", "state", "author", "note")}
    of_row |= {"first_seen": row.created_at.isoformat(), "in_file": False, "runs": 0}
    if row.state == "draft":
        return of_row
    of_row["in_file"] = row.revision == current
    if use:
        of_row |= {"first_run": use.first_run, "runs": use.runs, "last_run_at": use.last.isoformat()}
    return of_row
