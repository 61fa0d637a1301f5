"""What travels from task to task by XCom: which files there are, and which position of the source is behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from airflow_datahub.errors import ConfigurationError


@dataclass(frozen=True)
class Manifest:
    """All that readers know. Its size does not depend on how many files there are."""

    spool: str
    """Id of what was read from one position on; the same for a later run that goes on with it."""
    folder: str
    """Below the root of all spools."""
    files: int
    records: int
    digest: str
    """Hash of the last file, which holds that of the one before, and so on."""
    origin: Mapping[str, Any] | None
    """What the position belongs to, and is moved from and to: `pipeline`, `stream`, `version`, `checkpoint`; None where
    the records came from no source of ours."""
    folders: tuple[str, ...]
    """Everything to be taken away once the records are loaded."""

    def as_json(self) -> dict[str, Any]:
        """For an XCom."""
        return {**asdict(self), "folders": list(self.folders)}

    @classmethod
    def of(cls, value: Any) -> Manifest | None:
        """The manifest that a task returned; None where it returned something else."""
        if not isinstance(value, Mapping) or "spool" not in value:
            return None
        try:
            words = {each.name: value[each.name] for each in fields(cls)}
            return cls(**{**words, "folders": tuple(value["folders"])})
        except (TypeError, KeyError) as error:
            raise ConfigurationError(f"the task before returned a manifest of another version: {error}") from None
