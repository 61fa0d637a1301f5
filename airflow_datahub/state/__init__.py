"""What outlives a run: its ledger and its rejects.

The words are here and cost nothing to import; the store itself is `airflow_datahub.state.store.Store`.
"""

from airflow_datahub.state.rows import Counters, Reject, RejectRow, RejectState, RunRow, RunState

__all__ = ["Counters", "Reject", "RejectRow", "RejectState", "RunRow", "RunState"]
