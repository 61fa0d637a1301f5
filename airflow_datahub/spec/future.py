"""Words of the grammar that this version knows and does not act on. Each is deleted here once it acts.

An adapter that exists as a file needs no deletion: the file wins.
"""

from __future__ import annotations

from typing import Any

NOW = "this version starts pipelines by schedule or by hand, and ends them with load steps"

WORDS: dict[str, dict[str, tuple[Any, str]]] = {
    "pipeline": {
        "catchup": (False, "runs of the past are not made up for"),
        "intervals": (False, "sources are read by cursor"),
        "triggers": ([], NOW),
    },
    "step": {},
}
"""By place: word, the value that changes nothing, and what holds instead."""

STEP_TYPES = ("export", "feed", "sink")

ADAPTERS: dict[str, str] = {
    "sources": """http_api graphql web git s3 gcs gdrive file sftp ftp sql cdc rabbitmq sqs redis_stream webhook inline
        generator grpc_plugin rejects""",
    "transforms": """set copy rename remove map template hash uuid pick omit default coalesce nest flatten_keys mask
        encrypt
        decrypt trim uppercase lowercase titlecase slugify split join concat replace extract_regex replace_regex
        strip_html truncate pad normalize_unicode math to_number to_string to_boolean parse_number format_number round
        to_minor_units from_minor_units convert_unit convert_currency parse_date format_date date_add date_diff now
        timezone filter if_else switch delta ensure parse_json stringify_json jmespath count unique flatten first last
        explode sort_list group deduplicate aggregate sort sample window pivot unpivot lookup http_lookup sql_lookup
        reference require match_format validate_schema image_resize image_convert html_to_markdown pdf_render
        expression python""",
    "sinks": """postgres sql http_api graphql vendure_product vendure_customer file s3 gcs gdrive sftp ftp email
        elasticsearch opensearch meilisearch algolia typesense rabbitmq sqs redis_stream webhook stdout""",
}


def not_yet(what: str, instead: str = NOW) -> str:
    """The text for something that the grammar has and this version does not."""
    return f"{what} does not yet act: {instead}"


def changes_nothing(place: str, word: str, value: Any) -> bool:
    """Whether a word of the future is given its default, written out."""
    default = WORDS[place][word][0]
    return value is None or (type(value) is type(default) and value == default)
