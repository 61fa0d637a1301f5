"""sling at its best: its API sources need a paid token, so it reads the pages from a file of JSON lines.

    sling_file.py http://127.0.0.1:PORT KEY postgresql://…

Fetching is part of the time. Into a new table it does not fold keys that come twice, and it leaves times as text.
Prints `seconds rows`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

API, KEY, DSN = sys.argv[1:]


def binary() -> Path:
    """The program in the wheel."""
    spec = importlib.util.find_spec("sling_linux_amd64")
    assert spec
    assert spec.submodule_search_locations
    found = next(Path(spec.submodule_search_locations[0]).rglob("sling-linux-amd64"))
    found.chmod(0o755)
    return found


def fetch(path: Path) -> None:
    cursor = None
    with path.open("w") as file:
        while True:
            query = f"limit=10000&cursor={cursor}" if cursor else "limit=10000"
            with urlopen(Request(f"{API}/api/v1/events?{query}", headers={"X-API-Key": KEY})) as answer:
                page = json.load(answer)
            file.writelines(json.dumps(each, separators=(",", ":")) + "\n" for each in page["data"])
            cursor = page["nextCursor"]
            if not page["hasMore"]:
                return


def main() -> None:
    file = Path(os.environ["BENCH_FOLDER"], "events.jsonl")
    started = time.perf_counter()
    fetch(file)
    command = [
        str(binary()), "run", "--src-stream", f"file://{file}",
        "--src-options", '{"flatten": true, "format": "jsonlines", "columns": {"timestamp": "string"}}',
        "--tgt-conn", "BENCH", "--tgt-object", "public.events", "--mode", "incremental", "--primary-key", "id",
    ]  # fmt: skip
    environment = {**os.environ, "BENCH": f"{DSN}?sslmode=disable", "HOME": os.environ["BENCH_FOLDER"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    print(f"{time.perf_counter() - started:.4f} all")


if __name__ == "__main__":
    main()
