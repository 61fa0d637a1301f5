"""What of a batch is written: fields checked against the columns, keys looked at, rows of one key folded into one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_datahub.contract import Batch, Refusal
from airflow_datahub.postgres.ahead import Copy
from airflow_datahub.postgres.declared import Target
from airflow_datahub.postgres.fitting import fitted, left
from airflow_datahub.postgres.rows import Lines, Slot, copy_text, in_writing_order, safe_texts, values_at
from airflow_datahub.postgres.tables import Layout


@dataclass(slots=True)
class Prepared:
    """A batch as COPY text."""

    batch: Batch
    layout: Layout | None = None
    """None where there is nothing to write."""
    slots: tuple[Slot, ...] = ()
    rows: Sequence[int] = ()
    """The records that are written."""
    lines: Lines = field(default_factory=list)
    """Those records, until they are handed over."""
    count: int = 0
    """How many lines they are."""
    refused: list[Refusal] = field(default_factory=list)
    folded: dict[int, list[int]] = field(default_factory=dict)
    """By the index of the row that stands for its key: the others of that key, the one to take next first."""
    copy: Copy | None = None
    """Its lines on their way into a stage; None where they were not sent ahead."""

    def handed_over(self) -> Lines:
        """The lines, which are kept no longer: memory is dearer than making them again, which is seldom needed."""
        lines, self.lines = self.lines, []
        return lines

    def encoded(self) -> Lines:
        """The lines, made again where they were handed over."""
        return self.lines or copy_text(self.batch, self.rows, self.slots)[0]

    def spares(self, refused: Sequence[Refusal]) -> list[int]:
        """The rows that take the place of refused ones, no longer folded into them: a bad row costs only itself."""
        spares = []
        for refusal in refused:
            if others := self.folded.pop(refusal.index, None):
                spares.append(others[0])
                if others[1:]:
                    self.folded[others[0]] = others[1:]
        return sorted(spares)

    def fold(self, folded: Mapping[int, Sequence[int]]) -> None:
        """Take in what PostgreSQL folded, whose keys may differ in text and be equal for it."""
        for stands, others in folded.items():
            known = [each for row in (stands, *others) for each in self.folded.pop(row, ())]
            self.folded[stands] = sorted([*others, *known], reverse=True) if known else list(others)

    def absent(self, rows: Sequence[int]) -> list[Refusal]:
        """The rows whose key the table does not have, refused with those that are folded into them."""
        key = ", ".join(self.layout.key) if self.layout else ""
        every = [each for row in rows for each in (row, *self.folded.pop(row, ()))]
        return [Refusal(row, f"key ({key}) is not in the table") for row in every]


def prepare(batch: Batch, layout: Layout, target: Target) -> Prepared:
    """The batch ready to be copied. ConfigurationError for a field that no column takes, where that is to stop."""
    looks_at_keys = target.strategy == "delete"
    fields, refused = set[str](), list[Refusal]()
    if not looks_at_keys:
        batch, layout, fields, refused = fitted(batch, layout, target)
    keys = [slot for slot in layout.slots if slot.name in layout.key]
    indices, keyless, folded = _chosen(batch, keys, target, {refusal.index for refusal in refused})
    refused += keyless
    slots = in_writing_order(keys if looks_at_keys else _filled(batch, layout, target, fields, refused))
    lines, unencodable = copy_text(batch, indices, slots)
    count = len(indices) - len(unencodable)
    return Prepared(batch, layout, slots, indices, lines, count, refused + unencodable, folded)


def without_key(batch: Batch, target: Target) -> list[Refusal]:
    """The records whose key is missing or null, refused."""
    paths = {column.name: column.path for column in target.columns}
    return _keyless({name: values_at(batch.records, paths.get(name, (name,))) for name in target.key})


def _keyless(key: Mapping[str, Sequence[Any]]) -> list[Refusal]:
    refused = {
        index: Refusal(index, f"key {name!r} is missing", name)
        for name, values in key.items()
        if None in values
        for index, value in enumerate(values)
        if value is None
    }
    return [refused[index] for index in sorted(refused)]


def _filled(
    batch: Batch, layout: Layout, target: Target, fields: set[str], refused: Sequence[Refusal]
) -> Iterable[Slot]:
    """The columns that are always written, and those in which a record that is not refused has a value: known for
    single fields, looked up for paths into them."""
    always, records = {*layout.key, target.newer_by}, left(batch, refused)
    if refused:
        fields = fields & set[str]().union(*records)
    for slot in layout.slots_for(fields, always):
        several = len(slot.path) > 1 and slot.name not in always
        if not several or any(value is not None for value in values_at(records, slot.path)):
            yield slot


def _chosen(
    batch: Batch, keys: Sequence[Slot], target: Target, out: set[int]
) -> tuple[Sequence[int], list[Refusal], dict[int, list[int]]]:
    """The indices to write, ascending, without those that are out; those refused for want of a key; and what is folded
    into which. The newest of a key is found by PostgreSQL, which alone knows how its values compare."""
    indices: Sequence[int] = range(len(batch.records))
    if out:
        indices = [index for index in indices if index not in out]
    if not keys:
        return indices, [], {}
    values = {slot.name: values_at(batch.records, slot.path) for slot in keys}
    refused = _keyless(values)
    refused = [refusal for refusal in refused if refusal.index not in out]
    if refused:
        bad = {refusal.index for refusal in refused}
        indices = [index for index in indices if index not in bad]
    if target.newer_by:
        return indices, refused, {}
    columns = [safe_texts(_taken(values[slot.name], indices), slot.shape) for slot in keys]
    same = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    standing, folded = _folded(indices, same, last_wins=not target.first_wins)
    return standing, refused, folded


def _taken(values: Sequence[Any], indices: Sequence[int]) -> Sequence[Any]:
    return values if len(indices) == len(values) else [values[index] for index in indices]


def _folded(indices: Sequence[int], keys: Sequence[Any], last_wins: bool) -> tuple[Sequence[int], dict[int, list[int]]]:
    """The indices that stand for their keys, ascending, and by each of them the others of its key, the one to take
    next first."""
    stands = dict(zip(keys, indices, strict=True))  # the last of each key
    if len(stands) == len(indices):
        return indices, {}
    if not last_wins:
        stands = dict(zip(reversed(keys), reversed(indices), strict=True))
    standing = sorted(stands.values())
    key_of = keys if indices == range(len(keys)) else dict(zip(indices, keys, strict=True))
    folded: dict[int, list[int]] = {}
    for index in sorted(set(indices).difference(standing), reverse=last_wins):
        folded.setdefault(stands[key_of[index]], []).append(index)
    return standing, folded
