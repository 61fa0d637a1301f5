"""Everything that is wrong with a spec is said at once, each at its line and column."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_datahub.errors import SpecError
from airflow_datahub.spec import Pipeline, loads

Wrong = Callable[..., list[str]]

MANY = """version: 2
id: other
descripton: x
schedule: "61 * * * *"
timezone: Europe/Berlinn
retries: many
retry_delay: 5 minutes
timeout: 0s
tags: [a, 5]
rejects: {max: 200%}
expect: {min_record: 1}
throughput: {batch_size: 0}
params:
  since: {type: strin, format: datetime}
  n: {type: integer, default: x}
  "bad name": 1
steps:
  - key: Extract
    type: extract
    adapter: inlin
  - key: tidy
    type: transfrom
  - key: t
    type: transform
    retries: -1
    operators:
      - tests.spec.spec_adapters:Move: {from: a}
      - tests.spec.spec_adapters:Move: {form: a, to: b, on_error: explode}
      - tests.spec.spec_adapters:Move: [a, b]
      - nope: {}
      - a
      - {a: 1, b: 2}
  - key: load
    type: load
    adapter: tests.spec.spec_adapters:Table
    config:
      tabel: x
      strategy: inserts
      columns: {a: {typ: text}, b: 5, c: text}
  - 5
tests:
  - name: x
    given: {extrakt: [1]}
    rejects: [{step: lod}]
"""


def test_everything_at_once(wrong: Wrong) -> None:
    assert wrong(MANY) == [
        "1:10: 'version' wants 1, not 2",
        "2:5: 'id' is 'other', the file's name says 'p'; make them equal or omit it",
        "3:1: no field 'descripton'; did you mean 'description'?",
        "4:11: 'schedule' wants a cron text of five fields: minute, hour, day, month, weekday, not '61 * * * *'",
        "5:11: 'timezone' wants a time zone such as Europe/Paris, not 'Europe/Berlinn'; did you mean 'Europe/Berlin'?",
        "6:10: 'retries' wants a whole number, not 'many'",
        "7:14: 'retry_delay' wants a duration such as 30s, 5m, 2h or 1d, not '5 minutes'",
        "8:10: 'timeout' wants a duration above 0s, not '0s'",
        "9:11: 'tags[1]' wants text, not 5",
        "10:16: 'max' wants a share such as 1%, at most 100%, or a count of records, not '200%'",
        "11:10: no field 'min_record'; did you mean 'min_records'?",
        "12:26: 'batch_size' wants at least 1, not 0",
        "14:17: param 'since' has no type 'strin'; there are string, integer, number, boolean, null, object, array",
        "14:32: no format 'datetime'; did you mean 'date-time'?",
        "15:31: the default of param 'n' wants integer, not 'x'; a pipeline with a schedule needs one that fits",
        "16:3: a param is named as in Python, unlike 'bad name'",
        "18:10: 'key' wants a name such as load_events: a small letter, then small letters, digits and _, not 'Extract'",  # noqa: E501
        "20:14: no source 'inlin'; did you mean 'inline'?",
        "22:11: no step type 'transfrom'; did you mean 'transform'?",
        "25:14: 'retries' wants at least 0, not -1",
        "27:40: 'to' is missing",
        "28:41: no field 'form'; did you mean 'from'?",
        "28:67: 'on_error' wants 'reject', 'drop', 'flag' or 'stop', not 'explode'",
        "29:40: 'tests.spec.spec_adapters:Move' wants a mapping of its fields, not a list",
        "30:9: no transform 'nope'",
        "31:9: an operator wants a mapping of one name, such as rename: {from: a, to: b}, not 'a'",
        "32:9: an operator wants a mapping of one name, such as rename: {from: a, to: b}, not of 2",
        "37:7: no field 'tabel'; did you mean 'table'?",
        "38:17: 'strategy' wants 'insert' or 'upsert', not 'inserts'; did you mean 'insert'?",
        "39:21: no field 'typ'; did you mean 'type'?",
        "39:36: 'b' wants text or a mapping, not 5",
        "40:5: a step wants a mapping of key, type and more, not 5",
        "43:13: no step 'extrakt'; did you mean 'Extract'?",
        "43:23: 'extrakt[0]' wants a mapping, not 1",
        "44:22: no step 'lod'; did you mean 'load'?",
    ]


def steps(*lines: str) -> str:
    return "version: 1\nsteps:\n" + "".join(f"  - {line}\n" for line in lines)


EXTRACT = "{key: extract, type: extract, adapter: inline, config: {rows: []}}"
LOAD = "{key: load, type: load, adapter: stdout}"
OTHERS = "tests.spec.spec_adapters"


def unmarked(text: str) -> tuple[str, set[str]]:
    """The text without its marks ¦, and the `line:col` of each."""
    places = set()
    while "¦" in text:
        before, text = text.split("¦", 1)
        places.add(f"{before.count(chr(10)) + 1}:{len(before) - (before.rfind(chr(10)) + 1) + 1}")
        text = before + text
    return text, places


def begins_with(found: list[str], text: str) -> bool:
    return any(each.partition(": ")[2].startswith(text) for each in found)


def extract(rest: str) -> str:
    return steps(f"{{key: e, type: extract, {rest}}}", LOAD)


def operators(rest: str) -> str:
    return steps(EXTRACT, f"{{key: t, type: transform, {rest}}}", LOAD)


def head(text: str) -> str:
    return f"version: 1\n{text}\nsteps: [{EXTRACT}, {LOAD}]\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("¦{}", ["'version' is missing: Version of the grammar", "'steps' wants a list"]),
        ("¦version: 1", ["'steps' wants a list: an extract step, transforms, a load step"]),
        ("version: 1\nsteps: ¦{}", ["'steps' wants a list"]),
        ("version: 1\nsteps: ¦[]", ["'steps' wants a list"]),
        ("¦version: ¦'1'", ["'version' wants 1, the version of the grammar, not '1'", "'steps'"]),
        ("¦version: ¦true", ["'version' wants 1", "'steps'"]),
        ("¦version:¦", ["'version' wants 1, the version of the grammar, not null", "'steps'"]),
        (steps("¦{type: extract, adapter: inline, config: {rows: []}}", LOAD), ["'key' is missing: The step's name"]),
        (steps("¦{key: e, adapter: inline}", LOAD), ["'type' is missing: one of extract, transform, validate"]),
        (steps("¦{key: e, type: extract}", LOAD), ["'adapter' is missing"]),
        (extract("adapter: ¦5"), ["'adapter' wants text, not 5"]),
        (extract("adapter: ¦''"), ["'adapter' wants text of at least 1 character"]),
        (steps("¦{key: e, type: extract, adapter: inline}", LOAD), ["'rows' is missing: The records, in order"]),
        (extract("adapter: inline, config: ¦"), ["'rows' is missing"]),
        (extract("adapter: inline, config: ¦5"), ["'config' wants a mapping, not 5"]),
        (extract("adapter: ¦'no_such.module:X'"), ["'no_such.module:X' cannot be"]),
        (extract("adapter: ¦':X'"), ["the source ':X' cannot be imported: ValueError"]),
        (extract(f"adapter: ¦'{OTHERS}:Table'"), [f"'{OTHERS}:Table' is not a Source"]),
        (extract("adapter: inline, config: {rows: []}, ¦source: x"), ["no field 'source'"]),
        (extract("adapter: inline, config: {rows: []}, on_error: ¦flag"), ["'on_error' wants 'reject', 'drop' or"]),
        (operators("¦operatrs: []").replace("{key: t", "¦{key: t"), ["no field 'operatrs'; did you", "'operators'"]),
        (operators("operators: ¦x"), ["'operators' wants a list such as"]),
        (operators(f"operators: [{{'{OTHERS}:Move': ¦}}]"), ["'from' is missing: The field", "'to' is missing"]),
        (operators(f"operators: [{{'{OTHERS}:Move': ¦{{¦origin: a, to: b}}}}]"), ["no field 'origin'", "'from' is"]),
        (operators(f"operators: [{{'{OTHERS}:Broken': ¦{{field: x}}}}]"), [f"'{OTHERS}:Broken' cannot be checked"]),
        (steps(EXTRACT, EXTRACT.replace("type: ", "type: ¦").replace("key: extract", "key: second"), LOAD),
         ["a second extract step wants `edges`"]),
        (steps(EXTRACT, EXTRACT.replace("type: ", "type: ¦").replace("key: ", "key: ¦"), LOAD),
         ["the key 'extract' is taken, by the step in line 3", "a second extract step wants `edges`"]),
        ("version: 1\nsteps:\n  ¦- " + EXTRACT, ["a pipeline ends with a load step, and there is none"]),
        ("version: 1\nsteps: ¦[" + LOAD + "]", ["a pipeline begins with an extract step, and there is none"]),
        (steps(LOAD.replace("type: ", "type: ¦"), EXTRACT.replace("type: ", "type: ¦")),
         ["nothing can follow a load step: put it last", "put the extract step first"]),
        (steps(EXTRACT, "{key: first, type: ¦load, adapter: stdout}", LOAD),
         ["nothing can follow a load step: put it last"]),
        (head("expect: ¦5"), ["'expect' wants a mapping, not 5"]),
        (head("priority: ¦true"), ["'priority' wants a whole number, not true"]),
        (head("start_date: ¦5"), ["'start_date' wants a date such as 2024-01-31"]),
        (head("start_date: ¦2024-02-30"), ["'start_date' wants a date such as 2024-01-31"]),
        (head("¦text: x\n¦file: y\n¦revision: z"), ["no field 'text'", "no field 'file'", "no field 'revision'"]),
        (head("schedule: {¦evry: 15m}"), ["no field 'evry'; did you mean 'every'?"]),
        (head("schedule: {every: ¦0s}"), ["'every' wants a duration above 0s, not '0s'"]),
        (head("schedule: ['0 0 * * *', ¦x]"), ["'schedule[1]' wants a cron text of five fields"]),
        (head("schedule: ¦'@hurly'"), ["'schedule' wants a cron text, a list of them, {every: 15m} or one of @hourly"]),
        (head("schedule: ¦5"), ["'schedule' wants a cron text, a list of them, {every: 15m} or one of @hourly"]),
        (head("schedule: ¦0 0 30 2 *"), ["'schedule' wants a cron text"]),
        (head("schedule: ¦0 0 0 * * *"), ["'schedule' wants a cron text of five fields"]),
        (head("schedule: ¦[]"), ["'schedule' wants a list of at least 1, not a list"]),
        (head("timezone: ¦/etc/passwd"), ["'timezone' wants a time zone such as Europe/Paris, not '/etc/passwd'"]),
        (head("timezone: ¦Europe"), ["'timezone' wants a time zone such as Europe/Paris, not 'Europe'"]),
        (head(f"timezone: ¦{'x' * 5000}"), ["'timezone' wants a time zone such as Europe/Paris, not 'xxx"]),
        (head("params: ¦[]"), ["'params' wants a mapping, not a list"]),
        (head("retry_delay: ¦99999999d"), ["'retry_delay' wants a duration such as 30s, 5m, 2h or 1d"]),
        (head("id: ¦[p]"), ["'id' wants text, not a list"]),
        (head("tests: ¦{}"), ["'tests' wants a list, not a mapping"]),
    ],
)  # fmt: skip
def test_one_mistake(wrong: Wrong, text: str, expected: list[str]) -> None:
    text, places = unmarked(text)
    found = wrong(text)
    assert {each.partition(": ")[0] for each in found} == places, found
    assert len(found) == len(expected), found
    assert all(begins_with(found, message) for message in expected), found


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("{path: a, paging: ¦{type: curser, param: x}}", ["'paging' wants 'type' to be one of 'cursor', 'page'"]),
        ("{path: a, paging: ¦{type: cursor, param: ¦5}}", ["'param' wants text, not 5", "'cursor' is missing: Where"]),
        ("{path: a, paging: {type: cursor, cursor: a, ¦prm: 5}}", ["no field 'prm'; did you mean 'param'?"]),
        ("{path: a, paging: {type: cursor, cursor: ¦{a: b}}}", ["'cursor' wants text, not a mapping"]),
        ("{path: a, limit: ¦101}", ["'limit' wants at most 100, not 101"]),
        ("{path: a, token: ¦abc}", ["'token' is a secret; put it into an Airflow connection"]),
        ("{path: a, records: ¦'{{ params.a }}'}", ["'records' is not rendered: '{{ … }}' does not act in this field"]),
        ("{path: ¦'{{ params.a '}", ["'path': the template is wrong: "]),
        ("{path: ¦'{{ parms.a }}'}", ["'path': a template knows no 'parms'; did you mean 'params'?"]),
        ("{path: ¦'{{ params.sinc }}'}", ["'path': no param 'sinc'; did you mean 'since'?"]),
        ("{path: ¦'{{ params.since | nofilter }}'}", ["'path': the template is wrong: No filter named 'nofilter'"]),
        (
            "{path: a, query: {b: [¦'{{ partition.key }}']}}",
            ["'b[0]': a template knows 'partition' where the extract step has"],
        ),
    ],
)
def test_fields_of_an_adapter(wrong: Wrong, config: str, expected: list[str]) -> None:
    text, places = unmarked(extract(f"adapter: '{OTHERS}:Paged', config: {config}") + "params: {since: 5}\n")
    found = wrong(text)
    assert {each.partition(": ")[0] for each in found} == places, found
    assert len(found) == len(expected), found
    assert all(begins_with(found, message) for message in expected), found


def test_templates_that_are_right() -> None:
    config = "{path: '/{{ params.since | default(run_id) }}', query: {a: '{{ params.get(\"since\") }}'}}"
    loads(extract(f"adapter: '{OTHERS}:Paged', config: {config}") + "params: {since: 5}\n", "p.yaml", {})


def test_templates_in_data_and_descriptions_are_data(right: Callable[..., Pipeline]) -> None:
    rows = '[{a: "{{ x }}", b: "{% y"}]'
    pipeline = right(
        f"description: 'see {{{{ x }}}}'\nsteps:\n- {EXTRACT.replace('[]', rows)}\n- {LOAD}\n"
        f"tests: [{{name: t, given: {{extract: {rows}}}, expect: {{}}}}]\n"
    )
    assert pipeline.extract.source.model_dump()["rows"] == [{"a": "{{ x }}", "b": "{% y"}]


def test_templates_in_settings_do_not_act(wrong: Wrong) -> None:
    text, places = unmarked(
        steps(EXTRACT.replace("type", "pool: ¦'{{ a }}', type"), LOAD) + "owner: ¦'{{ params.a }}'\n"
    )
    found = wrong(text)
    assert {each.partition(": ")[0] for each in found} == places
    assert all("is not rendered" in each for each in found)


def test_a_value_from_the_environment_is_not_shown(wrong: Wrong) -> None:
    environ = {"SECRET": "hunter2-hunter2"}
    found = wrong(steps(EXTRACT, LOAD) + "retries: ${SECRET}\nschedule: ${SECRET}\ntimezone: ${SECRET}\n", environ)
    assert len(found) == 3
    assert "hunter2" not in str(found)
    assert found[0] == "5:10: 'retries' wants a whole number, not '${SECRET}'"


def test_a_missing_variable_is_the_only_problem_of_its_field(wrong: Wrong) -> None:
    found = wrong(steps(EXTRACT, LOAD) + "retries: ${N}\n")
    assert found == ["5:10: the environment variable 'N' is not set; set it or write a default: ${N:-…}"]


def test_long_values_are_cut(wrong: Wrong) -> None:
    (found,) = wrong(steps(EXTRACT, LOAD) + f"retries: {'x' * 5000}\n")
    assert len(found) < 160


def test_two_pools_in_one_stage(wrong: Wrong) -> None:
    text = steps(EXTRACT.replace("type", "pool: a, type"), LOAD.replace("type", "pool: b, type"))
    assert wrong(text) == ["4:23: 'pool' is 'b' here and 'a' in step 'extract'; they run in one task"]


def test_parallel_runs_over_one_cursor(wrong: Wrong, right: Callable[..., Pipeline]) -> None:
    table = LOAD.replace("stdout", "'tests.spec.spec_adapters:Table', config: {table: t}")
    (found,) = wrong(steps(EXTRACT, table) + "max_active_runs: 2\n")
    assert found.startswith("5:18: 'max_active_runs' above 1 lets runs share one position")
    assert right("max_active_runs: 2\n").max_active_runs == 2


def test_keys_too_long_for_a_task(wrong: Wrong) -> None:
    extract, load = EXTRACT.replace("extract", "e" * 100, 1), LOAD.replace("load", "l" * 100, 1)
    middle = f"{{key: {'t' * 100}, type: transform, operators: []}}"
    (found,) = wrong(steps(extract, middle, load))
    assert "longer than 250" in found


def test_the_name_of_the_file_gives_the_id() -> None:
    text = steps(EXTRACT, LOAD)
    assert loads(text, "folder/events.v2.yaml", {}).id == "events"
    for name in ("my events.yaml", ".yaml", "ü.yaml", "x" * 201 + ".yaml"):
        with pytest.raises(SpecError, match="1:1: the file's name gives the id"):
            loads(text, name, {})


def test_the_text_of_the_error_is_one_bare_line_a_problem() -> None:
    with pytest.raises(SpecError) as caught:
        loads("version: 2\nretries: x\n", "p.yaml", {})
    assert str(caught.value).splitlines() == ["3 problems in p.yaml", *map(str, caught.value.problems)]


def test_tests_of_a_spec(wrong: Wrong) -> None:
    text, places = unmarked(
        operators(f"operators: [{{'{OTHERS}:Move': {{from: a, to: b}}}}]")
        + "params: {n: {type: integer, default: 1}}\n"
        + "tests:\n"
        + "- {name: a, given: {extract: [{}]}, expect: {}, params: {¦m: 1}}\n"
        + "- {name: ¦a, given: {extract: [{}]}, expect: {¦lod: []}, params: {n: ¦x}}\n"
        + "- {name: b, given: {extract: [{}]}, rejects: [{step: t, operator: ¦mov}, {step: ¦x}], now: ¦soon}\n"
        + "- ¦{name: c, given: {extract: ¦{}}}\n"
        + "- ¦{given: {}, expect: {}}\n"
        + "- ¦5\n"
    )
    assert {each.partition(": ")[0] for each in wrong(text)} == places
