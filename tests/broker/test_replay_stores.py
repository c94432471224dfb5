"""The contract of a replay store, held by each of them; Redis by a real one."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delego_broker import MemoryReplayStore, RedisReplayStore, ReplayStoreError, SQLiteReplayStore
from delego_spec.types import EpochSeconds
from forge import NOW
from redis_server import redis_server
from support import ROOT
from token_shapes import with_claims

PROCESSES = 16
ROUNDS = 200
KEEP = EpochSeconds(NOW + 45)
_runs = itertools.count()
HOSTILE_NAMES = [
    "a",
    "A",
    "a ",
    "\0",
    "a\0b",
    "a\0c",
    "é",
    "e\u0301",
    "'; DROP TABLE used; --",
    "*",
    "x" * 8000,
]


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryReplayStore()
        return
    if request.param == "sqlite":
        found: Any = SQLiteReplayStore.open(tmp_path / "used.db")
    else:
        found = RedisReplayStore.from_url(request.getfixturevalue("redis_url"), prefix=f"{tmp_path}:")
    yield found
    found.close()


def use(store: Any, jti: str, cns: str, keep: int = KEEP, now: int = NOW) -> str:
    answer: str = store.consume(jti, cns, keep_until=keep, now=now)
    return answer


def test_what_is_new_is_fresh_once(store: Any) -> None:
    assert [use(store, "a", "b") for _ in range(3)] == ["fresh", "jti", "jti"]


def test_a_new_token_for_a_used_release_is_told_so(store: Any) -> None:
    assert [use(store, "a", "b"), use(store, "c", "b")] == ["fresh", "cns"]


def test_a_used_token_for_another_release_is_told_so(store: Any) -> None:
    assert [use(store, "a", "b"), use(store, "a", "c")] == ["fresh", "jti"]


def test_what_was_refused_left_nothing_behind(store: Any) -> None:
    use(store, "a", "b")
    use(store, "c", "b")
    use(store, "a", "d")
    assert use(store, "c", "d") == "fresh"


def test_a_jti_and_a_cns_of_the_same_text_are_two_things(store: Any) -> None:
    assert [use(store, "a", "a"), use(store, "b", "c"), use(store, "c", "b")] == ["fresh"] * 3


def test_names_are_compared_character_by_character(store: Any) -> None:
    names = HOSTILE_NAMES
    assert [use(store, name, name) for name in names] == ["fresh"] * len(names)
    assert [use(store, name, "new") for name in names] == ["jti"] * len(names)


def test_the_last_second_is_still_remembered(store: Any) -> None:
    use(store, "a", "b")
    store.purge(KEEP - 1)
    assert use(store, "a", "b", now=KEEP - 1) == "jti"


def test_many_threads_with_one_token_have_one_winner(store: Any) -> None:
    answers: list[str] = []
    barrier = threading.Barrier(8)

    def run() -> None:
        for number in range(10):
            barrier.wait(20)
            answers.append(use(store, f"jti {number}", f"cns {number}"))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert Counter(answers) == {"fresh": 10, "jti": 70}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_it_answers_as_two_sets_would(store: Any, pairs: list[tuple[int, int]]) -> None:
    run = next(_runs)  # names of this example alone
    jtis, cnss = set(), set()
    for jti, cns in pairs:
        expected = "jti" if jti in jtis else "cns" if cns in cnss else "fresh"
        assert use(store, f"{run} {jti}", f"{run} {cns}") == expected
        if expected == "fresh":
            jtis.add(jti)
            cnss.add(cns)


# --- many processes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_of_sixteen_processes_with_one_token_exactly_one_wins(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = str(tmp_path / "used.db") if kind == "sqlite" else request.getfixturevalue("redis_url")
    children = [_child(kind, place) for _ in range(PROCESSES)]
    try:
        assert [_line(child) for child in children] == ["ready"] * PROCESSES
        for number in range(ROUNDS):
            token = with_claims(jti=f"{tmp_path} {number}", cns=f"{tmp_path} {number}")
            for child in children:
                _tell(child, token)
            answers = Counter(_line(child) for child in children)
            assert answers == {"permit": 1, "already_consumed": PROCESSES - 1}, number
    finally:
        for child in children:
            child.kill()
            child.communicate()


def _child(kind: str, place: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "replay_child.py"), kind, place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _tell(child: subprocess.Popen[str], text: str) -> None:
    assert child.stdin is not None
    child.stdin.write(f"{text}\n")
    child.stdin.flush()


def _line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


# --- forgetting ---------------------------------------------------------------------------------------------

PURGING: list[Callable[[Path], Any]] = [
    lambda path: MemoryReplayStore(),
    lambda path: SQLiteReplayStore.open(path / "used.db"),
]


@pytest.mark.parametrize("make", PURGING, ids=["memory", "sqlite"])
def test_what_is_dead_is_forgotten_and_counted(make: Callable[[Path], Any], tmp_path: Path) -> None:
    store = make(tmp_path)
    for number in range(10):
        use(store, f"a{number}", f"b{number}", keep=NOW + 10 + number)
    assert store.purge(NOW + 9) == 0
    assert store.purge(NOW + 14) == 5
    assert store.purge(NOW + 14) == 0
    assert use(store, "a5", "b5", now=NOW + 14) == "jti"
    assert use(store, "a0", "b0", keep=NOW + 60, now=NOW + 14) == "fresh"


@pytest.mark.parametrize("make", PURGING, ids=["memory", "sqlite"])
def test_what_was_forgotten_is_not_fresh_when_the_clock_is_set_back(
    make: Callable[[Path], Any], tmp_path: Path
) -> None:
    store = make(tmp_path)
    use(store, "a", "b")
    assert store.purge(KEEP + 3600) == 1
    with pytest.raises(ReplayStoreError, match="clock"):
        use(store, "a", "b")
    assert use(store, "c", "d", keep=KEEP + 1) == "fresh"


# --- Redis --------------------------------------------------------------------------------------------------


def test_redis_keeps_names_for_as_long_as_asked_and_a_margin(redis_url: str, tmp_path: Path) -> None:
    import redis

    prefix = f"{tmp_path}:"
    with redis.Redis.from_url(redis_url) as client:
        use(RedisReplayStore(client, prefix=prefix), "a", "b", keep=NOW + 105)
        left = [client.ttl(key) for key in client.scan_iter(f"{prefix}*")]
    assert len(left) == 2
    assert all(404 <= seconds <= 405 for seconds in left)


def test_two_prefixes_are_two_stores(redis_url: str, tmp_path: Path) -> None:
    stores = [RedisReplayStore.from_url(redis_url, prefix=f"{tmp_path}{name}:") for name in "xy"]
    assert [use(store, "a", "b") for store in stores] == ["fresh", "fresh"]
    for store in stores:
        store.close()


def test_a_redis_that_does_not_answer_permits_nothing(tmp_path: Path) -> None:
    with redis_server(tmp_path) as url:
        store = RedisReplayStore.from_url(url, timeout=1.0)
        assert use(store, "a", "b") == "fresh"
    with pytest.raises(ReplayStoreError):
        use(store, "c", "d")
    store.close()


def test_a_redis_that_evicts_is_refused(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--maxmemory-policy", "allkeys-lru") as url:
        store = RedisReplayStore.from_url(url)
        with pytest.raises(ReplayStoreError, match="noeviction"):
            use(store, "a", "b")
        store.close()


def test_a_redis_without_memory_left_permits_nothing(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--maxmemory", "1") as url:
        store = RedisReplayStore.from_url(url)
        with pytest.raises(ReplayStoreError):
            use(store, "a", "b")
        store.close()


def test_a_replica_that_only_reads_permits_nothing(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--replicaof", "127.0.0.1", "1") as url:
        store = RedisReplayStore.from_url(url)
        with pytest.raises(ReplayStoreError):
            use(store, "a", "b")
        store.close()


def test_redis_wants_a_client_of_its_own(redis_url: str) -> None:
    with pytest.raises(TypeError):
        RedisReplayStore(redis_url)
    with pytest.raises(ValueError, match="redis://"):
        RedisReplayStore.from_url("http://127.0.0.1")


def test_without_the_redis_library_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from delego_broker import MissingExtra

    monkeypatch.setitem(sys.modules, "redis", None)
    for make in (RedisReplayStore, RedisReplayStore.from_url):
        with pytest.raises(MissingExtra, match=r"pip install 'delego-spec\[redis\]'"):
            make("redis://127.0.0.1")
