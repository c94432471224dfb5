"""HTTP for this machine alone: addresses, Host and Origin."""

from __future__ import annotations

import pytest

from delego_agent.loopback import NotLoopback, check_bind, host_allowed, origin_allowed

PORT = 8123


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("localhost", "127.0.0.1"),
        ("LOCALHOST", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.9.8.7", "127.9.8.7"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
    ],
)
def test_a_server_may_listen_on_loopback(host: str, address: str) -> None:
    assert check_bind(host) == address


@pytest.mark.parametrize(
    "host",
    [
        "",
        "0.0.0.0",  # noqa: S104 - refused
        "::",
        "[::]",
        "10.0.0.1",
        "example.com",
        "localhost.",
        "::ffff:127.0.0.1",
        "::1%lo",
        "[",
        "*",
    ],
)
def test_a_server_listens_nowhere_else(host: str) -> None:
    with pytest.raises(NotLoopback, match="is not loopback"):
        check_bind(host)


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_a_loopback_name_with_the_port_is_this_server(host: str) -> None:
    assert host_allowed(f"{host}:{PORT}", PORT)
    assert origin_allowed(f"http://{host}:{PORT}", PORT)
    assert host_allowed(host, 80)
    assert origin_allowed(f"http://{host}", 80)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "localhost",
        "localhost:",
        f"localhost:{PORT + 1}",
        f"localhost:0{PORT}",
        f"localhost:{PORT} ",
        f"localhost.:{PORT}",
        f"evil.example:{PORT}",
        f"localhost.evil.example:{PORT}",
        f"localhost@evil.example:{PORT}",
        f"evil.example:{PORT}, localhost:{PORT}",
        f"127.0.0.1.evil.example:{PORT}",
        f"127.1:{PORT}",
        f"0.0.0.0:{PORT}",
        f"::1:{PORT}",
        f"[::ffff:127.0.0.1]:{PORT}",
    ],
)
def test_every_other_host_is_somebody_else(header: str | None) -> None:
    assert not host_allowed(header, PORT)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "null",
        f"https://localhost:{PORT}",
        f"http://localhost:{PORT}/",
        f"http://localhost:{PORT + 1}",
        f"http://evil.example:{PORT}",
        f"localhost:{PORT}",
    ],
)
def test_a_page_from_elsewhere_is_refused(header: str) -> None:
    assert not origin_allowed(header, PORT)


def test_who_sends_no_origin_is_no_browser() -> None:
    assert origin_allowed(None, PORT)
