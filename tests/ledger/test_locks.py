"""One holder at a time, over threads, processes, forks and crashes."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from delego_ledger import locks
from delego_ledger.errors import LedgerBusy, ReadOnlyLedger, StorageError
from delego_ledger.locks import FileLock

LONG = 60.0  # seconds; a wait that a working lock never uses up
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="fork and signals")


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own; forking in the test's would copy its threads."""
    return subprocess.run(
        # Newer Pythons warn of a fork beside other threads, which is what some of these programs are about.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


def standing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "delego-lock"]


def is_free(path: Path) -> bool:
    lock = FileLock(path, timeout=0)
    try:
        with lock:
            return True
    except LedgerBusy:
        return False


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.lock"


@pytest.fixture(autouse=True)
def nobody_left_standing() -> Iterator[None]:
    yield
    for thread in standing():
        thread.join(LONG)
    assert not standing()


@pytest.mark.parametrize("timeout", [None, LONG])
def test_threads_that_share_a_lock_take_turns(path: Path, timeout: float | None) -> None:
    lock = FileLock(path, timeout=timeout)
    inside = 0
    most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(100):
            with lock:
                inside += 1
                most = max(most, inside)
                path.stat()  # gives the interpreter away
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


@pytest.mark.parametrize("timeout", [None, LONG])
def test_processes_take_turns(path: Path, timeout: float | None) -> None:
    counter = path.with_name("counter")
    counter.write_text("0")
    program = (
        "import sys, pathlib\n"
        "from delego_ledger.locks import FileLock\n"
        f"lock = FileLock(sys.argv[1], timeout={timeout})\n"
        "counter = pathlib.Path(sys.argv[2])\n"
        "for _ in range(150):\n"
        "    with lock:\n"
        "        counter.write_text(str(int(counter.read_text()) + 1))\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", program, path, counter]) for _ in range(4)]
    assert [worker.wait(LONG) for worker in workers] == [0] * 4
    assert counter.read_text() == "600"


def test_two_locks_on_one_path_exclude_each_other_within_a_process(path: Path) -> None:
    with FileLock(path):
        assert not is_free(path)
    assert is_free(path)


def test_a_timeout_says_who_could_not_wait_longer_and_that_nothing_was_done(path: Path) -> None:
    with (
        FileLock(path),
        pytest.raises(LedgerBusy, match=r"held it for 0\.02 s; nothing was changed") as caught,
    ):
        FileLock(path, timeout=0.02).acquire()
    assert caught.value.retry_safe
    assert caught.value.waited == 0.02


def test_a_timeout_counts_against_threads_of_the_same_lock(path: Path) -> None:
    lock = FileLock(path, timeout=0.02)
    with lock:
        failed: list[bool] = []

        def wait() -> None:
            with pytest.raises(LedgerBusy):
                lock.acquire()
            failed.append(True)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
    assert failed == [True]
    with lock:
        pass


def test_a_wait_with_a_timeout_ends_when_the_lock_comes_free(path: Path) -> None:
    holder, waiter = FileLock(path), FileLock(path, timeout=LONG)
    got = threading.Event()

    def wait() -> None:
        with waiter:
            assert not is_free(path)
            got.set()

    holder.acquire()
    thread = threading.Thread(target=wait)
    thread.start()
    while not standing():  # until the other has joined the line
        pass
    assert not got.is_set()
    holder.release()
    thread.join(LONG)
    assert got.is_set()
    assert is_free(path)


def test_a_caller_that_comes_back_keeps_its_one_place_in_line(path: Path) -> None:
    holder, waiter = FileLock(path), FileLock(path, timeout=0.01)
    with holder:
        for _ in range(5):
            with pytest.raises(LedgerBusy):
                waiter.acquire()
        (thread,) = standing()
    thread.join(LONG)
    with waiter:
        assert not is_free(path)
    assert is_free(path)


def test_a_place_in_line_can_be_taken_up_again_and_then_holds_the_lock(path: Path) -> None:
    holder, waiter = FileLock(path), FileLock(path, timeout=0.01)
    holder.acquire()
    while (place := waiter._place) is None:  # on a busy machine the time may be over before it stands in line
        with pytest.raises(LedgerBusy):
            waiter.acquire()
    assert place.rejoin()
    holder.release()
    assert place.wait(locks.time.monotonic() + LONG)
    assert not is_free(path), "whoever stood in line has it"
    place.let_go()
    with waiter:
        assert waiter._place is None


def test_a_place_whose_caller_gave_up_passes_the_lock_on(path: Path) -> None:
    holder, waiter = FileLock(path), FileLock(path, timeout=0.01)
    with holder, pytest.raises(LedgerBusy):
        waiter.acquire()
    with FileLock(path, timeout=LONG):
        pass
    del waiter
    for thread in standing():
        thread.join(LONG)
    assert is_free(path)


def test_an_error_inside_the_block_releases(path: Path) -> None:
    with pytest.raises(KeyError), FileLock(path):
        raise KeyError
    assert is_free(path)


def test_taking_it_twice_in_one_thread_is_misuse_and_not_a_deadlock(path: Path) -> None:
    lock = FileLock(path)
    with lock:
        with pytest.raises(RuntimeError, match="already"):
            lock.acquire()
        assert not is_free(path)


def test_only_the_holder_may_release(path: Path) -> None:
    lock = FileLock(path)
    with pytest.raises(RuntimeError, match="does not hold"):
        lock.release()


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf")])
def test_an_impossible_timeout_is_misuse(path: Path, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be"):
        FileLock(path, timeout=timeout)


@posix_only
def test_a_removed_lock_file_does_not_let_two_in(path: Path) -> None:
    old = FileLock(path, timeout=0)
    with old:
        path.unlink()
    with FileLock(path), pytest.raises(LedgerBusy):
        old.acquire()
    with old:
        path.unlink()
    with old:
        assert not is_free(path)


@posix_only
def test_a_killed_holder_leaves_the_lock_free(path: Path) -> None:
    program = (
        "import sys\n"
        "from delego_ledger.locks import FileLock\n"
        "lock = FileLock(sys.argv[1])\n"
        "lock.acquire()\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert not is_free(path)
        holder.kill()
        with FileLock(path, timeout=LONG):
            pass


@posix_only
def test_a_forked_child_neither_holds_nor_releases_the_lock_of_its_parent(path: Path) -> None:
    program = """
import os, sys
from delego_ledger.errors import LedgerBusy
from delego_ledger.locks import FileLock
lock = FileLock(sys.argv[1], timeout=0)
with lock:
    if not os.fork():
        try:
            with lock:
                os._exit(2)
        except LedgerBusy:
            pass
        # now the child leaves the block that it was born in
    else:
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        try:
            FileLock(sys.argv[1], timeout=0).acquire()
        except LedgerBusy:
            pass
        else:
            sys.exit(3)
"""
    done = run(program, path)
    assert (done.returncode, done.stderr) == (0, "")


@posix_only
def test_a_child_forked_by_another_thread_can_use_the_lock_afterwards(path: Path) -> None:
    program = """
import os, sys, threading
from delego_ledger.locks import FileLock
lock = FileLock(sys.argv[1], timeout=60)
held, done = threading.Event(), threading.Event()
def hold():
    with lock:
        held.set(); done.wait()
thread = threading.Thread(target=hold); thread.start(); held.wait()
child = os.fork()
if not child:
    with lock:
        pass
    try:
        lock.release()
    except RuntimeError:
        os._exit(0)
    os._exit(2)
done.set(); thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = run(program, path)
    assert done.returncode == 0, done.stderr


@posix_only
def test_a_child_forked_while_a_place_stands_in_line_does_not_keep_it_standing(path: Path) -> None:
    program = """
import os, signal, sys, threading
from delego_ledger.errors import LedgerBusy
from delego_ledger.locks import FileLock
holder, waiter = FileLock(sys.argv[1]), FileLock(sys.argv[1], timeout=0.01)
with holder:
    try:
        waiter.acquire()
    except LedgerBusy:
        pass
    child = os.fork()
    if not child:
        signal.pause()
for thread in threading.enumerate():  # the place in line comes to its turn, and passes on
    if thread is not threading.main_thread():
        thread.join()
try:
    with FileLock(sys.argv[1], timeout=10):
        pass
finally:
    os.kill(child, signal.SIGKILL)
"""
    done = run(program, path)
    assert (done.returncode, done.stderr) == (0, "")


@posix_only
@pytest.mark.parametrize("waiting", [False, True])
def test_a_child_that_outlives_a_killed_parent_does_not_keep_the_lock(path: Path, waiting: bool) -> None:
    program = """
import os, signal, sys, time
from delego_ledger.errors import LedgerBusy
from delego_ledger.locks import FileLock
lock, second = FileLock(sys.argv[1]), FileLock(sys.argv[1], timeout=0.01)
lock.acquire()
if sys.argv[2] == "True":  # a second lock of the parent's stands in line at the fork
    try:
        second.acquire()
    except LedgerBusy:
        pass
if not os.fork():
    print("born", flush=True)
    sys.stdin.read()
    os._exit(0)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, path, str(waiting)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"born\n"
        assert not is_free(path)
        parent.send_signal(signal.SIGKILL)
        with FileLock(path, timeout=LONG):
            pass


@posix_only
@pytest.mark.parametrize("timeout", ["None", "60"])
def test_an_interrupted_wait_leaves_the_lock_usable(path: Path, timeout: str) -> None:
    program = f"""
import signal, sys
from delego_ledger.locks import FileLock
def interrupt(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
holder, lock = FileLock(sys.argv[1]), FileLock(sys.argv[1], timeout={timeout})
with holder:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        lock.acquire()
    except KeyboardInterrupt:
        pass
    else:
        sys.exit(2)
with FileLock(sys.argv[1], timeout=10):
    pass
with lock:
    pass
"""
    done = run(program, path)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupt_just_after_the_lock_came_does_not_keep_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = FileLock(path)

    def interrupt(_: FileLock) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(FileLock, "_still_named", interrupt)
        with pytest.raises(KeyboardInterrupt):
            lock.acquire()
    assert is_free(path)


def test_an_interrupt_in_the_moment_that_the_turn_comes_does_not_keep_the_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = locks._PlaceInLine(os.open(path, os.O_RDWR | os.O_CREAT), (0, 0))
    assert place._turn.wait(LONG)
    assert not is_free(path)

    def interrupt(_: float) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(place._turn, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        place.wait(0)
    assert is_free(path)


def test_closing_frees_the_file_and_the_next_use_opens_it_again(path: Path) -> None:
    lock = FileLock(path)
    with lock, pytest.raises(RuntimeError, match="in use"):
        lock.close()
    lock.close()
    lock.close()
    with lock:
        assert not is_free(path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_dropped_locks_leave_no_descriptors(path: Path) -> None:
    def count() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    for _ in range(50):
        with FileLock(path):
            is_free(path)
    assert count() <= before


def test_a_lock_in_a_missing_directory_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such file or directory; nothing was changed"):
        FileLock(tmp_path / "missing" / "lock").acquire()


def test_a_path_that_cannot_be_a_name_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match="null"):
        FileLock("a\0b").acquire()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_storage_that_may_not_be_written_is_a_read_only_ledger(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ReadOnlyLedger):
        FileLock(path).acquire()


def test_a_lock_that_failed_can_be_tried_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = FileLock(path)

    def fail(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as broken:
        broken.setattr(locks, "_wait_lock", fail)
        with pytest.raises(StorageError, match="no locks available"):
            lock.acquire()
    with lock:
        assert not is_free(path)


def test_an_error_of_the_one_that_stands_in_line_reaches_the_caller(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, lock = FileLock(path), FileLock(path, timeout=LONG)

    def fail(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with holder, monkeypatch.context() as broken:
        broken.setattr(locks, "_wait_lock", fail)
        with pytest.raises(StorageError, match="no locks available"):
            lock.acquire()
    with lock:
        assert not is_free(path)


def test_a_system_without_another_thread_is_a_storage_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, lock = FileLock(path), FileLock(path, timeout=LONG)

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with holder, monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", fail)
        with pytest.raises(StorageError, match="can't start new thread"):
            lock.acquire()
    with lock:
        assert not is_free(path)


def test_a_failed_unlock_is_reported_and_still_lets_the_next_one_in(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = FileLock(path)
    lock.acquire()

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(locks, "_unlock", fail)
        with pytest.raises(StorageError, match="cannot unlock"):
            lock.release()
    assert is_free(path)
    with lock:
        pass
