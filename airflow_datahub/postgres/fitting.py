"""What becomes of fields that no column takes: gathered in `rest`, or as `evolution` says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from airflow_datahub.contract import Batch, Record, Refusal
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.postgres.declared import Column, Target, checked_name
from airflow_datahub.postgres.rows import Shape, Slot, values_at
from airflow_datahub.postgres.tables import Layout, inferred, nothing

Fitted = tuple[Batch, Layout, set[str], list[Refusal]]


def fitted(batch: Batch, layout: Layout, target: Target) -> Fitted:
    """The batch and the layout made to fit, the names of the batch's fields, and the records that do not.

    ConfigurationError where `evolution: freeze` stops, or a column too many would be added.
    """
    fields = set[str]().union(*batch.records)
    unknown = layout.unknown(fields)
    if target.rest:
        unknown |= {target.rest} & fields  # only we fill the column, so a field of its name is one of the rest
        if unknown:
            return _gathered(batch, unknown, target.rest), layout, fields | {target.rest}, []
    if not unknown or target.evolution == "ignore":
        return batch, layout, fields, []
    if target.evolution == "reject":
        return batch, layout, fields, _refused(batch, unknown, "no column for field {} (evolution: reject)")
    unknown &= set[str]().union(*_with_key(batch.records, layout))  # what is refused for want of a key does not count
    if not unknown:
        return batch, layout, fields, []
    if target.evolution == "evolve":
        return _evolved(batch, layout, target.max_columns, unknown)
    raise _unknown_fields(layout, unknown)


def left(batch: Batch, refused: Sequence[Refusal]) -> Sequence[Record]:
    """The records that are not refused."""
    if not refused:
        return batch.records
    out = {refusal.index for refusal in refused}
    return [record for index, record in enumerate(batch.records) if index not in out]


def _gathered(batch: Batch, unknown: set[str], rest: str) -> Batch:
    """The records with the unknown fields in one; what `$` and rejects refer to stays as it was."""
    records = [_with_rest(record, unknown, rest) if unknown & record.keys() else record for record in batch.records]
    return replace(batch, records=records, origins=batch.records if batch.origins is None else batch.origins)


def _with_rest(record: Record, unknown: set[str], rest: str) -> Record:
    known = {name: value for name, value in record.items() if name not in unknown}
    known[rest] = {name: value for name, value in record.items() if name in unknown}
    return known


def _evolved(batch: Batch, layout: Layout, most: int, unknown: set[str]) -> Fitted:
    """A column more for each field that has a value; a field that cannot name a column is refused."""
    bad = {name for name in unknown if not _can_be_a_column(name)}
    refused = _refused(batch, bad, "field {} cannot be the name of a column")
    records = _with_key(left(batch, refused), layout)
    fields = set[str]().union(*records)
    values = {name: [record.get(name) for record in records] for name in sorted(unknown & fields)}
    added = [Column(name, (name,), inferred(found)) for name, found in values.items() if not all(map(nothing, found))]
    if added:
        layout = _with_columns(layout, added, most)
    return batch, layout, fields, refused


def _with_key(records: Sequence[Record], layout: Layout) -> Sequence[Record]:
    """Those that are not to be refused for want of a key."""
    keys = [values_at(records, slot.path) for slot in layout.slots if slot.name in layout.key]
    return [record for record, *values in zip(records, *keys, strict=True) if None not in values]


def _with_columns(layout: Layout, added: Sequence[Column], most: int) -> Layout:
    count = len(layout.slots) + len(layout.passive) + len(added)
    if count > most:
        raise ConfigurationError(
            f"table {layout.schema}.{layout.table} would get {count} columns, {most} are allowed (`max_columns`): "
            f"`pick` the fields that matter, or gather the others in one column with `rest`"
        )
    slots = tuple(Slot(column.name, Shape.of(column.type or ""), column.path) for column in added)
    return replace(layout, slots=layout.slots + slots, added=(*layout.added, *added))


def _can_be_a_column(name: str) -> bool:
    try:
        checked_name(name)
        name.encode()
    except ValueError:
        return False
    return True


def _refused(batch: Batch, unknown: set[str], reason: str) -> list[Refusal]:
    """The records that have one of these fields."""
    found: list[Refusal] = []
    for index, record in enumerate(batch.records if unknown else ()):
        if names := sorted(unknown & record.keys()):
            name = names[0][:80].encode("utf-8", "backslashreplace").decode()
            found.append(Refusal(index, reason.format(repr(name)), name))
    return found


def _unknown_fields(layout: Layout, unknown: set[str]) -> ConfigurationError:
    names = ", ".join(repr(name[:80]) for name in sorted(unknown)[:10]) + (", …" if len(unknown) > 10 else "")
    return ConfigurationError(
        f"table {layout.schema}.{layout.table} has no column for the field{'s' if len(unknown) > 1 else ''} {names} "
        f"(evolution: freeze). Either add the column (ALTER TABLE {layout.name.as_string(None)} ADD COLUMN …, or "
        f"`evolution: evolve`), or take the field out before the load (operator `remove` or `pick`, or `evolution: "
        f"ignore`), or gather such fields in one jsonb column (`rest: payload`), or keep every field in one jsonb "
        f"column (columns: {{data: {{type: jsonb, from: $}}}})"
    )
