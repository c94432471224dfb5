"""Files are written whole or not at all, and never over one that is there."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from delego_ledger import files
from delego_ledger.errors import AlreadyExists, DelegoLedgerError, StorageError
from delego_ledger.files import read_file, sync_directory, write_atomically

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and signals")


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_a_new_file_holds_all_bytes_and_leaves_no_temporary_name(tmp_path: Path) -> None:
    path = tmp_path / "f"
    data = os.urandom(300_000)
    write_atomically(path, data)
    assert path.read_bytes() == data
    assert names(tmp_path) == ["f"]


@posix_only
def test_a_new_file_is_private_unless_asked_otherwise(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        write_atomically(tmp_path / "private", b"x")
        write_atomically(tmp_path / "public", b"x", mode=files.PUBLIC)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "public").stat().st_mode) == 0o644


def test_a_taken_name_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with pytest.raises(AlreadyExists, match="already exists"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


@posix_only
def test_a_dangling_link_is_a_taken_name(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AlreadyExists):
        write_atomically(path, b"new")
    assert not (tmp_path / "elsewhere").exists()


@posix_only
def test_overwriting_replaces_a_link_and_does_not_write_through_it(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"other")
    path = tmp_path / "f"
    path.symlink_to(elsewhere)
    write_atomically(path, b"new", overwrite=True)
    assert elsewhere.read_bytes() == b"other"
    assert not path.is_symlink()
    assert path.read_bytes() == b"new"


def test_overwriting_when_asked_replaces_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"a longer old text")
    write_atomically(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["f"]


def test_of_many_writers_of_one_name_exactly_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "f"
    start = threading.Barrier(8)
    won: list[bytes] = []

    def write(data: bytes) -> None:
        start.wait()
        try:
            write_atomically(path, data)
        except AlreadyExists:
            return
        won.append(data)

    threads = [threading.Thread(target=write, args=(b"%d" % n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert path.read_bytes() == won[0]
    assert names(tmp_path) == ["f"]


@posix_only
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_writer_killed_before_placing_the_file_leaves_no_file_under_the_name(
    tmp_path: Path, overwrite: bool
) -> None:
    path = tmp_path / "f"
    program = (
        "import os, signal, sys\n"
        "from delego_ledger import files\n"
        "files.place_file = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"files.write_atomically(sys.argv[1], b'half', overwrite={overwrite})\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    (leftover,) = tmp_path.iterdir()
    assert leftover.name.startswith(".")
    assert stat.S_IMODE(leftover.stat().st_mode) == 0o600

    write_atomically(path, b"whole")
    assert path.read_bytes() == b"whole"
    assert leftover.exists(), "it may belong to a live writer"

    os.utime(leftover, (0, 0))
    write_atomically(path, b"again", overwrite=True)
    assert names(tmp_path) == ["f"]


def no_hard_links(self: Path, target: Path) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_storage_without_hard_links_still_gets_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "hardlink_to", no_hard_links)
    path = tmp_path / "f"
    write_atomically(path, b"one")
    with pytest.raises(AlreadyExists):
        write_atomically(path, b"two")
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["f"]


def test_a_failing_link_is_a_storage_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, target: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "hardlink_to", fail)
    with pytest.raises(StorageError, match="input/output error; nothing was changed") as caught:
        write_atomically(tmp_path / "f", b"x")
    assert caught.value.retry_safe
    assert names(tmp_path) == []


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) < 500:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[:500])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError, match="no space left on device") as caught:
        write_atomically(tmp_path / "f", bytes(1300))
    assert caught.value.retry_safe
    assert names(tmp_path) == []


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
    write_atomically(tmp_path / "f", b"0123456789" * 5)
    assert (tmp_path / "f").read_bytes() == b"0123456789" * 5


def test_a_directory_that_cannot_be_synced_is_reported_as_not_safe_to_repeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fail(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError) as caught:
        write_atomically(tmp_path / "f", b"x")
    assert not caught.value.retry_safe


@posix_only
def test_the_file_is_synced_before_it_is_named_and_its_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    seen: list[tuple[str, bool]] = []
    real = os.fsync

    def watch(descriptor: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        seen.append((kind, path.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    write_atomically(path, b"x")
    assert seen == [("file", False), ("directory", True)]


@posix_only
def test_storage_that_cannot_sync_directories_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(descriptor: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unsupported)
    sync_directory(tmp_path)


@pytest.mark.parametrize("name", ["missing/f", "a\0b", "x" * 300])
def test_an_impossible_path_is_a_storage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError):
        write_atomically(tmp_path / name, b"x")
    with pytest.raises(StorageError):
        read_file(tmp_path / name, limit=10)
    assert names(tmp_path) == []


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    assert read_file(path, limit=10)[0] == b"0123456789"
    with pytest.raises(StorageError, match="larger than 9 bytes"):
        read_file(path, limit=9)


@posix_only
def test_an_endless_device_does_not_fill_the_memory() -> None:
    with pytest.raises(StorageError, match="larger than"):
        read_file("/dev/zero", limit=1000)


def test_a_directory_is_not_read_as_a_file(tmp_path: Path) -> None:
    with pytest.raises(DelegoLedgerError, match="cannot read"):
        read_file(tmp_path, limit=10)
