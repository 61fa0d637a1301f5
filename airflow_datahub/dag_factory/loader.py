"""All specs of a folder from one DAG file, for those who can have neither stubs nor our bundle."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from airflow.sdk import DAG, get_parsing_context

from airflow_datahub.dag_factory.building import dag_of, short
from airflow_datahub.dag_factory.schedule import BEGINNING
from airflow_datahub.errors import Problem, SpecError
from airflow_datahub.operators.refusing import RefusingOperator
from airflow_datahub.spec import load, refused, specs_in
from airflow_datahub.spec.writing import fenced

TAG = "bad spec"
"""What all DAGs carry that stand for a spec with mistakes."""


def load_folder(folder: str | Path) -> dict[str, DAG]:
    """The DAGs of a folder's `*.yaml` and `*.yml` by their ids; a relative path counts from the calling file.

    A bad spec becomes a DAG whose only task fails with its mistakes. In a task's process only the DAG of that task is
    made. Raises SpecError where the folder cannot be read, and where a stub is beside a spec: the DAG would be the one
    file's and the other's in turn."""
    place = Path(sys._getframe(1).f_globals["__file__"]).parent / folder
    try:
        specs = specs_in(place)
    except OSError as error:
        raise SpecError([Problem(str(place), 1, 1, f"cannot be read: {error.strerror}")]) from error
    _without_stubs(place, specs)
    bad = refused(specs)
    wanted = get_parsing_context().dag_id
    ids = {identity(name, name in bad): name for name in specs}
    return {each: _dag(each, place / ids[each], bad.get(ids[each])) for each in ids if wanted in (None, each)}


def identity(name: str, is_refused: bool) -> str:
    """The id of a spec's DAG; where the name cannot give one, or another has it, the whole name with its ending."""
    return re.sub(r"[^\w.-]", _code, name, flags=re.ASCII)[:250] if is_refused else name.partition(".")[0]


def _code(found: re.Match[str]) -> str:
    return f"-{ord(found[0]):x}-"


def _without_stubs(folder: Path, specs: Iterable[str]) -> None:
    stubs = [name for name in specs if (folder / f"{name}.py").exists()]
    if stubs:
        raise SpecError([Problem(str(folder / name), 1, 1, _both(folder, name)) for name in stubs])


def _both(folder: Path, name: str) -> str:
    return f"has a stub, {folder / name}.py, and is loaded by load_folder as well; delete the stub or the call"


def _dag(dag_id: str, spec: Path, message: str | None) -> DAG:
    name = f"{spec.parent.name}/{spec.name}"
    if message is not None:
        return refusing(dag_id, SpecError([Problem(name, 1, 1, message)]))
    try:
        return dag_of(load(spec))
    except SpecError as error:
        return refusing(dag_id, short(error, name))


def refusing(dag_id: str, error: SpecError) -> DAG:
    """A DAG that shows why it cannot run, and says so when somebody starts it."""
    with DAG(
        dag_id=dag_id,
        description=str(error).partition("\n")[0],
        tags=[TAG],
        schedule=None,
        start_date=BEGINNING,
        catchup=False,
        is_paused_upon_creation=True,
        doc_md=f"This pipeline cannot run.\n\n{fenced(str(error), 'text')}",
    ) as dag:
        RefusingOperator(task_id="bad_spec", message=str(error), retries=0)
    return dag
