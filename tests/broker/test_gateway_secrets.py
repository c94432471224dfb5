"""Where credentials come from, where they go, and that they do not come back."""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import keyring
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyring.backend import KeyringBackend

from delego_broker.errors import SecretUnavailable
from delego_broker.gateway.redaction import REDACTED, Redactor
from delego_broker.gateway.secrets import MAX_BYTES, Injected, inject, read_secret
from delego_broker.gateway.settings import Credential, Source
from gateways import HEADER_SECRET, SECRET


def secret_file(folder: Path, content: bytes, mode: int = 0o600) -> Source:
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return Source(file=path)


def python(code: str, timeout: float = 10.0) -> Source:
    return Source(command=(sys.executable, "-I", "-c", code), timeout=timeout)


def refused(source: Source) -> str:
    with pytest.raises(SecretUnavailable) as caught:
        read_secret(source)
    return str(caught.value)


def test_a_variable_is_read_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(env="GATEWAY_TEST_KEY")
    assert "not set" in refused(source)
    monkeypatch.setenv("GATEWAY_TEST_KEY", "first-secret")
    assert read_secret(source) == "first-secret"
    monkeypatch.setenv("GATEWAY_TEST_KEY", "second-secret")
    assert read_secret(source) == "second-secret"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_one_line_end_of_a_file_is_not_part_of_the_secret(tmp_path: Path, end: bytes) -> None:
    assert read_secret(secret_file(tmp_path, b"sk-12345678" + end)) == "sk-12345678"


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o644, 0o666])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    assert f"mode {mode:04o}" in refused(secret_file(tmp_path, b"sk-12345678", mode))


def test_a_group_may_read_a_file(tmp_path: Path) -> None:
    assert read_secret(secret_file(tmp_path, b"sk-12345678", 0o640)) == "sk-12345678"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "fewer than 8"),
        (b"short\n", "fewer than 8"),
        (b"two\nlines and more", "line break"),
        (b"with a NUL \x00 in it", "control character"),
        (b"no utf-8: \xff\xff\xff", "UTF-8"),
        (b"x" * (MAX_BYTES + 10), "more than"),
        (b"blank lines\n\n", "line break"),
    ],
)
def test_what_is_no_secret_is_refused_without_being_shown(tmp_path: Path, content: bytes, said: str) -> None:
    message = refused(secret_file(tmp_path, content))
    assert said in message
    assert "two" not in message


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(Source(file=tmp_path / "none"))
    assert "cannot be read" in refused(Source(file=tmp_path))


def test_a_command_is_run_without_a_shell() -> None:
    assert read_secret(python("import sys; print(sys.argv[1:], 'secret')")) == "[] secret"
    source = Source(command=(sys.executable, "-I", "-c", "import sys; print(sys.argv[1])", "$(id); `id` *"))
    assert read_secret(source) == "$(id); `id` *"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (python("import sys; print('sk-12345678'); sys.exit(3)"), "status 3"),
        (python("print('x' * 100_000)"), "more than"),
        (python("import sys; sys.stderr.write('sk-12345678'); sys.exit(1)"), "status 1"),
        (python("import time; print('sk-12345678', flush=True); time.sleep(60)", 0.4), "did not end within"),
        (
            python(
                "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time;"
                " time.sleep(60)'])",
                0.8,
            ),
            "did not end within",
        ),
        (Source(command=("/nonexistent/program",)), "cannot be run"),
        (Source(command=("a\0b",)), "cannot be run"),
    ],
)
def test_a_command_that_fails_gives_no_secret(source: Source, said: str) -> None:
    began = time.monotonic()
    message = refused(source)
    assert said in message
    assert "sk-12345678" not in message
    assert time.monotonic() - began < 20  # what it started is ended with it


def test_an_endless_command_is_ended() -> None:
    assert "more than" in refused(python("while True: print('x' * 65536)"))


def test_a_command_does_not_see_the_secrets_of_other_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_ROUTES_KEY", "sk-12345678")
    monkeypatch.setenv("VAULT_ADDR", "https://vault.example")
    source = python("import os; print(*sorted(os.environ), 'and that is all')")
    seen = set(read_secret(source).split())
    assert "PATH" in seen
    assert not seen & {"OTHER_ROUTES_KEY", "VAULT_ADDR", "PYTEST_CURRENT_TEST"}
    named = replace(source, environment=frozenset({"VAULT_ADDR", "NOT_SET"}))
    assert set(read_secret(named).split()) == seen | {"VAULT_ADDR"}


class Ring(KeyringBackend):
    priority = 1
    asked = 0
    goes_on = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        if service == "broken":
            raise RuntimeError("sk-12345678 leaks here")
        if service == "hangs":
            Ring.asked += 1
            assert self.goes_on.wait(60)
            return "sk-12345678"
        return {"api": "sk-12345678"}.get(service)

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


@pytest.fixture
def ring() -> Any:
    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    yield
    keyring.set_keyring(before)


@pytest.mark.usefixtures("ring")
def test_the_keyring_is_asked() -> None:
    assert read_secret(Source(keyring=("api", "me"))) == "sk-12345678"
    assert "no keyring entry" in refused(Source(keyring=("other", "me")))
    assert "sk-12345678" not in refused(Source(keyring=("broken", "me")))


@pytest.mark.usefixtures("ring")
def test_a_keyring_that_hangs_holds_one_thread_and_no_request_longer_than_its_time() -> None:
    Ring.asked, source = 0, Source(keyring=("hangs", "me"), timeout=0.2)
    Ring.goes_on.clear()
    for _ in range(3):
        assert "was not read within" in refused(source)
    with pytest.raises(SecretUnavailable):  # what is left of a request's time is less than its own
        read_secret(replace(source, timeout=60.0), until=time.monotonic() + 0.05)
    assert Ring.asked == 1
    Ring.goes_on.set()
    assert read_secret(replace(source, timeout=60.0)) == "sk-12345678"


def test_a_command_takes_no_longer_than_is_left_of_the_request() -> None:
    with pytest.raises(SecretUnavailable, match="did not end within"):
        read_secret(python("import time; time.sleep(60)", 60.0), until=time.monotonic() + 0.2)


def injected(monkeypatch: pytest.MonkeyPatch, secret: str, **more: Any) -> Injected:
    monkeypatch.setenv("GATEWAY_TEST_KEY", secret)
    return inject([Credential(Source(env="GATEWAY_TEST_KEY"), **more)])


def test_a_secret_goes_where_the_route_says(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-12345678"
    assert injected(monkeypatch, secret, place="header", name="X-Key").headers == (("X-Key", secret),)
    assert injected(monkeypatch, secret, place="header", name="X-Key", prefix="Token ").headers == (
        ("X-Key", f"Token {secret}"),
    )
    assert injected(monkeypatch, secret, place="bearer").headers == (("Authorization", f"Bearer {secret}"),)
    pair = base64.b64encode(b"me:sk-12345678").decode()
    assert injected(monkeypatch, secret, place="basic", user="me").headers == (
        ("Authorization", f"Basic {pair}"),
    )
    assert injected(monkeypatch, secret, place="query", name="key").query == (("key", secret),)


@pytest.mark.parametrize("place", ["header", "bearer"])
@pytest.mark.parametrize("secret", ["sk-1234\u00e95678", " sk-12345678", "sk-12345678 ", "sk\u212a12345678"])
def test_what_cannot_stand_in_a_header_is_refused(
    monkeypatch: pytest.MonkeyPatch, secret: str, place: str
) -> None:
    with pytest.raises(SecretUnavailable) as caught:
        injected(monkeypatch, secret, place=place, name="X-Key")
    assert secret.strip() not in str(caught.value)


@pytest.mark.parametrize("secret", ["sk-1234\r\nX-Evil: 1", "sk-1234\n5678", "sk-1234\x0b5678"])
@pytest.mark.parametrize("place", ["header", "bearer", "basic", "query"])
def test_a_line_break_in_a_secret_is_refused_everywhere(
    monkeypatch: pytest.MonkeyPatch, secret: str, place: str
) -> None:
    with pytest.raises(SecretUnavailable):
        injected(monkeypatch, secret, place=place, name="x", user="me")


def test_the_repr_of_what_is_injected_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("header", "basic", "query"):
        assert "sk-12345678" not in repr(
            injected(monkeypatch, "sk-12345678", place=place, name="x", user="me")
        )


# --- redaction ---------------------------------------------------------------------------------------------

SPELLINGS = {
    "plain": SECRET,
    "JSON": json.dumps(SECRET),
    "JSON in UTF-8": json.dumps(SECRET, ensure_ascii=False),
    "JSON with escaped slashes": json.dumps(SECRET).replace("/", "\\/"),
    "JSON in JSON": json.dumps(json.dumps(SECRET)),
    "percent": quote(SECRET, safe=""),
    "percent, lower case": quote(SECRET, safe="").replace("%2F", "%2f").replace("%C3%A9", "%c3%a9"),
    "percent with slashes": quote(SECRET),
    "form": quote_plus(SECRET),
    "all of it percent": "".join(f"%{byte:02x}" for byte in SECRET.encode()),
    "hexadecimal": SECRET.encode().hex(),
    "hexadecimal, upper case": SECRET.encode().hex().upper(),
    "HTML": SECRET.replace("&", "&amp;").replace('"', "&quot;"),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "base64 one byte in": base64.b64encode(b"x" + SECRET.encode() + b"tail").decode(),
    "base64 two bytes in": base64.b64encode(b"me" + SECRET.encode()).decode(),
    "base64 three bytes in": base64.b64encode(b"me:" + SECRET.encode() + b"!").decode(),
    "an upper case echo": SECRET.upper(),
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
def test_a_spelling_of_the_secret_is_redacted(text: str) -> None:
    assert REDACTED in Redactor([SECRET]).text(f"before {text} after")


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("after", ["", "z", "yz", "xyz"])
def test_base64_around_a_secret_gives_nothing_of_it_back(before: str, after: str) -> None:
    text = Redactor([HEADER_SECRET]).text(
        base64.b64encode(f"{before}{HEADER_SECRET}{after}".encode()).decode()
    )
    rest = text.replace(REDACTED, "")
    assert REDACTED in text
    assert len(rest) <= 12


def test_base64_in_either_alphabet_is_redacted() -> None:
    secret = "~~~~~~~~>>>>????"  # in base64 it has both + and /
    for encoded in (base64.b64encode(secret.encode()), base64.urlsafe_b64encode(secret.encode())):
        assert Redactor([secret]).text(encoded.decode()).startswith(REDACTED)


def test_values_are_redacted_wherever_they_stand() -> None:
    redactor = Redactor(["12345678"])
    value = {
        "a": ["x12345678", {"12345678": True}],
        "n": 12345678,
        "f": 1234567.8,
        "ok": 1234567,
        "none": None,
    }
    assert redactor.value(value) == {
        "a": [f"x{REDACTED}", {REDACTED: True}],
        "n": REDACTED,
        "f": 1234567.8,
        "ok": 1234567,
        "none": None,
    }


def test_bytes_that_hold_a_secret_are_found() -> None:
    redactor = Redactor([SECRET])
    for data in (SECRET.encode(), SECRET.encode("utf-16-le"), b"\xff" + SECRET.encode() + b"\xff"):
        assert redactor.has(data)
    assert not redactor.has(b"\x00\x01\x02")


def test_without_a_secret_nothing_is_changed() -> None:
    redactor = Redactor([])
    assert redactor.text("text") == "text"
    assert redactor.value([1, "a"]) == [1, "a"]
    assert not redactor.has(b"x")


@settings(max_examples=60)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=8, max_size=30))
def test_no_secret_survives_json(secret: str) -> None:
    echoed = {"echo": [secret, f"<{secret}>"], secret: 1}
    shown = Redactor([secret]).value(json.loads(json.dumps(echoed)))
    assert secret not in json.dumps(shown, ensure_ascii=False).replace(REDACTED, "")
