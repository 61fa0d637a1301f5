"""`airflow-datahub revisions`, from the first run to going back."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from airflow_datahub.cli.application import application
from airflow_datahub.engine.revising import Desk
from airflow_datahub.errors import ConfigurationError, SpecError
from airflow_datahub.spec import load, loads
from airflow_datahub.state.store import Store

FORK = multiprocessing.get_context("fork")

SPEC = """# numbers of the shop
version: 1
description: {about}
steps:
  - {{key: extract, type: extract, adapter: inline, config: {{rows: [{{id: 1}}]}}}}
  - {{key: print, type: load, adapter: stdout, config: {{}}}}
"""

Call = Callable[..., str]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs a command in a folder of its own; what it printed. An error comes as it is."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("AIRFLOW_CONN_DATAHUB_STORE", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*words: str, stdin: str | None = None) -> str:
        done = CliRunner().invoke(application, words, input=stdin)
        if isinstance(done.exception, Exception):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def write(about: str, name: str = "numbers.yaml") -> str:
    """Write a spec; its revision."""
    Path(name).write_text(SPEC.format(about=about))
    return loads(SPEC.format(about=about), "numbers.yaml").revision


def rows(call: Call, *words: str) -> list[dict[str, Any]]:
    """What `list` says."""
    return [json.loads(line) for line in call("revisions", "list", *words, "--json").splitlines()]


def test_each_definition_that_ran_is_listed_and_the_one_of_the_file_marked(call: Call) -> None:
    old = write("old")
    call("run", "numbers.yaml")
    call("run", "numbers.yaml")
    new = write("new")
    call("run", "numbers.yaml")
    newer, older = rows(call, "numbers.yaml")
    assert (newer["revision"], newer["runs"], newer["in_file"]) == (new, 1, True)
    assert (older["revision"], older["runs"], older["in_file"]) == (old, 2, False)
    assert older["first_run"].startswith("cli__")
    assert rows(call) == [row | {"in_file": False} for row in (newer, older)], "without a file nothing is marked"
    shown = call("revisions", "list", "numbers.yaml").splitlines()
    assert shown[0] == "numbers:"
    assert shown[1].startswith(f"* {new[:12]}  ")
    assert shown[2].startswith(f"  {old[:12]}  ")
    assert "2 runs, first cli__" in shown[2]


def test_a_pipeline_that_never_ran_has_none(call: Call) -> None:
    write("new")
    assert call("revisions", "list", "numbers.yaml") == "numbers:\n  none yet\n"
    assert call("revisions", "list", "numbers.yaml", "--json") == ""
    with pytest.raises(ConfigurationError, match="there is no revision: the store has none of pipeline 'numbers'"):
        call("revisions", "show", "numbers.yaml")


def test_texts_are_shown_as_they_are_and_compared(call: Call) -> None:
    old = write("old")
    call("run", "numbers.yaml")
    assert call("revisions", "show", "numbers.yaml") == SPEC.format(about="old")
    assert call("revisions", "diff", "numbers.yaml") == "no difference\n"
    write("new")
    assert call("revisions", "diff", "numbers.yaml").splitlines() == [
        f"--- numbers.yaml@{old[:12]}", "+++ numbers.yaml", "@@ -1,6 +1,6 @@", " # numbers of the shop", " version: 1",
        "-description: old", "+description: new", " steps:", *(f" {line}" for line in SPEC.format(about="")
        .replace("{{", "{").splitlines()[4:]),
    ]  # fmt: skip
    back = call("revisions", "diff", "numbers.yaml", "file", old[:6])
    assert "-description: new\n+description: old\n" in back
    assert json.loads(call("revisions", "diff", "numbers.yaml", "file", old, "--json"))["diff"] == back
    assert json.loads(call("revisions", "show", "numbers.yaml", old[:5], "--json"))["text"] == SPEC.format(about="old")


@pytest.mark.parametrize(("name", "said"), [("zz", "no revision begins with 'zz'"), ("", "several revisions begin")])
def test_a_name_of_none_or_of_several_is_refused_with_those_there_are(call: Call, name: str, said: str) -> None:
    for about in ("old", "new"):
        revision = write(about)
        call("run", "numbers.yaml")
    with pytest.raises(ConfigurationError, match=f"{said}.*{revision[:12]}"):
        call("revisions", "show", "numbers.yaml", name)


def test_a_draft_is_looked_at_and_published(call: Call) -> None:
    old = write("old")
    Path("numbers.yaml").chmod(0o640)
    new = write("new", "edited.yaml")
    said = call("revisions", "draft", "numbers.yaml", "edited.yaml", "--note", "a better text")
    assert f"airflow-datahub revisions publish numbers.yaml {new[:12]}" in said
    assert load(Path("numbers.yaml")).revision == old, "a draft deploys nothing"
    (row,) = rows(call, "numbers.yaml")
    assert (row["state"], row["note"], row["in_file"]) == ("draft", "a better text", False)
    assert "draft by" in call("revisions", "list", "numbers.yaml")
    call("revisions", "publish", "numbers.yaml")
    assert Path("numbers.yaml").read_text() == SPEC.format(about="new")
    assert stat.S_IMODE(Path("numbers.yaml").stat().st_mode) == 0o640
    published, kept = rows(call, "numbers.yaml")
    assert (published["revision"], published["state"], published["note"]) == (new, "deployed", "a better text")
    assert (published["in_file"], bool(published["author"])) == (True, True)
    assert (kept["revision"], kept["runs"]) == (old, 0), "what was replaced is kept, though it never ran"
    with Store.open() as store:
        assert [row.act for row in store.audits("numbers")] == ["revisions publish", "revisions draft"]
    assert sorted(path.name for path in Path().iterdir()) == ["edited.yaml", "home", "numbers.yaml"]


def test_a_draft_comes_from_standard_input_and_goes(call: Call) -> None:
    write("old")
    call("revisions", "draft", "numbers.yaml", "-", stdin=SPEC.format(about="new"))
    (row,) = rows(call, "numbers.yaml")
    call("revisions", "draft", "numbers.yaml", "--forget", row["revision"][:6])
    assert rows(call, "numbers.yaml") == []
    with pytest.raises(ConfigurationError, match="there is no draft"):
        call("revisions", "publish", "numbers.yaml")


def test_a_draft_with_mistakes_is_refused_with_all_of_them(call: Call) -> None:
    write("old")
    Path("edited.yaml").write_text(SPEC.format(about="x").replace("tion", "toin"))
    with pytest.raises(SpecError, match=r"edited\.yaml:3:1: .*'descriptoin'"):
        call("revisions", "draft", "numbers.yaml", "edited.yaml")
    with pytest.raises(ConfigurationError, match="has this text already"):
        call("revisions", "draft", "numbers.yaml", "numbers.yaml")


def test_a_file_that_changed_since_the_draft_is_not_overwritten(call: Call) -> None:
    write("old")
    call("revisions", "draft", "numbers.yaml", "-", stdin=SPEC.format(about="new"))
    other = write("somebody else's")
    with pytest.raises(ConfigurationError, match=r"has changed since the draft .* diff numbers.yaml file .*--force"):
        call("revisions", "publish", "numbers.yaml")
    assert Path("numbers.yaml").read_text() == SPEC.format(about="somebody else's")
    Path("numbers.yaml").write_text("# a comment counts, too\n" + SPEC.format(about="old"))
    with pytest.raises(ConfigurationError, match="has changed since the draft"):
        call("revisions", "publish", "numbers.yaml")
    write("somebody else's")
    call("revisions", "publish", "numbers.yaml", "--force")
    assert "# numbers of the shop" in Path("numbers.yaml").read_text()
    assert call("revisions", "show", "numbers.yaml", other) == SPEC.format(about="somebody else's")
    write("somebody else's")
    call("revisions", "draft", "numbers.yaml", "-", stdin=SPEC.format(about="new"))
    call("revisions", "publish", "numbers.yaml")


def test_going_back(call: Call) -> None:
    old = write("old")
    call("run", "numbers.yaml")
    new = write("new")
    assert f"has revision {old[:12]} now" in call("revisions", "revert", "numbers.yaml", old[:8])
    assert load(Path("numbers.yaml")).revision == old
    assert "has that text already" in call("revisions", "revert", "numbers.yaml", old)
    assert json.loads(call("revisions", "revert", "numbers.yaml", new, "--json")) == {
        "file": "numbers.yaml", "revision": new, "written": True
    }  # fmt: skip
    with Store.open() as store:
        assert f"{old[:12]} into numbers.yaml, which had {new[:12]}" in [row.detail for row in store.audits("numbers")]


def test_a_file_that_is_gone_or_wrong_comes_back(call: Call) -> None:
    old = write("old")
    call("run", "numbers.yaml")
    Path("numbers.yaml").unlink()
    call("revisions", "revert", "numbers.yaml", old)
    Path("numbers.yaml").write_text("version: 1\nmy work of a whole day")
    with pytest.raises(ConfigurationError, match=r"has mistakes .* would be lost: .* --force"):
        call("revisions", "revert", "numbers.yaml", old)
    assert "my work" in Path("numbers.yaml").read_text()
    call("revisions", "revert", "numbers.yaml", old, "--force")
    assert load(Path("numbers.yaml")).revision == old


def test_a_link_stays_one_and_a_folder_that_cannot_be_written_is_named(call: Call, tmp_path: Path) -> None:
    old = write("old")
    call("run", "numbers.yaml")
    write("new")
    Path("real").mkdir()
    Path("numbers.yaml").rename("real/numbers.yaml")
    Path("numbers.yaml").symlink_to("real/numbers.yaml")
    call("revisions", "revert", "numbers.yaml", old)
    assert Path("numbers.yaml").is_symlink()
    assert load(Path("real/numbers.yaml")).revision == old
    with pytest.raises(ConfigurationError, match=r"nowhere/numbers\.yaml cannot be written: No such file"):
        call("revisions", "revert", "nowhere/numbers.yaml", old)


def test_a_text_that_this_release_refuses_is_not_published(call: Call) -> None:
    with Store.open() as store:
        store.begin("numbers", "run-1", "4f2a" * 16, "cli", "version: 1\ncolour: red\n")
    with pytest.raises(SpecError, match=r"numbers\.yaml@4f2a4f2a4f2a:2:1"):
        call("revisions", "revert", "numbers.yaml", "4f2a")
    assert not Path("numbers.yaml").exists()


def test_of_many_who_publish_at_once_one_wins(call: Call) -> None:
    """Each has a draft of the same file; whoever comes second is told."""
    write("old")
    revisions = []
    for number in range(6):
        text = SPEC.format(about=f"by {number}")
        call("revisions", "draft", "numbers.yaml", "-", stdin=text)
        revisions.append(loads(text, "numbers.yaml").revision)

    def work(number: int, together: Barrier) -> None:
        together.wait(30)
        with Store.open() as store:
            desk = Desk(Path("numbers.yaml"), store, f"person {number}")
            try:
                desk.publish(desk.named(revisions[number]))
            except ConfigurationError:
                os._exit(7)

    together = FORK.Barrier(6)
    children = [FORK.Process(target=work, args=(number, together)) for number in range(6)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    codes = [child.exitcode for child in children]
    assert sorted(codes) == [0, 7, 7, 7, 7, 7]  # type: ignore[type-var]
    assert load(Path("numbers.yaml")).revision == revisions[codes.index(0)]
    assert sum(row["state"] == "draft" for row in rows(call, "numbers.yaml")) == 5


def test_a_wrong_call_says_so(call: Call) -> None:
    write("old")
    for words in (
        ["show", "."],
        ["show", "numbers"],
        ["draft", "numbers.yaml"],
        ["draft", "numbers.yaml", "gone.yaml"],
    ):
        with pytest.raises(AssertionError, match="Invalid value"):
            call("revisions", *words)
