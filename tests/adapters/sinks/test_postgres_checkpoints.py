"""Checkpoints that somebody changed: refused with a way out, never a traceback; moved by hand, fenced like a commit."""

from __future__ import annotations

import pytest

from airflow_datahub.adapters.sinks.postgres import Postgres
from airflow_datahub.contract import Batch, Checkpoints, Run, Stream
from airflow_datahub.errors import ConfigurationError, StopRun
from tests.adapters.sinks.warehouse import STREAM, Warehouse, checkpoint, commit, connection


def by_hand(warehouse: Warehouse) -> Checkpoints:
    """The checkpoints beside the table `events`."""
    run = Run(pipeline="pipeline", run_id="by-hand", connections=lambda _: connection(warehouse.dsn))
    return Postgres(connection="warehouse", table="events", key=("id",)).checkpoints(run)


DAMAGES = {
    "cursor of another shape": "cursor = '[1]'",
    "cursor without its parts": """cursor = '{"at": 1}'""",
    "negative skip": "cursor = jsonb_set(cursor, '{skip}', '-3')",
    "text for a number": """cursor = jsonb_set(cursor, '{skip}', '"many"')""",
    "hashes that are none": "cursor = jsonb_set(cursor, '{last}', '[7]')",
    "counters that are none": "counters = '7'",
    "newer format": "format = 2",
    "no format": "format = -1",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_checkpoint_is_refused_and_may_be_moved(warehouse: Warehouse, name: str) -> None:
    warehouse.load({"id": 1})
    warehouse.sql(f"update _datahub_checkpoint set {DAMAGES[name]}")
    writer, kept = warehouse.open(), by_hand(warehouse)
    with pytest.raises(
        ConfigurationError, match=r"cannot be used: .*checkpoint set SPEC --cursor.*checkpoint reset SPEC"
    ):
        writer.resume()
    (found,) = kept.of("pipeline")
    assert (found.stream, found.version, found.checkpoint) == (STREAM, 1, None)
    assert found.damage
    kept.move({STREAM: checkpoint(2)})
    assert writer.resume() == checkpoint(2)
    writer.close()
    kept.close()


@pytest.mark.parametrize("change", ["drop column mark", "drop column version", "drop column cursor"])
def test_a_table_that_lacks_columns_is_named(warehouse: Warehouse, change: str) -> None:
    warehouse.load({"id": 1})
    warehouse.sql(f"alter table _datahub_checkpoint {change}")
    with pytest.raises(ConfigurationError, match=rf"_datahub_checkpoint was changed: it lacks {change.split()[-1]}"):
        warehouse.open()
    kept = by_hand(warehouse)
    with pytest.raises(ConfigurationError, match="was changed"):
        kept.of("pipeline")
    kept.close()
    warehouse.sql("drop table _datahub_checkpoint")
    warehouse.load({"id": 1})


@pytest.mark.parametrize(
    "change", ["alter table _datahub_checkpoint alter version type text", "update _datahub_checkpoint set version = 0"]
)
def test_a_version_that_is_none_cannot_be_fenced(warehouse: Warehouse, change: str) -> None:
    warehouse.load({"id": 1})
    warehouse.sql(change)
    writer = warehouse.open()
    with pytest.raises(ConfigurationError, match=r"was changed: .*delete the row"):
        writer.resume()
    writer.close()


def test_a_move_makes_the_writer_lose_that_is_under_way(warehouse: Warehouse) -> None:
    writer, kept = warehouse.open(), by_hand(warehouse)
    assert kept.of("pipeline") == []
    commit(writer, Batch([{"id": 1}]), 1)
    kept.move({STREAM: checkpoint(2, cursor="by hand")})
    with pytest.raises(StopRun, match="another writer moved the checkpoint"):
        commit(writer, Batch([{"id": 2}]), 2)
    with pytest.raises(StopRun):
        kept.move({STREAM: checkpoint(2)})
    (found,) = kept.of("pipeline")
    assert found.checkpoint == checkpoint(2, cursor="by hand")
    assert warehouse.sql("select id from events") == [(1,)]
    writer.close()
    kept.close()


def test_two_streams_move_together_or_not_at_all(warehouse: Warehouse) -> None:
    warehouse.load({"id": 1})
    kept, renamed = by_hand(warehouse), Stream("pipeline", "fetch>load")
    with pytest.raises(StopRun):
        kept.move({renamed: checkpoint(1), STREAM: checkpoint(7)})
    assert [found.stream for found in kept.of("pipeline")] == [STREAM]
    kept.move({renamed: checkpoint(1), STREAM: checkpoint(2)})
    assert [(found.stream, found.version) for found in kept.of("pipeline")] == [(STREAM, 2), (renamed, 1)]
    kept.close()


def test_a_zombie_does_not_pass_a_position_that_was_reset(warehouse: Warehouse) -> None:
    """It stands at version 2; whoever starts over comes by that version again, unless versions go on."""
    zombie, kept = warehouse.open(), by_hand(warehouse)
    commit(zombie, Batch([{"id": 1}]), 1)
    commit(zombie, Batch([{"id": 2}]), 2)
    kept.move({STREAM: checkpoint(3, cursor=None)})
    warehouse.load({"id": 1})
    warehouse.load({"id": 2})
    with pytest.raises(StopRun):
        commit(zombie, Batch([{"id": 3}]), 3)
    assert warehouse.sql("select version from _datahub_checkpoint") == [(5,)]
    zombie.close()
    kept.close()


def test_a_twin_that_deletes_the_row_lets_the_zombie_pass(warehouse: Warehouse) -> None:
    zombie = warehouse.open()
    commit(zombie, Batch([{"id": 1}]), 1)
    commit(zombie, Batch([{"id": 2}]), 2)
    warehouse.sql("delete from _datahub_checkpoint")
    warehouse.load({"id": 1})
    warehouse.load({"id": 2})
    commit(zombie, Batch([{"id": 3}]), 3)
    assert warehouse.sql("select cursor ->> 'at' from _datahub_checkpoint") == [("after 3",)]
    zombie.close()


def test_an_old_writer_that_goes_on_beside_a_new_one_loses_at_once(warehouse: Warehouse) -> None:
    """Whatever it had prepared: the cursor is never behind its maximum, and each row is there once."""
    old = warehouse.open(strategy="append", key=[])
    for version in (1, 2):
        commit(old, Batch([{"id": version}]), version)
    late = old.prepare(Batch([{"id": 3}]))
    new = warehouse.open(strategy="append", key=[])
    stands = new.resume()
    assert stands
    for version in (3, 4, 5):
        commit(new, Batch([{"id": version}]), version)
        with pytest.raises(StopRun, match="another writer moved the checkpoint"):
            old.commit(late, checkpoint(3), lambda _: {})
        assert warehouse.sql("select version, cursor ->> 'at' from _datahub_checkpoint") == [
            (version, f"after {version}")
        ]
    assert warehouse.sql("select id from events order by id") == [(1,), (2,), (3,), (4,), (5,)]
    old.close()
    new.close()


def test_a_table_that_another_run_made_since_it_was_looked_for_is_found(warehouse: Warehouse) -> None:
    """Else the checkpoint that came with it would seem to be of a table that is gone."""
    early = warehouse.open()
    warehouse.load({"id": 1})
    stands = early.resume()
    assert stands
    assert early.target() == stands.target is not None
    early.close()
