"""`notify` is checked against the notifiers that are installed, without importing one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest

from airflow_datahub.spec import Pipeline
from airflow_datahub.spec.signatures import signature_of

SMTP = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
STEPS = """steps:
- {key: e, type: extract, adapter: inline, config: {rows: []}}
- {key: l, type: load, adapter: stdout}
"""
HOURLY = 'schedule: "@hourly"\n'


def text(notify: str, head: str = HOURLY) -> str:
    """A spec with that `notify`, in its second line."""
    return f"version: 1\nnotify: {notify}\n{head}{STEPS}"


def test_what_is_right(right: Callable[..., Pipeline]) -> None:
    failure = f"{{{SMTP}: {{to: me@example.com, subject: '{{{{ dag_run.dag_id }}}}'}}}}"
    retry = "'tests.notices:Written', {'tests.notices:Written': {file: x}}"
    given = text(f"{{failure: [{failure}], silence: 2d, retry: [{retry}]}}")
    notify = right(given.removeprefix("version: 1\n")).notify
    assert (notify.silence, notify.success) == (timedelta(days=2), ())
    made = [(notice.path, dict(notice.fields)) for notice in (*notify.failure, *notify.retry)]
    assert made == [
        (SMTP, {"to": "me@example.com", "subject": "{{ dag_run.dag_id }}"}),
        ("tests.notices:Written", {}),
        ("tests.notices:Written", {"file": "x"}),
    ]


@pytest.mark.parametrize(
    ("notify", "message"),
    [
        ("{failure: [airflow.providers.smpt.x.Y]}", "2:20: there is no module 'airflow.providers.smpt' here; "),
        (
            "{failure: ['tests.notices:Writen']}",
            "2:20: the module 'tests.notices' has no 'Writen'; did you",
        ),
        ("{failure: [{'tests.notices:Written': {fle: x}}]}", "2:47: 'tests.notices:Written' takes no 'fle'; did you"),
        ("{failure: ['tests.notices:Needing']}", "2:20: 'tests.notices:Needing' must be given 'what'"),
        ("{failure: [nothing]}", "2:20: 'failure[0]' wants the import path of a notifier, or {import path: "),
        ("{failure: [{a.B: 1}]}", "2:20: 'failure[0]' wants the import path of a notifier"),
        ("{failure: [{a.B: {}, c.D: {}}]}", "2:20: 'failure[0]' wants the import path of a notifier"),
        ("{failur: []}", "2:10: no field 'failur'; did you mean"),
        ("{silence: 2d}", "2:10: 'silence' tells the notifiers of 'failure', and there are none"),
        ("{silence: soon}", "2:19: 'silence' wants a duration"),
    ],
)
def test_what_is_wrong(wrong: Callable[..., list[str]], notify: str, message: str) -> None:
    (found,) = wrong(text(notify))
    assert found.startswith(message), found


@pytest.mark.parametrize("secret", ["hunter22", "${NOWHERE:-x}", "12345"])
@pytest.mark.parametrize("field", ["token: {}", "nested: {{smtp_password: {}}}", "webhook_url: {}"])
def test_a_secret_is_not_written_out(wrong: Callable[..., list[str]], secret: str, field: str) -> None:
    (found,) = wrong(text(f"{{failure: [{{'tests.notices:Open': {{{field.format(repr(secret))}}}}}]}}"))
    assert "is a secret; name a connection, or write a template" in found
    assert secret not in found


def test_a_template_or_a_connection_is_no_secret(right: Callable[..., Pipeline]) -> None:
    fields = "{token: '{{ conn.x.password }}', slack_conn_id: slack, token_conn_id: x, password: null}"
    right(text(f"{{failure: [{{'tests.notices:Open': {fields}}}]}}").removeprefix("version: 1\n"))


def test_silence_without_a_schedule_would_never_be_noticed(wrong: Callable[..., list[str]]) -> None:
    (found,) = wrong(text("{failure: ['tests.notices:Written'], silence: 2d}", head=""))
    assert found == "2:46: 'silence' needs a schedule: it is looked at by runs"


def test_nothing_is_imported_to_look_at_a_notifier() -> None:
    code = f"""
import sys, airflow_datahub.spec
from airflow_datahub.spec.signatures import signature_of
found = signature_of({SMTP!r})
print('to' in found.names, [name for name in sys.modules if name.partition('.')[0] == 'airflow'])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "True []\n", run.stdout + run.stderr


@pytest.mark.parametrize(
    "path", ["json:JSONDecoder", "_struct.Struct", "tests.notices.Renamed", "tests.notices:Inherited"]
)
def test_what_its_source_does_not_tell_may_take_anything(path: str) -> None:
    assert signature_of(path) is None
