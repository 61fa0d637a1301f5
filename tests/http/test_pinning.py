"""A host is looked up once, and only an address that was checked is connected to."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_datahub.errors import ConfigurationError, Interrupted, RunFailed
from airflow_datahub.http import address, transport
from tests.hostile import Close, Hostile, reply
from tests.http.asking import ask, connection, run_of

PUBLIC, PRIVATE = "127.0.0.2", "127.0.0.1"


class Names:
    """A resolver that gives another address each time."""

    def __init__(self, *answers: str):
        self.answers = list(answers)
        self.asked = 0
        self._system = socket.getaddrinfo

    def __call__(self, host: str, port: Any, *rest: Any, **options: Any) -> Any:
        if not host.endswith(".example"):
            return self._system(host, port, *rest, **options)
        self.asked += 1
        ip = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port or 0))]


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Hostile, Hostile]]:
    """A server that counts as public, and one on the same port that is private; each ends its connections."""
    monkeypatch.setattr(address, "is_internal", lambda ip: ip == PRIVATE)
    public = Hostile(lambda _: [reply({}), Close], host=PUBLIC)
    with public, Hostile(lambda _: [reply({}), Close], host=PRIVATE, port=public.port) as private:
        yield public, private


def test_a_name_that_is_bound_anew_leads_to_the_first_address(
    both: tuple[Hostile, Hostile], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(PUBLIC, PRIVATE)
    monkeypatch.setattr(socket, "getaddrinfo", names)
    ask(run_of(connection(both[0].port, "api.example", allow_private=False)), "a", "b", "c")
    assert names.asked == 1
    assert [server.connections for server in both] == [3, 0]


def test_a_twin_that_leaves_the_look_up_to_the_library_is_led_inside(
    both: tuple[Hostile, Hostile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(PUBLIC, PRIVATE))
    monkeypatch.setattr(transport, "_Pinned", lambda hosts: transport.aiohttp.ThreadedResolver())
    ask(run_of(connection(both[0].port, "api.example", allow_private=False)), "a")
    assert both[1].connections == 1


def test_an_address_that_cannot_be_reached_is_looked_up_and_checked_again(
    both: tuple[Hostile, Hostile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names("127.0.0.3", PUBLIC))
    ask(run_of(connection(both[0].port, "api.example", allow_private=False)), "a")
    monkeypatch.setattr(socket, "getaddrinfo", Names("127.0.0.3", PRIVATE))
    with pytest.raises(ConfigurationError, match=r"api\.example is 127\.0\.0\.1, an internal address"):
        ask(run_of(connection(both[0].port, "api.example", allow_private=False)), "a")
    assert [server.connections for server in both] == [1, 0]


def test_a_look_up_has_a_deadline_and_a_stop_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, stopping = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        ended.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    started = time.monotonic()
    with pytest.raises(RunFailed, match=r"cannot find the host 'api\.example'.*no answer within 0\.2 s"):
        ask(run_of(connection(1, "api.example", connect_timeout=0.2, retries=0)), "a")
    threading.Timer(0.3, stopping.set).start()
    with pytest.raises(Interrupted):
        ask(run_of(connection(1, "api.example", connect_timeout=20), stopping), "a")
    assert time.monotonic() - started < 5
    ended.set()


def test_a_connect_has_a_deadline_and_a_stop_ends_it() -> None:
    stopping, started = threading.Event(), time.monotonic()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        with pytest.raises(RunFailed, match=r"cannot reach .* no connection in time"):
            ask(run_of(connection(port, connect_timeout=0.3, retries=0)), "a")
        threading.Timer(0.3, stopping.set).start()
        with pytest.raises(Interrupted):
            ask(run_of(connection(port, connect_timeout=20, timeout=20), stopping), "a")
        for each in waiting:
            each.close()
    assert time.monotonic() - started < 5


# --- TLS


def certified(folder: Path, name: str) -> Path:
    """A certificate of its own authority for a name, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(issuer).issuer_name(issuer).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    file = folder / "both.pem"
    file.write_bytes(pem)
    return file


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Hostile, Path]]:
    monkeypatch.setattr(socket, "getaddrinfo", Names(PRIVATE))
    file = certified(tmp_path, "api.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with Hostile(lambda _: reply({}), tls=context) as server:
        yield server, file


def test_the_certificate_is_that_of_the_name_though_an_address_is_connected_to(tls: tuple[Hostile, Path]) -> None:
    server, file = tls
    run = run_of(connection(server.port, "https://api.example", ca_file=str(file)))
    assert ask(run, "a")[0].status == 200
    for host, extra in (("other.example", {"ca_file": str(file)}), ("api.example", {})):
        with pytest.raises(ConfigurationError, match="certificate that is not trusted"):
            ask(run_of(connection(server.port, f"https://{host}", **extra)), "a")
    with pytest.raises(ConfigurationError, match="extra 'ca_file'"):
        ask(run_of(connection(server.port, "https://api.example", ca_file="/nowhere.pem")), "a")


def test_a_certificate_may_go_unchecked_but_not_unsaid(tls: tuple[Hostile, Path]) -> None:
    warned: list[str] = []

    class Log:
        def warning(self, event: str, **fields: Any) -> None:
            warned.append(f"{event} {fields['connection']}")

        debug = info = error = warning

    ask(run_of(connection(tls[0].port, "https://other.example", verify=False), log=Log()), "a")
    assert warned == ["tls_not_verified api"]
