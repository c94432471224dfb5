"""Where a verifier's keys come from: files and URLs that change, fail, lie and rotate."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from delego_broker import (
    JwksFile,
    JwksUrl,
    KeySourceError,
    MemoryReplayStore,
    Outgoing,
    StaticKeys,
    TokenVerifier,
)
from delego_broker.fetching import fetch_jwks
from delego_broker.keysets import FILE_GRACE, REFRESH, RETRY, TRUST, UNKNOWN_KID
from delego_spec.ed25519 import PublicKey, SeedSigner
from delego_spec.jwks import jwks_document
from delego_spec.tokens import Claims, mint
from delego_spec.types import Digest, EpochSeconds
from forge import AUDIENCE, ISSUER, NOW

SIGNERS = [SeedSigner(bytes([n]) * 32) for n in range(1, 5)]
OLD, NEW, OTHER, STRANGER = (signer.public_key for signer in SIGNERS)
ORDER = Outgoing("POST", "https://api.example.com/orders", {"amount": 2400})


def document(*keys: PublicKey) -> bytes:
    return json.dumps(jwks_document(keys)).encode()


class Stopwatch:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Site:
    """A JWKS URL that is told what to answer, and counts."""

    def __init__(self, *keys: PublicKey) -> None:
        self.answer: bytes | Exception = document(*keys)
        self.fetched = 0

    def __call__(self, url: str) -> bytes:
        self.fetched += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


# --- a file -------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_bytes(document(OLD))
    return path


def replace(path: Path, data: bytes) -> None:
    path.with_name("new").write_bytes(data)
    path.with_name("new").replace(path)


def test_a_file_is_read_again_when_it_changes(path: Path, watch: Stopwatch) -> None:
    source = JwksFile(path, stopwatch=watch)
    assert source.table(None) == {OLD.key_id: OLD}
    replace(path, document(OLD, NEW))
    assert source.table(OLD.key_id) == {OLD.key_id: OLD, NEW.key_id: NEW}
    replace(path, document(NEW))
    assert source.table(OLD.key_id) == {NEW.key_id: NEW}


def test_an_emptied_set_withdraws_all_keys_at_once(path: Path, watch: Stopwatch) -> None:
    source = JwksFile(path, stopwatch=watch)
    source.table(None)
    replace(path, document())
    assert source.table(OLD.key_id) == {}


@pytest.mark.parametrize("damage", [None, b"", b'{"keys":[{"kty":"OKP"', b"x" * 100_000])
def test_a_file_that_went_bad_leaves_the_last_keys_for_a_minute(
    path: Path, watch: Stopwatch, damage: bytes | None
) -> None:
    source = JwksFile(path, stopwatch=watch)
    source.table(None)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    assert source.table(OLD.key_id) == {OLD.key_id: OLD}
    watch.now += FILE_GRACE - 1
    assert source.table(OLD.key_id) == {OLD.key_id: OLD}
    watch.now += 1
    for _ in range(2):
        with pytest.raises(KeySourceError, match="JWKS file"):
            source.table(OLD.key_id)
    replace(path, document(NEW))
    assert source.table(NEW.key_id) == {NEW.key_id: NEW}


def test_a_file_that_recovers_has_its_whole_minute_again(path: Path, watch: Stopwatch) -> None:
    source = JwksFile(path, stopwatch=watch)
    for _ in range(3):
        assert source.table(None)
        path.unlink()
        watch.now += FILE_GRACE - 1
        assert source.table(None)
        replace(path, document(OLD))
        assert source.table(None)


def test_a_file_that_was_never_good_gives_no_keys(tmp_path: Path, watch: Stopwatch) -> None:
    source = JwksFile(tmp_path / "missing", stopwatch=watch)
    for kid in (None, OLD.key_id):
        with pytest.raises(KeySourceError, match="no such file"):
            source.table(kid)
    with pytest.raises(KeySourceError):
        JwksFile("a\0b").table(None)


def test_a_change_that_does_not_show_is_found_by_an_unknown_kid_once_a_minute(
    path: Path, watch: Stopwatch
) -> None:
    """Two writes within one tick of the file system's clock look the same."""
    source = JwksFile(path, stopwatch=watch)
    source.table(None)
    source._looks = lambda: (1,)  # type: ignore[method-assign]  # a file system that shows nothing
    source.table(None)
    path.write_bytes(document(NEW))
    assert NEW.key_id not in source.table("not a key id")
    assert NEW.key_id in source.table(NEW.key_id)
    path.write_bytes(document(OTHER))
    assert OTHER.key_id not in source.table(OTHER.key_id)
    watch.now += UNKNOWN_KID
    assert OTHER.key_id in source.table(OTHER.key_id)


# --- a URL --------------------------------------------------------------------------------------------------


def url_source(site: Callable[[str], bytes], watch: Stopwatch, **options: Any) -> JwksUrl:
    return JwksUrl("https://keys.example/jwks.json", fetch=site, stopwatch=watch, **options)


def test_a_url_is_fetched_once_for_as_long_as_it_is_fresh(watch: Stopwatch) -> None:
    site = Site(OLD)
    source = url_source(site, watch)
    for _ in range(5):
        assert source.table(OLD.key_id) == {OLD.key_id: OLD}
    assert site.fetched == 1
    site.answer = document(NEW)
    watch.now += REFRESH
    assert source.table(OLD.key_id) == {NEW.key_id: NEW}
    assert site.fetched == 2


def test_an_unknown_kid_fetches_at_most_once_a_minute(watch: Stopwatch) -> None:
    site = Site(OLD)
    source = url_source(site, watch)
    source.table(OLD.key_id)
    for _ in range(50):
        assert source.table(STRANGER.key_id) == {OLD.key_id: OLD}
    assert site.fetched == 2
    watch.now += UNKNOWN_KID - 0.1
    source.table(STRANGER.key_id)
    assert site.fetched == 2
    watch.now += 0.1
    source.table(STRANGER.key_id)
    assert site.fetched == 3


def test_a_new_key_is_found_when_its_first_token_comes(watch: Stopwatch) -> None:
    site = Site(OLD)
    source = url_source(site, watch)
    source.table(OLD.key_id)
    site.answer = document(OLD, NEW)
    assert NEW.key_id in source.table(NEW.key_id)


@pytest.mark.parametrize(
    "kid", ["", "x", "../../etc/passwd", "0" * 15, "0" * 17, "A" * 16, "\ud800", "0" * 8000]
)
def test_a_kid_that_can_be_none_fetches_nothing(watch: Stopwatch, kid: str) -> None:
    site = Site(OLD)
    source = url_source(site, watch)
    source.table(None)
    source.table(kid)
    assert site.fetched == 1


FAILURES = [
    OSError("unreachable"),
    KeySourceError("status 500"),
    RuntimeError("anything"),
    b"",
    b"<html>",
    b'{"keys":[{"kty":"RSA"}]}',
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_while_a_url_fails_its_last_keys_count_for_an_hour_and_no_longer(
    watch: Stopwatch, failure: Any
) -> None:
    site = Site(OLD)
    source = url_source(site, watch)
    start = watch.now
    source.table(None)
    site.answer = failure
    while watch.now < start + TRUST - 1:
        assert source.table(OLD.key_id) == {OLD.key_id: OLD}
        watch.now += 1
    assert site.fetched <= 2 + (TRUST - REFRESH) / UNKNOWN_KID
    watch.now = start + TRUST
    with pytest.raises(KeySourceError, match=r"keys\.example"):
        source.table(OLD.key_id)
    site.answer = document(NEW)
    watch.now += RETRY
    assert source.table(NEW.key_id) == {NEW.key_id: NEW}


def test_without_any_keys_it_is_tried_again_every_few_seconds(watch: Stopwatch) -> None:
    site = Site()
    site.answer = OSError("not up yet")
    source = url_source(site, watch)
    for _ in range(3):
        with pytest.raises(KeySourceError, match="not up yet"):
            source.table(OLD.key_id)
    assert site.fetched == 1
    site.answer = document(OLD)
    watch.now += RETRY
    assert source.table(OLD.key_id) == {OLD.key_id: OLD}


@pytest.mark.parametrize(("refresh", "trust"), [(0, 10), (-1, 10), (11, 10)])
def test_times_that_make_no_sense_are_refused(refresh: float, trust: float) -> None:
    with pytest.raises(ValueError, match="refresh"):
        JwksUrl("https://keys.example", refresh=refresh, trust=trust)


def test_a_thread_whose_key_is_known_does_not_wait_for_anothers_fetch(watch: Stopwatch) -> None:
    started, go_on = threading.Event(), threading.Event()
    site = Site(OLD)

    def slow(url: str) -> bytes:
        if site.fetched:
            started.set()
            assert go_on.wait(20)
        return site(url)

    source = url_source(slow, watch)
    source.table(None)
    site.answer = document(OLD, NEW)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(source.table(NEW.key_id))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert started.wait(20)
    assert source.table(OLD.key_id) == {OLD.key_id: OLD}
    watch.now += REFRESH
    assert source.table(OLD.key_id) == {OLD.key_id: OLD}  # due, and somebody is at it
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert [NEW.key_id in table for table in found] == [True] * 4
    assert site.fetched == 2


def test_static_keys_are_a_copy() -> None:
    keys = {OLD.key_id: OLD}
    source = StaticKeys(keys)
    keys.clear()
    assert source.table(None) == source.table(NEW.key_id) == {OLD.key_id: OLD}


# --- fetching -----------------------------------------------------------------------------------------------


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/jwks.json")
            self.end_headers()
            return
        self.send_response({"/missing": 404, "/empty": 204}.get(path, 200))
        self.end_headers()
        if path == "/jwks.json":
            self.wfile.write(document(OLD))
        if path == "/endless":
            for _ in range(100):
                self.wfile.write(b" " * 10_000)
        if path == "/slow":
            release: threading.Event = self.server.release  # type: ignore[attr-defined]  # see below
            for _ in range(300):  # seconds longer than anybody should wait
                if release.wait(0.01):
                    break
                self.wfile.write(b" ")

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.release = threading.Event()  # type: ignore[attr-defined]  # for the handler
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who hangs up is no error here
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.release.set()  # type: ignore[attr-defined]  # for the handler
        server.shutdown()
        thread.join()


def test_keys_are_fetched_from_a_real_server(web: str) -> None:
    assert JwksUrl(f"{web}/jwks.json?x=1").table(OLD.key_id) == {OLD.key_id: OLD}


@pytest.mark.parametrize(
    ("path", "told"), [("/missing", "404"), ("/empty", "204"), ("/redirect", "302"), ("/endless", "too much")]
)
def test_what_is_no_good_answer_is_refused(web: str, path: str, told: str) -> None:
    with pytest.raises(KeySourceError, match=told):
        fetch_jwks(web + path)


@pytest.mark.timeout(20)
def test_a_server_that_never_ends_is_left(web: str) -> None:
    with pytest.raises(KeySourceError, match=r"within 0\.2 s"):
        fetch_jwks(f"{web}/slow", timeout=0.2)


@pytest.mark.parametrize(
    "url", ["http://keys.example/jwks.json", "ftp://127.0.0.1/x", "file://localhost/etc"]
)
def test_keys_come_over_tls_or_from_this_host(url: str) -> None:
    with pytest.raises(KeySourceError, match="must be https"):
        fetch_jwks(url)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "jwks.json",
        "https://",
        "https://user:secret@keys.example/",
        "https://keys.example:99999/",
        "https://[::1/",
        "http://127.0.0.1:1/a b\r\nHost: evil",
        "http://127.0.0.1:1/",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(KeySourceError):
        fetch_jwks(url)


# --- rotation under load -----------------------------------------------------------------------------------


def token(signer: SeedSigner, name: str) -> str:
    claims = Claims(
        ISSUER, AUDIENCE, NOW, EpochSeconds(NOW + 45), name, name, ORDER.fingerprint, Digest("0" * 64)
    )
    return mint(claims, signer)


@pytest.mark.parametrize("kind", ["file", "url"])
def test_a_rotation_under_load_refuses_nothing_and_accepts_nothing_after_it(
    kind: str, path: Path, web: str, watch: Stopwatch
) -> None:
    """The order of ``delego keys rotate-token``: published, then used, then the old one withdrawn."""
    site = Site(OLD)
    source = JwksFile(path, stopwatch=watch) if kind == "file" else url_source(site, watch)
    verifier = TokenVerifier(source, AUDIENCE, MemoryReplayStore(), clock=lambda: NOW)

    def publish(*keys: PublicKey) -> None:
        site.answer = document(*keys)
        replace(path, document(*keys))

    signing = [SIGNERS[0]]  # who mints now
    refused: list[object] = []
    permitted = [0, 0, 0, 0]
    stop = threading.Event()

    def agent(number: int) -> None:
        count = 0
        while not stop.is_set():
            outcome = verifier.authorize(token(signing[0], f"{number}-{count}"), ORDER)
            if not isinstance(outcome, Claims):
                refused.append(outcome)
            permitted[number] += 1
            count += 1

    def attacker() -> None:
        while not stop.is_set():
            if isinstance(verifier.authorize(token(SIGNERS[3], "stranger"), ORDER), Claims):
                refused.append("a stranger's token was permitted")

    threads = [threading.Thread(target=agent, args=(n,)) for n in range(4)]
    threads.append(threading.Thread(target=attacker))
    for thread in threads:
        thread.start()
    try:
        _more(permitted)
        publish(OLD, NEW)  # the next key is published ...
        watch.now += REFRESH  # ... for as long as verifiers may keep what they have ...
        _more(permitted)
        signing[0] = SIGNERS[1]  # ... then it signs ...
        _more(permitted)
        held_back = token(SIGNERS[0], "minted before, used in the overlap")
        assert isinstance(verifier.authorize(held_back, ORDER), Claims)
        stolen = token(SIGNERS[0], "used after the overlap")
        publish(NEW)  # ... and the old one is withdrawn once its tokens are dead
        watch.now += REFRESH
        _more(permitted)
        for _ in range(50):
            outcome = verifier.authorize(stolen, ORDER)
            assert not isinstance(outcome, Claims)
            assert outcome.code == "kid"
        _more(permitted)
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    assert refused == []


def _more(permitted: list[int], by: int = 20) -> None:
    """Wait until every agent has had so many answers more."""
    goal = [count + by for count in permitted]
    end = time.monotonic() + 60
    while any(count < wanted for count, wanted in zip(permitted, goal, strict=True)):
        assert time.monotonic() < end
        os.sched_yield()
