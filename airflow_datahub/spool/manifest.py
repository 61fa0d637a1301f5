"""What travels from task to task by XCom: which files there are, and which position of the source is behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from airflow_datahub.errors import ConfigurationError


class Way(Protocol):
    """From a stage, or one of its branches."""

    @property
    def stage(self) -> str:
        """Its key."""

    @property
    def branch(self) -> str | None:
        """Of a route; None: everything."""


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
    branches: Mapping[str, int] = field(default_factory=dict)
    """Records by branch, where they take different ways from here."""
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By stage, of this one and those before it: records that a source gave, and rejects."""

    def by(self, branch: str | None) -> int:
        """Records that take a branch; None: all."""
        return self.records if branch is None else self.branches.get(branch, 0)

    def as_json(self) -> dict[str, Any]:
        """For an XCom."""
        words = {each.name: getattr(self, each.name) for each in fields(self)}
        counts = {stage: list(count) for stage, count in self.counts.items()}
        return words | {"folders": list(self.folders), "branches": dict(self.branches), "counts": counts}

    @classmethod
    def of(cls, value: Any) -> Manifest | None:
        """The manifest that a task returned; None where it returned something else."""
        if not isinstance(value, Mapping) or "spool" not in value:
            return None
        try:
            words = {each.name: value[each.name] for each in fields(cls)}
            counts = {stage: tuple(count) for stage, count in value["counts"].items()}
            return cls(**{**words, "folders": tuple(value["folders"]), "counts": counts})
        except (TypeError, KeyError, AttributeError) as error:
            raise ConfigurationError(f"the task before returned a manifest of another version: {error}") from None


def counted(manifests: Iterable[Manifest]) -> tuple[int, int]:
    """Records that sources gave up to there, and rejects; a stage that leads to several of them counts once."""
    counts = {stage: count for each in manifests for stage, count in each.counts.items()}.values()
    return sum(read for read, _ in counts), sum(rejected for _, rejected in counts)


def coming(inputs: Iterable[Way], manifests: Mapping[str, Manifest]) -> int:
    """Records that come by these ways."""
    return sum(manifests[each.stage].by(each.branch) for each in inputs if each.stage in manifests)
