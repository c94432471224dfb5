"""The replay store in SQLite: what it survives, and what it refuses to answer for."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from delego_broker import ReplayStoreError, SQLiteReplayStore
from delego_broker.sqlite_replay import PURGE_EVERY
from delego_ledger.connections import connect
from forge import NOW, compact
from support import ROOT

KEEP = NOW + 45


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "used.db"


def use(store: SQLiteReplayStore, name: str, keep: Any = KEEP, now: Any = NOW) -> str:
    return store.consume(name, name, keep_until=keep, now=now)


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        count: int = connection.execute("SELECT count(*) FROM used").fetchone()[0]
        return count


def test_a_restart_forgets_nothing(path: Path) -> None:
    with SQLiteReplayStore.open(path) as store:
        use(store, "a")
    with SQLiteReplayStore.open(path) as store:
        assert use(store, "a") == "jti"


def test_a_replay_in_the_last_second_is_refused_after_a_purge_and_a_restart(path: Path) -> None:
    last = KEEP + 60 - 1
    with SQLiteReplayStore.open(path) as store:
        use(store, "a", keep=KEEP + 60)
        assert store.purge(last) == 0
    with SQLiteReplayStore.open(path) as store:
        assert use(store, "a", keep=KEEP + 60, now=last) == "jti"


def test_a_killed_process_has_used_up_what_it_permitted(path: Path) -> None:
    command = [sys.executable, str(ROOT / "tests" / "replay_child.py"), "sqlite", str(path)]
    answers = []
    for _ in range(2):
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.stdin.write(f"{compact()}\n")
        child.stdin.flush()
        answers.append(child.stdout.readline().strip())
        child.kill()
        child.communicate()
    assert answers == ["permit", "already_consumed"]


def test_every_use_is_synced_in_wal(path: Path) -> None:
    with SQLiteReplayStore.open(path) as store:
        connection: Any = store._connection
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_the_file_is_its_owners_alone(path: Path) -> None:
    SQLiteReplayStore.open(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_dead_goes_in_passing(path: Path) -> None:
    with SQLiteReplayStore.open(path) as store:
        for number in range(PURGE_EVERY - 1):
            use(store, f"old {number}")
        assert rows(path) == PURGE_EVERY - 1
        use(store, "new", keep=KEEP + 100, now=KEEP)
        assert rows(path) == 1
        with pytest.raises(ReplayStoreError, match="clock"):
            use(store, "old 1")


def test_a_purge_of_many_is_done_in_steps(path: Path) -> None:
    with SQLiteReplayStore.open(path) as store:
        with closing(sqlite3.connect(path)) as other, other:
            other.executemany(
                "INSERT INTO used (keep_until, jti, cns) VALUES (?, ?, ?)",
                [(NOW, str(n), str(n)) for n in range(5000)],
            )
        assert store.purge(NOW) == 5000
        assert rows(path) == 0


# --- what it cannot answer for ------------------------------------------------------------------------------


def test_a_missing_store_is_refused_where_one_is_expected(path: Path) -> None:
    with pytest.raises(ReplayStoreError, match="no replay store"):
        SQLiteReplayStore.open(path, create=False)
    assert not path.exists()
    SQLiteReplayStore.open(path).close()
    SQLiteReplayStore.open(path, create=False).close()


def test_a_store_whose_file_has_gone_permits_nothing(path: Path) -> None:
    with SQLiteReplayStore.open(path) as store:
        path.unlink()
        for _ in range(2):
            with pytest.raises(ReplayStoreError, match="gone"):
                use(store, "a")
        assert not path.exists()


def test_a_store_whose_file_was_replaced_permits_nothing(path: Path, tmp_path: Path) -> None:
    """By an empty one, or by an older copy: neither has seen what was used."""
    SQLiteReplayStore.open(tmp_path / "other.db").close()
    with SQLiteReplayStore.open(path) as store:
        use(store, "a")
        (tmp_path / "other.db").replace(path)
        for _ in range(2):
            with pytest.raises(ReplayStoreError):
                use(store, "a")


def test_a_file_that_was_replaced_while_the_connection_was_closed_is_refused(
    path: Path, tmp_path: Path
) -> None:
    SQLiteReplayStore.open(tmp_path / "other.db").close()
    with SQLiteReplayStore.open(path) as store:
        use(store, "a")
        store.before_fork()  # closes it
        store.after_fork(in_child=False)
        (tmp_path / "other.db").replace(path)
        with pytest.raises(ReplayStoreError, match="replaced"):
            use(store, "a")


@pytest.mark.parametrize(
    "damage", [b"", b"not a database, though it is long enough to be taken for one" * 100]
)
def test_a_damaged_store_permits_nothing(path: Path, damage: bytes) -> None:
    store = SQLiteReplayStore.open(path)
    use(store, "a")
    store.before_fork()  # closes it, so that the damage is read
    store.after_fork(in_child=False)
    path.write_bytes(damage)
    for _ in range(2):
        with pytest.raises(ReplayStoreError):
            use(store, "a")
    store.close()


def test_another_database_is_not_taken_for_a_store(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE notes (body TEXT)")
    with pytest.raises(ReplayStoreError, match="another kind"):
        SQLiteReplayStore.open(path)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("notes",)]


def test_a_store_of_a_later_version_is_refused(path: Path) -> None:
    SQLiteReplayStore.open(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 2")
    with pytest.raises(ReplayStoreError, match="version 2"):
        SQLiteReplayStore.open(path)


def test_a_full_disk_permits_nothing_until_there_is_room(path: Path) -> None:
    with SQLiteReplayStore.open(path) as store:
        connection: Any = store._connection
        connection.execute("PRAGMA max_page_count = 1")  # SQLite's own answer for a full disk
        name = "x" * 8000
        with pytest.raises(ReplayStoreError, match="full"):
            use(store, name)
        assert use(store, name) == "fresh"  # on a new connection, without that limit


def test_a_store_that_can_only_be_read_permits_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SQLiteReplayStore.open(path).close()
    monkeypatch.setattr("delego_broker.sqlite_replay.connect", lambda path, _: connect(path, "ro"))
    with SQLiteReplayStore.open(path) as store, pytest.raises(ReplayStoreError, match="readonly"):
        use(store, "a")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReplayStoreError):
        SQLiteReplayStore.open(tmp_path / "missing" / "used.db")
    with pytest.raises(ReplayStoreError):
        SQLiteReplayStore.open(tmp_path)
    with pytest.raises(ReplayStoreError):
        SQLiteReplayStore.open("a\0b")


def test_a_store_that_others_lock_for_too_long_permits_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delego_broker.sqlite_replay.WAIT", 0.05)
    with SQLiteReplayStore.open(path) as store, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ReplayStoreError, match="locked"):
            use(store, "a")
        other.execute("ROLLBACK")
        assert use(store, "a") == "fresh"


def test_a_thread_does_not_wait_for_another_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delego_broker.sqlite_replay.WAIT", 0.01)
    with SQLiteReplayStore.open(path) as store:
        with store._mutex, pytest.raises(ReplayStoreError, match="busy"):
            use(store, "a")
        assert use(store, "a") == "fresh"


def test_a_closed_store_permits_nothing(path: Path) -> None:
    store = SQLiteReplayStore.open(path)
    store.close()
    with pytest.raises(ReplayStoreError, match="closed"):
        use(store, "a")


def test_a_name_that_cannot_be_stored_permits_nothing(path: Path) -> None:
    with SQLiteReplayStore.open(path) as store:
        with pytest.raises(ReplayStoreError):
            use(store, "\ud800")
        assert use(store, "a") == "fresh"


def _begin_and_be_interrupted(connection: sqlite3.Connection, *_: object) -> None:
    connection.execute("BEGIN IMMEDIATE")
    raise KeyboardInterrupt


def test_an_interrupted_use_leaves_no_transaction_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SQLiteReplayStore.open(path) as store:
        monkeypatch.setattr(store, "_consume", _begin_and_be_interrupted)
        with pytest.raises(KeyboardInterrupt):
            use(store, "a")
        monkeypatch.undo()
        with closing(sqlite3.connect(path, timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")
        assert use(store, "a") == "fresh"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_shares_the_store_and_forgets_nothing(path: Path) -> None:
    with SQLiteReplayStore.open(path) as store:
        use(store, "before")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = int((use(store, "before"), use(store, "in the child")) != ("jti", "fresh"))
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert use(store, "in the child") == "jti"
        assert use(store, "after") == "fresh"


def test_an_older_copy_does_not_go_unnoticed_by_a_running_broker(path: Path, tmp_path: Path) -> None:
    with SQLiteReplayStore.open(path) as store:
        use(store, "a")
    copy = shutil.copy(path, tmp_path / "copy.db")
    with SQLiteReplayStore.open(path) as store:
        use(store, "b")
        Path(copy).replace(path)
        with pytest.raises(ReplayStoreError, match="replaced"):
            use(store, "b")
