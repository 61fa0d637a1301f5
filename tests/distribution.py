"""`make dist`: builds wheel and sdist, looks into them, installs the wheel in a fresh environment and uses it there.

python -m tests.distribution dist
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Sequence
from email.message import Message
from email.parser import Parser
from pathlib import Path

from tests.world import ROOT

PACKAGE = "airflow_datahub"
UV = str(Path(sys.executable).with_name("uv"))
EXAMPLES = ROOT / "dags" / "pipelines"
OTHERS = (
    "LICENSE", "README.md", "CHANGELOG.md", "Makefile", "pyproject.toml", "pipeline.schema.json", "requirements.txt",
    "docs/index.md", "docs/images/dag.png", "tests/conftest.py", "dags/pipelines/datasync_events.yaml",
    "plugins/datahub_adapters/transforms/reverse.py", "run-ingestion.sh", "docker-compose.yaml", "Dockerfile",
)  # fmt: skip
"""What the sdist holds beside the package, so that `make test` works in it."""


def build(folder: Path) -> tuple[Path, Path]:
    """The wheel, built from the sdist, and the sdist; nothing is fetched."""
    call([UV, "build", "--quiet", "--offline", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder])
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def sources() -> set[str]:
    """Every file of the package: all of them are needed at run time, whatever they are."""
    found = (path for path in (ROOT / PACKAGE).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)) for path in found}


def complaints(wheel: Path, sdist: Path) -> list[str]:
    """What is missing in them, or too much."""
    packed = names(wheel)
    code = {name for name in packed if ".dist-info/" not in name}
    told = [f"the wheel lacks {name}" for name in sorted(sources() - code)]
    told += [f"the wheel has {name}, which the source has not" for name in sorted(code - sources())]
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    told += [f"the sdist lacks {name}" for name in sorted({*OTHERS, *sources()} - inside)]
    return told + wrong_metadata(metadata(wheel))


def names(wheel: Path) -> set[str]:
    """The files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def read(wheel: Path, name: str) -> str:
    """A file of the wheel's own description."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (each for each in archive.namelist() if each.endswith(f".dist-info/{name}"))
        return archive.read(path).decode()


def metadata(wheel: Path) -> Message:
    """What a package index reads."""
    return Parser().parsestr(read(wheel, "METADATA"))


def wrong_metadata(found: Message) -> list[str]:
    """What a package index would not take, or a person miss."""
    told = [
        f"the metadata has no {name}" for name in ("Name", "Version", "Summary", "Requires-Python") if not found[name]
    ]
    if found["Description-Content-Type"] != "text/markdown" or "## A pipeline" not in str(found.get_payload()):
        told.append("the README is not in the metadata")
    if found["License-Expression"] != "Apache-2.0" or found.get_all("License-File") != ["LICENSE"]:
        told.append("the licence is not in the metadata")
    return told


def install(wheel: Path, folder: Path) -> tuple[float, float]:
    """A fresh environment with the wheel, its extra `demo` and the pinned dependencies, and the first lint; the seconds
    that took, and those of a processor."""
    began, used = time.monotonic(), processor()
    call([UV, "venv", "--quiet", "--python", sys.executable, folder / "venv"])
    call(
        [
            UV,
            "pip",
            "install",
            "--quiet",
            "--python",
            folder / "venv",
            "--constraint",
            ROOT / "requirements.txt",
            f"{wheel}[demo]",
        ]
    )
    run(folder, "airflow-datahub", "lint", EXAMPLES)
    return time.monotonic() - began, processor() - used


def processor() -> float:
    """Seconds that processors have worked for the programs that we have run."""
    of = resource.getrusage(resource.RUSAGE_CHILDREN)
    return of.ru_utime + of.ru_stime


def run(folder: Path, program: str, *arguments: str | Path) -> str:
    """Run a program of the fresh environment, in an empty folder; what it prints."""
    (place := folder / "place").mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    programs = folder / "venv" / "bin"
    environment |= {"AIRFLOW_HOME": str(place), "PATH": f"{programs}{os.pathsep}{environment['PATH']}"}
    return call([programs / program, *arguments], place, environment)


def call(command: Sequence[str | Path], place: Path = ROOT, environment: dict[str, str] | None = None) -> str:
    """What a command prints; the program ends with what it said where it fails."""
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def main(target: Path) -> None:
    """All of it; the exit code says whether it is good."""
    target.mkdir(exist_ok=True)
    for old in (*target.glob("*.whl"), *target.glob("*.tar.gz")):
        old.unlink()
    wheel, sdist = build(target)
    if told := complaints(wheel, sdist):
        sys.exit("\n".join(told))
    print(f"built: {wheel}, {sdist}")
    with tempfile.TemporaryDirectory(prefix="airflow-datahub-dist-") as name:
        folder = Path(name)
        seconds, worked = install(wheel, folder)
        print(f"installed in a fresh environment, all examples linted: {seconds:.0f} s, {worked:.0f} s of a processor")
        print(run(folder, "airflow-datahub", "--version").strip())
        for command in ("test", "plan"):
            run(folder, "airflow-datahub", command, EXAMPLES / "datasync_events.yaml")
        ran = run(folder, "airflow-datahub", "run", EXAMPLES / "try_it.yaml")
        assert '"cents":1250' in ran, ran
        run(folder, "python", "-m", "airflow_datahub.demo.servers", "airflow-datahub", "lint", EXAMPLES)
        for command in ("providers list", "plugins"):
            listed = run(folder, "airflow", *command.split(), "--output", "plain")
            assert PACKAGE in listed.replace("-", "_"), listed
        print("Airflow there knows the provider and the plugin")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
