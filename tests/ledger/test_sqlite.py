"""The SQLite ledger among other processes, on damaged files, full disks and storage that can only be read."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chains import KEY, SIGNER, STRANGER
from delego_ledger import connections
from delego_ledger.contract import Transaction
from delego_ledger.errors import (
    AlreadyExists,
    DamagedLedger,
    DelegoLedgerError,
    LedgerBusy,
    NewerLedger,
    ReadOnlyLedger,
    StorageError,
)
from delego_ledger.sqlerrors import storage_error
from delego_ledger.sqlite import SQLiteLedger
from delego_ledger.verify import verify_lines
from delego_spec.anchors import Anchor
from delego_spec.canonical import digest
from delego_spec.chain import verify_chain
from delego_spec.receipts import decode_line, join_line
from delego_spec.types import Micros
from ledgers import ACTION, SetClock, approval, entry, execution

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes and permissions")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> SQLiteLedger:
    return filled(path)


def filled(path: Path) -> SQLiteLedger:
    """A ledger with a bit of everything."""
    made = SQLiteLedger.create(path, SIGNER, clock=SetClock())
    with made.transaction() as transaction:
        for number in range(3):
            transaction.append(entry(), context={"n": number})
            transaction.park(approval(f"a-{number}", status="approved", approved_by=("alice",)), ACTION)
            transaction.start_execution(execution(f"e-{number}"))
            transaction.put_evidence(digest({"n": number}), {"n": number})
        transaction.use_nonce("s", "n", Micros(2**50))
    made.close()
    return made


def append(transaction: Transaction) -> Anchor:
    return transaction.append(entry())


def names(directory: Path) -> list[str]:
    return sorted(item.name for item in directory.iterdir())


def python(script: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    text = f"import sys\nsys.path[:] = {sys.path!r}\n{script}"
    command = [sys.executable, "-c", text, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def finished(children: list[subprocess.Popen[str]]) -> list[str]:
    results = [child.communicate(timeout=60)[0] for child in children]
    assert [child.returncode for child in children] == [0] * len(children)
    return results


def run_sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


# --- making and opening -----------------------------------------------------------------------------------


def test_a_new_ledger_is_private_durable_and_leaves_nothing_else(path: Path) -> None:
    SQLiteLedger.create(path, SIGNER).close()
    assert names(path.parent) == ["ledger.db", "ledger.db.lock"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_writing_is_as_durable_as_the_disk(ledger: SQLiteLedger) -> None:
    with ledger.transaction() as transaction:
        connection = transaction._connection
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("taken", ["ledger.db", "ledger.db-wal"])
def test_a_new_ledger_takes_no_name_that_is_taken_nor_the_log_of_a_deleted_one(
    path: Path, taken: str
) -> None:
    (path.parent / taken).write_bytes(b"old")
    with pytest.raises(AlreadyExists, match=taken):
        SQLiteLedger.create(path, SIGNER)
    assert (path.parent / taken).read_bytes() == b"old"
    assert set(names(path.parent)) == {taken, "ledger.db.lock"}


def test_a_ledger_is_not_made_through_a_dangling_link(path: Path) -> None:
    path.symlink_to(path.parent / "elsewhere")
    with pytest.raises(AlreadyExists):
        SQLiteLedger.create(path, SIGNER)
    assert not (path.parent / "elsewhere").exists()


def test_a_name_that_is_taken_at_the_last_moment_is_left_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = connections.place_file

    def late(temporary: Path, target: Path) -> None:
        target.write_bytes(b"other")
        place(temporary, target)

    monkeypatch.setattr(connections, "place_file", late)
    with pytest.raises(AlreadyExists):
        SQLiteLedger.create(path, SIGNER)
    assert path.read_bytes() == b"other"
    assert names(path.parent) == ["ledger.db", "ledger.db.lock"]


def test_a_ledger_in_a_directory_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    for action in (SQLiteLedger.create, lambda path, _: SQLiteLedger.open(path)):
        with pytest.raises(StorageError) as caught:
            action(tmp_path / "missing" / "ledger.db", SIGNER)
        assert caught.value.retry_safe


@pytest.mark.parametrize("name", ["missing", "x" * 300, "a\0b", ""])
def test_a_missing_file_is_an_error_and_never_a_new_ledger(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError):
        SQLiteLedger.open(tmp_path / name, signer=SIGNER)
    assert names(tmp_path) == []


def test_a_ledger_that_was_made_can_be_opened_with_and_without_its_key(ledger: SQLiteLedger) -> None:
    assert SQLiteLedger.open(ledger.path).public_key == KEY
    opened = SQLiteLedger.open(ledger.path, signer=SIGNER)
    assert opened.submit([append])[0].seq == 3
    opened.close()


def test_without_its_key_a_ledger_can_only_be_read(ledger: SQLiteLedger) -> None:
    reader = SQLiteLedger.open(ledger.path)
    assert len(list(reader.lines())) == 3
    with pytest.raises(ReadOnlyLedger, match="without its signing key"):
        reader.submit([append])
    with pytest.raises(ReadOnlyLedger), reader.transaction():
        pass


def test_another_key_is_refused_by_name(ledger: SQLiteLedger) -> None:
    with pytest.raises(ReadOnlyLedger) as caught:
        SQLiteLedger.open(ledger.path, signer=STRANGER)
    assert KEY.key_id in str(caught.value)
    assert STRANGER.public_key.key_id in str(caught.value)


def test_a_file_of_another_program_is_no_ledger(path: Path) -> None:
    run_sql(path, "CREATE TABLE t (x)")
    with pytest.raises(DamagedLedger, match="of another program"):
        SQLiteLedger.open(path)
    for data in (b"", b"not a database at all" * 100, bytes(4096)):
        path.write_bytes(data)
        with pytest.raises(DamagedLedger):
            SQLiteLedger.open(path)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ("PRAGMA user_version = 2", NewerLedger, "schema version 2, this program knows up to 1"),
        ("PRAGMA user_version = 0", DamagedLedger, "schema version 0"),
        ("DELETE FROM ledger", DamagedLedger, "does not name its public key"),
        ("DROP TABLE ledger", StorageError, "no such table"),
        ("UPDATE ledger SET public_key = hex(zeroblob(32))", DamagedLedger, "not an Ed25519 public key"),
    ],
)
def test_a_ledger_whose_frame_was_changed_is_not_opened(
    ledger: SQLiteLedger, change: str, error: type[StorageError], text: str
) -> None:
    run_sql(ledger.path, change)
    with pytest.raises(error, match=text):
        SQLiteLedger.open(ledger.path)
    with pytest.raises(error, match=text):
        ledger.submit([append])


# --- races ------------------------------------------------------------------------------------------------

CREATE = """
from pathlib import Path
from chains import SIGNER
from delego_ledger.errors import AlreadyExists
from delego_ledger.sqlite import SQLiteLedger
from ledgers import entry
path = Path(sys.argv[1])
sys.stdin.read()
try:
    SQLiteLedger.create(path, SIGNER).close()
    print("made")
except AlreadyExists:
    print("taken")
ledger = SQLiteLedger.open(path, signer=SIGNER)
for _ in range(5):
    ledger.submit([lambda transaction: transaction.append(entry())])
"""


def test_of_eight_processes_that_make_one_ledger_one_does_and_all_write(path: Path) -> None:
    reading, writing = os.pipe()
    children = [python(CREATE, path, stdin=reading) for _ in range(8)]
    os.close(reading)
    os.close(writing)  # all go at once
    assert sorted(finished(children)) == ["made\n"] + ["taken\n"] * 7
    report = verify_chain(SQLiteLedger.open(path).lines(), KEY)
    assert (report.problems, report.count) == ((), 40)


CONSUME = """
from pathlib import Path
from chains import SIGNER
from delego_ledger.sqlite import SQLiteLedger
ledger = SQLiteLedger.open(Path(sys.argv[1]), signer=SIGNER)
sys.stdin.read()
for number in range(3):
    approval = ledger.approval(f"a-{number}")
    with ledger.transaction() as transaction:
        print(number, transaction.consume(approval))
"""


def test_of_eight_processes_one_consumes(ledger: SQLiteLedger) -> None:
    reading, writing = os.pipe()
    children = [python(CONSUME, ledger.path, stdin=reading) for _ in range(8)]
    os.close(reading)
    os.close(writing)
    lines = "".join(finished(children)).split("\n")
    assert [lines.count(f"{number} True") for number in range(3)] == [1, 1, 1]


def test_a_writer_waits_for_another_one_so_long_and_no_longer(path: Path) -> None:
    first = SQLiteLedger.create(path, SIGNER)
    second = SQLiteLedger.open(path, signer=SIGNER, wait=0.05)
    with first.transaction() as transaction:
        transaction.append(entry())
        with pytest.raises(LedgerBusy) as caught:
            second.submit([append])
        assert caught.value.retry_safe
    assert second.submit([append])[0].seq == 1


# --- the file changes under a running ledger --------------------------------------------------------------


def test_nothing_is_written_into_a_file_that_lost_its_name(ledger: SQLiteLedger) -> None:
    ledger.submit([append])
    away = ledger.path.with_name("away.db")
    ledger.path.rename(away)
    with pytest.raises(StorageError):
        ledger.submit([append])
    assert not ledger.path.exists()
    away.rename(ledger.path)
    assert ledger.submit([append])[0].seq == 4


def test_an_older_copy_put_in_its_place_is_found_by_who_saw_more(ledger: SQLiteLedger) -> None:
    copy = ledger.path.with_name("copy.db")
    shutil.copy(ledger.path, copy)
    ledger.submit([append, append])
    ledger.close()
    copy.replace(ledger.path)
    with pytest.raises(DamagedLedger, match="replaced by another one, or lost receipts: seq 4 "):
        ledger.submit([append])
    restarted = SQLiteLedger.open(ledger.path, signer=SIGNER)
    assert restarted.submit([append])[0].seq == 3
    restarted.close()


def test_a_ledger_replaced_by_one_of_another_key_is_not_written(ledger: SQLiteLedger) -> None:
    ledger.submit([append])
    other = ledger.path.with_name("other.db")
    SQLiteLedger.create(other, STRANGER).close()
    for leftover in ("-wal", "-shm"):
        ledger.path.with_name(ledger.path.name + leftover).unlink(missing_ok=True)
    other.replace(ledger.path)
    with pytest.raises(ReadOnlyLedger, match="of another key"):
        ledger.submit([append])
    assert SQLiteLedger.open(ledger.path).head() is None


def test_a_ledger_removed_while_it_is_read_is_a_storage_error(ledger: SQLiteLedger) -> None:
    ledger.path.unlink()
    reads: list[Callable[[], object]] = [
        ledger.head,
        lambda: list(ledger.lines()),
        lambda: ledger.receipt(0),
        lambda: ledger.approval("a-0"),
        lambda: ledger.parked_action("a-0"),
        ledger.approvals,
        ledger.executions,
        lambda: ledger.evidence("ab" * 32),
        lambda: list(ledger.evidence_items()),
    ]
    for read in reads:
        with pytest.raises(StorageError, match="cannot read"):
            read()


# --- what is stored is not what was stored ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ("UPDATE receipts SET payload = x'7b7d'", lambda ledger: ledger.receipt(0)),
        ("UPDATE receipts SET context = x'5b5d'", lambda ledger: ledger.receipt(0)),
        ("UPDATE approvals SET body = x'7b7d'", lambda ledger: ledger.approval("a-0")),
        ("UPDATE approvals SET status = 'denied'", lambda ledger: ledger.approval("a-0")),
        ("UPDATE approvals SET status = 'denied'", lambda ledger: ledger.approvals()),
        ("UPDATE approvals SET body = x'7b7d'", lambda ledger: ledger.parked_action("a-0")),
        ("UPDATE approvals SET action = x'ff'", lambda ledger: ledger.parked_action("a-0")),
        ("UPDATE approvals SET action = x'7b7d'", lambda ledger: ledger.parked_action("a-0")),
        ("UPDATE executions SET body = x'5b5d'", lambda ledger: ledger.executions()),
        ("UPDATE evidence SET body = x'5b5d'", lambda ledger: ledger.evidence(digest({"n": 0}))),
        ("UPDATE evidence SET body = x'5b5d'", lambda ledger: list(ledger.evidence_items())),
        ("UPDATE evidence SET hash = upper(hash)", lambda ledger: list(ledger.evidence_items())),
        ("UPDATE receipts SET entry_hash = upper(entry_hash)", lambda ledger: ledger.head()),
        ("UPDATE receipts SET entry_hash = upper(entry_hash)", lambda ledger: ledger.submit([append])),
    ],
)
def test_a_value_that_is_none_is_damage(
    ledger: SQLiteLedger, change: str, read: Callable[[SQLiteLedger], object]
) -> None:
    run_sql(ledger.path, change)
    with pytest.raises(DamagedLedger):
        read(ledger)


def test_an_approval_is_never_shown_with_another_action(ledger: SQLiteLedger) -> None:
    run_sql(
        ledger.path,
        "UPDATE approvals SET action = CAST(replace(CAST(action AS TEXT), '9000', '1') AS BLOB)",
    )
    with pytest.raises(DamagedLedger, match="stored with another action"):
        ledger.parked_action("a-0")


def test_every_edit_in_the_database_is_found_by_verification(ledger: SQLiteLedger) -> None:
    head = ledger.head()
    for change in (
        "UPDATE receipts SET payload = CAST(replace(CAST(payload AS TEXT), 'small', 'large') AS BLOB)",
        "UPDATE receipts SET signature = replace(signature, substr(signature, 1, 1), 'x') WHERE seq = 1",
        "DELETE FROM receipts WHERE seq = 2",
        "DELETE FROM receipts WHERE seq = 1",
    ):
        copy = ledger.path.with_name("copy.db")
        shutil.copy(ledger.path, copy)
        run_sql(copy, change)
        edited = SQLiteLedger.open(copy)
        assert not verify_lines(edited.lines(), KEY, expected_head=head, jobs=1).valid, change
        copy.unlink()


USES: list[Callable[[SQLiteLedger], object]] = [
    lambda ledger: ledger.head(),
    lambda ledger: verify_lines(ledger.lines(), KEY, jobs=1),
    lambda ledger: [ledger.receipt(number) for number in range(4)],
    lambda ledger: ledger.approvals(),
    lambda ledger: [ledger.parked_action(f"a-{number}") for number in range(3)],
    lambda ledger: ledger.executions(),
    lambda ledger: list(ledger.evidence_items()),
    lambda ledger: ledger.submit([lambda transaction: transaction.count_allows("small", Micros(0))]),
    lambda ledger: ledger.submit([lambda transaction: transaction.settle_execution("e-0")]),
    lambda ledger: ledger.submit(
        [lambda transaction: transaction.consume(approval("a-1", status="approved", approved_by=("alice",)))]
    ),
    lambda ledger: ledger.submit([lambda transaction: transaction.use_nonce("s", "m", Micros(2**50))]),
    lambda ledger: ledger.submit([append]),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("image") / "ledger.db"
    filled(path)
    return path.read_bytes()


@given(data=st.data())
@settings(max_examples=60)
def test_random_damage_gives_our_error_or_a_right_answer(
    tmp_path_factory: pytest.TempPathFactory, image: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(image)
    used = [place for place in range(len(image)) if image[place]]  # a page is mostly empty
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.sampled_from(used) | st.integers(0, len(image) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    size = data.draw(st.just(len(image)) | st.integers(0, len(image)))
    path = tmp_path_factory.mktemp("damaged") / "ledger.db"
    path.write_bytes(damaged[:size])
    try:
        ledger = SQLiteLedger.open(path, signer=SIGNER, clock=SetClock())
    except DelegoLedgerError:
        return
    for use in USES:
        try:
            use(ledger)
        except DelegoLedgerError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either outcome is fine
    try:
        ledger.close()
    finally:
        shutil.rmtree(path.parent)


def test_lines_are_the_stored_bytes_joined_and_nothing_else(path: Path) -> None:
    ledger = SQLiteLedger.create(path, SIGNER, clock=SetClock())
    odd = 'x\x00\n"\\,"entry_hash":"\u2028\U0001f600\x7f'
    contexts: list[Any] = [None, {}, {"a": odd}, {odd: [1, None, 1.5]}]
    with ledger.transaction() as transaction:
        for context in contexts:
            transaction.append(entry(odd, reasons=(odd,), action_summary=odd), context=context)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT payload, entry_hash, signature, context FROM receipts").fetchall()
    assert list(ledger.lines()) == [join_line(*row) for row in rows]
    assert [decode_line(line).context for line in ledger.lines()] == contexts
    assert verify_chain(ledger.lines(), KEY).problems == ()


# --- storage ----------------------------------------------------------------------------------------------

READ_ONLY = """
import os
from pathlib import Path
from chains import KEY, SIGNER
from delego_ledger.errors import ReadOnlyLedger, StorageError
from delego_ledger.sqlite import SQLiteLedger
from delego_ledger.verify import verify_lines
from ledgers import entry
if os.geteuid() == 0:
    os.setuid(65534)
ledger = SQLiteLedger.open(Path(sys.argv[1]), signer=SIGNER)
assert verify_lines(ledger.lines(), KEY, jobs=1).count == 3
assert len(ledger.approvals()) == 3
try:
    ledger.submit([lambda transaction: transaction.append(entry())])
except ReadOnlyLedger as error:
    assert error.retry_safe
    print("refused")
try:
    SQLiteLedger.create(Path(sys.argv[1]).with_name("new.db"), SIGNER)
except StorageError:
    print("refused")
"""


@pytest.fixture
def open_directory(tmp_path: Path) -> Any:
    """A directory that any user may enter; those of pytest are closed."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory
        directory.chmod(0o755)


@posix_only
@pytest.mark.parametrize("with_lock", [True, False])
def test_a_copy_on_read_only_storage_can_be_read_and_is_refused_for_writing(
    ledger: SQLiteLedger, open_directory: Path, with_lock: bool
) -> None:
    copy = open_directory / "ledger.db"
    shutil.copy(ledger.path, copy)
    copy.chmod(0o444)
    if with_lock:
        copy.with_name("ledger.db.lock").touch(mode=0o444)
    open_directory.chmod(0o555)
    assert finished([python(READ_ONLY, copy)]) == ["refused\nrefused\n"]


FULL = """
import resource, signal
from pathlib import Path
from chains import KEY, SIGNER
from delego_ledger.errors import StorageError
from delego_ledger.sqlite import SQLiteLedger
from delego_ledger.verify import verify_lines
from ledgers import entry
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = SQLiteLedger.open(Path(sys.argv[1]), signer=SIGNER)
acknowledged = ledger.head().seq
step = lambda transaction: transaction.append(entry(reasons=("x" * 5000,)))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
refused = 0
while refused < 3:
    try:
        acknowledged = ledger.submit([step])[0].seq
    except StorageError as error:
        refused += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert ledger.head().seq == acknowledged
assert ledger.submit([step])[0].seq == acknowledged + 1
assert verify_lines(ledger.lines(), KEY, expected_head=ledger.head(), jobs=1).valid
print(acknowledged > 3)
"""


@posix_only
def test_a_full_disk_refuses_loses_nothing_and_goes_on_when_there_is_room(ledger: SQLiteLedger) -> None:
    assert finished([python(FULL, ledger.path)]) == ["True\n"]


def test_what_sqlite_reports_is_told_in_our_words() -> None:
    def reported(code: int | None, text: str = "text") -> sqlite3.Error:
        error = sqlite3.OperationalError(text)
        if code is not None:
            error.sqlite_errorcode = code
        return error

    kinds = {
        sqlite3.SQLITE_CORRUPT: DamagedLedger,
        sqlite3.SQLITE_NOTADB: DamagedLedger,
        sqlite3.SQLITE_READONLY: ReadOnlyLedger,
        sqlite3.SQLITE_READONLY | 5 << 8: ReadOnlyLedger,
        sqlite3.SQLITE_PERM: ReadOnlyLedger,
        sqlite3.SQLITE_BUSY: LedgerBusy,
        sqlite3.SQLITE_LOCKED: LedgerBusy,
        sqlite3.SQLITE_IOERR: StorageError,
        sqlite3.SQLITE_FULL: StorageError,
    }
    for code, kind in kinds.items():
        assert type(storage_error(reported(code), "p", "write")) is kind
    assert storage_error(reported(sqlite3.SQLITE_IOERR), "p", "write").retry_safe
    assert not storage_error(reported(sqlite3.SQLITE_IOERR), "p", "write", committing=True).retry_safe
    assert storage_error(reported(sqlite3.SQLITE_FULL), "p", "write", committing=True).retry_safe
    assert (
        type(storage_error(reported(None, "Could not decode to UTF-8 column"), "p", "read")) is DamagedLedger
    )
    assert type(storage_error(reported(None), "p", "read")) is StorageError


# --- forks, kills, interrupts -----------------------------------------------------------------------------

FORK = """
import os, threading
from pathlib import Path
from chains import KEY, SIGNER
from delego_ledger.sqlite import SQLiteLedger
from delego_ledger.verify import verify_lines
from ledgers import entry
step = lambda transaction: transaction.append(entry())
ledger = SQLiteLedger.open(Path(sys.argv[1]), signer=SIGNER)
ledger.submit([step])
stop = threading.Event()
def write():
    while not stop.is_set():
        ledger.submit([step])
writer = threading.Thread(target=write)
writer.start()
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        for _ in range(10):
            ledger.submit([step])
        os._exit(0)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
stop.set()
writer.join()
assert codes == [0] * 4, codes
report = verify_lines(ledger.lines(), KEY, jobs=1)
assert report.valid, report
print(report.count >= 40)
"""


@posix_only
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_parent_and_forked_children_write_on_one_ledger(ledger: SQLiteLedger) -> None:
    assert finished([python(FORK, ledger.path)]) == ["True\n"]


KILLED = """
from pathlib import Path
from chains import SIGNER
from delego_ledger.sqlite import SQLiteLedger
from ledgers import entry
ledger = SQLiteLedger.open(Path(sys.argv[1]), signer=SIGNER)
while True:
    print(ledger.submit([lambda transaction: transaction.append(entry())] * 3)[-1], flush=True)
"""


@posix_only
def test_what_was_acknowledged_before_a_kill_is_there_after_it(ledger: SQLiteLedger) -> None:
    chance = random.Random(7)
    for _ in range(6):
        child = python(KILLED, ledger.path)
        assert child.stdout is not None
        acknowledged = ""
        for _ in range(chance.randint(1, 12)):
            acknowledged = child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        rest = child.communicate(timeout=60)[0].split("\n")
        acknowledged = next((line for line in reversed(rest[:-1]) if line), acknowledged)
        anchor = Anchor.parse(acknowledged.strip())
        report = verify_lines(SQLiteLedger.open(ledger.path).lines(), KEY, anchors=[anchor], jobs=1)
        assert report.problems == ()
        assert report.head is not None
        assert (report.head.seq - 2) % 3 == 0  # whole transactions


def test_an_interrupted_caller_s_steps_are_never_run_later(ledger: SQLiteLedger) -> None:
    class Interrupted(BaseException):
        pass

    class Lock:
        def __enter__(self) -> None:
            raise Interrupted

        def __exit__(self, *_: object) -> None: ...

    ran: list[str] = []
    real = ledger._writer
    ledger._writer = Lock()  # type: ignore[assignment]  # an interrupt that comes while waiting
    with pytest.raises(Interrupted):
        ledger.submit([lambda _: ran.append("interrupted")])
    ledger._writer = real
    ledger.submit([lambda _: ran.append("next")])
    assert ran == ["next"]


def test_an_interrupt_in_a_step_reaches_its_caller_and_the_others_learn_that_nobody_knows(
    ledger: SQLiteLedger,
) -> None:
    inside, go = threading.Event(), threading.Event()
    outcomes: list[BaseException | None] = []

    def interrupted(transaction: Transaction) -> None:
        inside.set()
        go.wait(10)
        raise KeyboardInterrupt

    def submit(step: Callable[[Transaction], object]) -> None:
        try:
            ledger.submit([step])
            outcomes.append(None)
        except BaseException as error:  # noqa: BLE001 - that is what is looked at
            outcomes.append(error)

    with ledger.transaction():
        first = threading.Thread(target=submit, args=[interrupted])
        first.start()
        while not ledger._waiting:
            time.sleep(0.001)
        second = threading.Thread(target=submit, args=[append])
        second.start()
        while len(ledger._waiting) < 2:
            time.sleep(0.001)
    inside.wait(10)
    go.set()
    first.join()
    second.join()
    kinds = {type(outcome) for outcome in outcomes}
    assert kinds == {KeyboardInterrupt, StorageError}
    unsure = next(outcome for outcome in outcomes if isinstance(outcome, StorageError))
    assert not unsure.retry_safe
    assert len(list(ledger.lines())) == 3
    assert ledger.submit([append])[0].seq == 3


def test_a_signer_that_fails_fails_the_callers_and_not_the_ledger(path: Path) -> None:
    class Failing:
        public_key = KEY
        works = False

        def sign(self, message: bytes) -> bytes:
            if not self.works:
                raise ConnectionError("the key is elsewhere")
            return SIGNER.sign(message)

    signer = Failing()
    ledger = SQLiteLedger.create(path, signer)
    with pytest.raises(StorageError, match=r"cannot sign for .*: the key is elsewhere") as caught:
        ledger.submit([append])
    assert caught.value.retry_safe
    assert ledger.head() is None
    signer.works = True
    assert ledger.submit([append])[0].seq == 0


def test_a_storage_error_in_one_transaction_is_everybody_s(
    ledger: SQLiteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(transaction: Transaction) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(StorageError, match="disk I/O error"):
        ledger.submit([append, broken])
    assert len(list(ledger.lines())) == 3
    assert ledger.submit([append])[0].seq == 3
