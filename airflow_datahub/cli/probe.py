"""`airflow-datahub probe`: what a new API answers, and the lines of a spec that read it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from airflow_datahub.probing.asking import Probe, Reaction
    from airflow_datahub.probing.writing import Learnt


def probe(
    connection: Annotated[str, typer.Argument(help="Id of a connection of type http, from AIRFLOW_CONN_<ID>.")],
    path: Annotated[str, typer.Argument(help="Path of the list, behind the connection's address.")],
    query: Annotated[list[str] | None, typer.Option("--query", help="A query parameter, as name=value.")] = None,
    size_param: Annotated[
        str, typer.Option(help="The query parameter that carries the size of a page; empty: none.")
    ] = "limit",
    tries: Annotated[
        list[str] | None,
        typer.Option("--try", help="More requests: `sizes`, `paths=/a,/b`, `auth` (ways to send the password)."),
    ] = None,
    write: Annotated[Path | None, typer.Option(help="Put what was learnt into this spec, new or existing.")] = None,
) -> None:
    """Ask a new API for five records: status, headers, shape, a paging. The number of requests is told beforehand."""
    from airflow_datahub.engine.secrecy import masked_error
    from airflow_datahub.errors import DatahubError

    wishes = _probe(connection, path, query or [], size_param, tries or [])
    try:
        _tell(wishes, wishes.announced())
        _propose(wishes, _learnt(wishes, asyncio.run(_ask(wishes))), write)
    except DatahubError as error:
        raise masked_error(error, wishes.mask) from None


def _tell(wishes: Probe, lines: Iterable[str]) -> None:
    """At once, with no secret in it, wherever the API or the call has put one."""
    print(*map(wishes.mask, lines), sep="\n", flush=True)


def _probe(connection_id: str, path: str, query: Sequence[str], size_param: str, tries: Sequence[str]) -> Probe:
    from airflow_datahub.environment import connection
    from airflow_datahub.errors import ConfigurationError
    from airflow_datahub.probing.asking import Probe, checked

    if unknown := [each for each in tries if each not in ("sizes", "auth") and not each.startswith("paths=/")]:
        raise typer.BadParameter(f"--try {unknown[0]!r}: there are sizes, paths=/a,/b and auth")
    if "sizes" in tries and not size_param:
        raise typer.BadParameter("--try sizes needs a --size-param")
    more = [each for given in tries if given.startswith("paths=") for each in given[6:].split(",")]
    try:
        paths = [checked(each) for each in (path, *more)]
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from None
    return Probe(
        connection(connection_id), path, dict(map(_pair, query)), size_param,
        "sizes" in tries, tuple(paths[1:]), "auth" in tries,
    )  # fmt: skip


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"--query {text!r}: write name=value")
    return name, value


async def _ask(wishes: Probe) -> list[Reaction]:
    """Tells of each answer as it comes."""
    from airflow_datahub.cli.console import Console
    from airflow_datahub.probing import telling

    found = []
    async for reaction in wishes.reactions(Console("error")):
        _tell(wishes, telling.reaction(reaction))
        found.append(reaction)
    if found[-1].enough:
        print("the API wants a pause: nothing more is asked")
    return found


def _learnt(wishes: Probe, reactions: Sequence[Reaction]) -> Learnt:
    """The config of the step that reads the list. Raises ConfigurationError where the answer shows none."""
    from airflow_datahub.errors import ConfigurationError
    from airflow_datahub.probing import shape, telling
    from airflow_datahub.probing.asking import FEW, WAYS
    from airflow_datahub.probing.paging import Evidence

    good = [reaction for reaction in reactions if reaction.good]
    first = next((each for each in good if each.question.size == FEW), None)
    if first is None or first.answer is None:
        raise ConfigurationError(f"no answer to learn from; {reactions[0].failure}")
    if first.question.way:
        works = [way for way in WAYS if any(each.question.way == way for each in good)]
        print(f"authentication: {', '.join(works)}; for the extra: {dict(WAYS[works[0]])}")
    document = shape.document(first.answer)
    records = shape.records(document)
    _tell(wishes, telling.shape(records))
    evidence = Evidence(document, first.answer.headers, records, wishes.size_param, _sizes(first, good))
    proposal = evidence.proposal()
    _tell(wishes, telling.proposal(proposal))
    query: dict[str, Any] = {"query": dict(wishes.query)} if wishes.query else {}
    place = {"records": records.path} if records.path else {}
    config = {"connection": wishes.connection.id, "path": first.question.path, **query, **place}
    return {**config, "paging": dict(proposal.paging)}


def _sizes(first: Reaction, good: Sequence[Reaction]) -> dict[int, int]:
    """How many records came, by how many were asked for."""
    from airflow_datahub.probing import shape

    return {
        each.question.size: len(shape.records(shape.document(each.answer)).items)
        for each in good
        if each.answer and each.question.path == first.question.path
    }


def _propose(wishes: Probe, learnt: Learnt, path: Path | None) -> None:
    """Print the lines of a spec, and put them into one. Raises ConfigurationError."""
    from airflow_datahub.errors import ConfigurationError
    from airflow_datahub.probing.writing import Unsafe, block, written

    lines = block(learnt)
    _tell(wishes, lines.splitlines())
    if path is None:
        return
    if wishes.mask(lines) != lines:
        raise ConfigurationError(
            f"{path} stays as it is, as the lines above hold a secret: put it into the connection, and for one in the "
            'query {"auth": "api_key", "param": …} into its extra'
        )
    try:
        written(path, learnt)
    except Unsafe as error:
        raise ConfigurationError(f"{path} stays as it is; put the lines above into it by hand: {error}") from None
    print(f"written to {path}")
