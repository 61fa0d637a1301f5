"""What outlives a run: its ledger, its rejects, what was done by hand.

The words are here and cost nothing to import; the store itself is `airflow_datahub.state.store.Store`.
"""

from airflow_datahub.state.rows import (
    AuditRow,
    Counters,
    Reject,
    RejectGroup,
    RejectRow,
    RejectState,
    Replay,
    RevisionRow,
    RevisionState,
    RunRow,
    RunState,
    Use,
    Which,
)

__all__ = [
    "AuditRow",
    "Counters",
    "Reject",
    "RejectGroup",
    "RejectRow",
    "RejectState",
    "Replay",
    "RevisionRow",
    "RevisionState",
    "RunRow",
    "RunState",
    "Use",
    "Which",
]
