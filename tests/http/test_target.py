from __future__ import annotations

import base64
from typing import Any

import pytest

from airflow_datahub.contract import Connection
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.extra import Extra, extra_of
from airflow_datahub.http.target import target_of
from airflow_datahub.masking import Mask

SECRET = "s3cr3t/key+1"


def http(host: str | None = "https://api.example.com", **fields: Any) -> Connection:
    return Connection("api", fields.pop("type", "http"), host, **fields)


@pytest.mark.parametrize(
    ("connection", "base"),
    [
        (http(), "https://api.example.com:443"),
        (http("https://api.example.com/v1/", extra={"base_path": "/x/"}), "https://api.example.com:443/v1/x"),
        (http("api.example.com"), "http://api.example.com:80"),
        (http("api.example.com", type="https"), "https://api.example.com:443"),
        (http("api.example.com", schema="https", port=8443), "https://api.example.com:8443"),
        (http("api.example.com", type="http-api"), "https://api.example.com:443"),
        (http("api.example.com", type="http_api", schema="http"), "http://api.example.com:80"),
        (http("api.example.com:8080/v1"), "http://api.example.com:8080/v1"),
        (http("http://[::1]:81"), "http://[::1]:81"),
    ],
)
def test_the_address(connection: Connection, base: str) -> None:
    assert target_of(connection).base == base


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        (http(None), "has no host"),
        (http("ftp://x"), "'ftp'"),
        (http("api.example.com", schema="v1"), "its schema is 'v1', not http or https; to Airflow the path"),
        (http("https://me:pw@x"), "login"),
        (http("https://x?a=1"), "not an address"),
        (http("https://x:99999"), "port"),
        (http(type="postgres"), "type 'postgres'"),
        (http(password=SECRET), '"auth": "api_key"'),
        (http(login="me"), "a login and no password"),
        (http(extra={"auth": "bearer"}), "has no password"),
        (http(password=SECRET, extra={"auth": "bearre"}), "'bearre' is not one of .*did you mean 'bearer'"),
        (http(extra={"alow_private": True}), "no field 'alow_private'; did you mean 'allow_private'"),
        (http(extra={"allow_private": "perhaps"}), "extra 'allow_private'"),
        (http(extra={"timeout": 0}), "extra 'timeout'"),
        (http(extra={"max_total_wait": 86_401}), "extra 'max_total_wait'"),
        (http(extra={"rate_limit": 0}), "extra 'rate_limit'"),
        (http(extra={"burst": 5}), "extra 'burst' acts only together with 'rate_limit'"),
        (http(extra={"concurrency": 101}), "extra 'concurrency'"),
        (
            http(password=SECRET, extra={"auth": "bearer", "header": "X"}),
            "'header' belongs to auth api_key or hmac",
        ),
        (http(password=SECRET, extra={"auth": "api_key", "header": "X", "param": "y"}), "both"),
        (http(login="me", password="s3cr3t7"), "the password has fewer than 8 characters"),
        (
            http(
                login="me",
                extra={"auth": "oauth2", "oauth_url": "https://x.example.com/t", "refresh_token": "s3cr3t7"},
            ),
            "the refresh_token has fewer than 8",
        ),
        (http(password=SECRET + "\n", extra={"auth": "bearer"}), "line break"),
    ],
)
def test_mistakes_are_named_without_the_secret(connection: Connection, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        target_of(connection)
    assert "connection 'api'" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_extras_of_a_uri_are_text() -> None:
    extra = {"allow_private": "true", "timeout": "3", "auth": "bearer"}
    target = target_of(http(password=SECRET, extra=extra))
    assert target.trusted == {"api.example.com"}
    assert target.policy.total == 3


def test_the_secret_is_masked_in_every_form() -> None:
    target = target_of(http(login="me", password=SECRET))
    forms = [
        SECRET, "s3cr3t%2Fkey%2B1", base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"me:{SECRET}".encode()).decode(), base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ]  # fmt: skip
    assert target.masked(" ".join(forms)).replace("=", "") == " ".join(["***"] * len(forms))
    assert "s3cr3t" not in repr(target)
    target.masked.add("another")
    assert target.masked("another") == "***"


def test_the_secret_is_masked_with_escapes_in_small_letters() -> None:
    target = target_of(http(password=SECRET, extra={"auth": "bearer"}))
    assert target.masked("s3cr3t%2fkey%2b1 s3cr3t/key%2b1") == "*** ***"


def test_fields_of_the_form_that_nobody_touched_are_not_given() -> None:
    blank: dict[str, Any] = dict.fromkeys(Extra.model_fields, "") | {"timeout": None, "allow_private": None}
    assert extra_of(http(extra=blank)) == Extra()


def test_a_misspelt_field_is_named_even_if_it_is_empty() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'allow_private'"):
        extra_of(http(extra={"alow_private": ""}))


def test_the_refresh_token_is_masked_too() -> None:
    masked = Mask(http(login="me", password=SECRET, extra={"refresh_token": "r3fresh/er"}).secrets)
    assert masked("r3fresh/er r3fresh%2Fer " + base64.b64encode(b"r3fresh/er").decode()) == "*** *** ***"
