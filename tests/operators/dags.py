"""Whole DAGs, run in this process by Airflow."""

from __future__ import annotations

import os
from typing import Any

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.sdk import DAG


def run(dag: DAG, **conf: Any) -> dict[str, Any]:
    """Run it; what each task returned, by task, or its state where that is not success; of a mapped task a list."""
    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(dag_folder=os.devnull)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
    done = dag.test(run_conf=conf)
    found: dict[str, Any] = {}
    for task in sorted(done.get_task_instances(), key=lambda each: each.map_index):
        value = task.xcom_pull(task.task_id, map_indexes=task.map_index) if task.state == "success" else task.state
        if task.map_index < 0:
            found[task.task_id] = value
        else:
            found.setdefault(task.task_id, []).append(value)
    return found
