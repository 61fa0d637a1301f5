"""`airflow-datahub new`: a pipeline, an adapter or a package to begin with, which works as it is and has tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

application = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@application.callback()
def new() -> None:
    """Something to begin with, which works as it is and has tests. Nothing that is there is overwritten."""


@application.command()
def pipeline(
    name: Annotated[str, typer.Argument(help="Id of the pipeline, and the file's name.")],
    source: Annotated[str, typer.Option(help="The adapter to read from.")] = "inline",
    sink: Annotated[str, typer.Option(help="The adapter to write to.")] = "stdout",
    folder: Annotated[Path, typer.Option(help="The folder of specs.")] = Path("dags/pipelines"),
) -> None:
    """Write a spec with a test: FOLDER/NAME.yaml."""
    from airflow_datahub.cli import starters

    path = folder / f"{name}.yaml"
    with _wrong_calls():
        starters.check("pipeline", name)
        _write({path: starters.pipeline(name, source, sink)})
    print(f"next: airflow-datahub lint {path}; airflow-datahub test {path}; airflow-datahub preview {path}")


@application.command()
def adapter(
    kind: Annotated[str, typer.Argument(help="source, transform or sink.")],
    name: Annotated[str, typer.Argument(help="As specs will name it, and the file's name.")],
    plugins: Annotated[
        Path | None, typer.Option(help="The plugins folder; ./plugins if there is one, else Airflow's.")
    ] = None,
    tests: Annotated[Path, typer.Option(help="The folder of its tests.")] = Path("tests"),
) -> None:
    """Write an adapter of your own, PLUGINS/datahub_adapters/KINDs/NAME.py, and its tests."""
    from airflow_datahub.adapters import names
    from airflow_datahub.cli import starters
    from airflow_datahub.environment import plugins_folder

    folder = plugins or (Path("plugins") if Path("plugins").is_dir() else plugins_folder())
    with _wrong_calls():
        if kind not in starters.SINGULAR:
            raise starters.BadName(f"{kind!r} is no kind of adapter: there are {', '.join(starters.SINGULAR)}")
        starters.check("adapter", name)
        if name in names(starters.SINGULAR[kind]):
            raise starters.BadName(f"there is a {kind} {name!r} already (`airflow-datahub describe {name}`)")
        files = starters.adapter(starters.SINGULAR[kind], name, folder, tests)
        _write(files)
    print(f"next: python -m pytest {list(files)[1]}")
    if folder.resolve() != plugins_folder().resolve():
        print(f"Airflow looks into {plugins_folder()}: set AIRFLOW__CORE__PLUGINS_FOLDER={folder.resolve()}")


@application.command()
def package(
    name: Annotated[str, typer.Argument(help="Name of the distribution; its module has _ for -.")],
    folder: Annotated[Path | None, typer.Option(help="Where it goes; ./NAME by default.")] = None,
) -> None:
    """Write a Python package with an adapter of each kind, their entry points and tests."""
    from airflow_datahub.cli import starters

    place = folder or Path(name)
    with _wrong_calls():
        starters.check("package", name)
        _write(starters.package(name, place))
    print(f"next: cd {place}; pip install -e '.[test]'; pytest")


@contextmanager
def _wrong_calls() -> Iterator[None]:
    from airflow_datahub.adapters import AdapterNotFound
    from airflow_datahub.cli.starters import BadName

    try:
        yield
    except (BadName, AdapterNotFound) as error:
        raise typer.BadParameter(str(error)) from None


def _write(files: Mapping[Path, str]) -> None:
    """All of them, or none where one is there."""
    from airflow_datahub.errors import ConfigurationError

    if there := [path for path in files if path.exists()]:
        raise typer.BadParameter(f"{there[0]} is there already; nothing was written")
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
        print(f"written: {path}")
