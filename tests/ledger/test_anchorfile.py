"""The anchor file only grows, only forwards, and half a line never counts."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_ledger.anchorfile import AnchorLine, append_anchor, latest_anchor, read_anchors
from delego_ledger.errors import AnchorFileError, DelegoLedgerError, LedgerBusy, StorageError
from delego_ledger.locks import FileLock
from delego_spec.anchors import Anchor
from delego_spec.types import Digest, Micros

TS = Micros(1_767_225_600_000_000)  # 2026-01-01T00:00:00Z


def anchor(seq: int, text: str = "") -> Anchor:
    return Anchor(seq, Digest(hashlib.sha256(f"{seq}{text}".encode()).hexdigest()))


def line(seq: int) -> AnchorLine:
    return AnchorLine(anchor(seq), Micros(TS + seq))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "anchors"


def fill(path: Path, *seqs: int) -> None:
    for seq in seqs:
        assert append_anchor(path, anchor(seq), Micros(TS + seq))


def test_anchors_come_back_in_order_with_their_times(path: Path) -> None:
    fill(path, 0, 3, 9_007_199_254_740_991)
    assert read_anchors(path) == (line(0), line(3), line(9_007_199_254_740_991))
    assert latest_anchor(path) == line(9_007_199_254_740_991)


def test_the_file_is_plain_lines(path: Path) -> None:
    fill(path, 7)
    assert path.read_text() == f"7:{anchor(7).entry_hash} 2026-01-01T00:00:00.000007+00:00\n"


def test_an_older_anchor_and_the_same_one_again_add_nothing(path: Path) -> None:
    fill(path, 1, 5)
    before = path.read_bytes()
    assert not append_anchor(path, anchor(5), TS)
    assert not append_anchor(path, anchor(3), TS)
    assert path.read_bytes() == before


def test_another_hash_for_the_newest_seq_is_an_error_and_adds_nothing(path: Path) -> None:
    fill(path, 5)
    before = path.read_bytes()
    with pytest.raises(AnchorFileError, match="two hashes for seq 5"):
        append_anchor(path, anchor(5, "another history"), TS)
    assert path.read_bytes() == before


def test_a_missing_file_is_an_error_for_who_reads_and_a_new_one_for_who_appends(path: Path) -> None:
    for read in (read_anchors, latest_anchor):
        with pytest.raises(AnchorFileError, match="there is no such file"):
            read(path)
    fill(path, 1)
    assert latest_anchor(path) == line(1)


def test_an_empty_file_has_no_anchors(path: Path) -> None:
    path.write_bytes(b"")
    assert read_anchors(path) == ()
    assert latest_anchor(path) is None


@pytest.mark.parametrize("zeros", [0, 1, 60])
def test_half_a_line_at_the_end_is_no_anchor_and_the_next_append_repairs_it(path: Path, zeros: int) -> None:
    whole = f"{line(12)}\n".encode()
    for cut in range(1, len(whole) - 1):
        path.write_bytes(f"{line(3)}\n".encode() + whole[:cut] + bytes(zeros))
        assert read_anchors(path) == (line(3),), cut
    fill(path, 12)
    assert path.read_bytes() == f"{line(3)}\n{line(12)}\n".encode()


def test_half_a_line_alone_is_repaired_too(path: Path) -> None:
    path.write_bytes(str(line(12)).encode()[:20])
    assert latest_anchor(path) is None
    fill(path, 1)
    assert path.read_text() == f"{line(1)}\n"


def test_a_whole_last_line_without_its_newline_counts(path: Path) -> None:
    path.write_text(f"{line(1)}\n{line(4)}")
    assert latest_anchor(path) == line(4)
    assert not append_anchor(path, anchor(2), TS)
    fill(path, 6)
    assert path.read_text() == f"{line(1)}\n{line(4)}\n{line(6)}\n"


HASH = anchor(1).entry_hash


@pytest.mark.parametrize(
    ("text", "number", "problem"),
    [
        (f"{line(1)}\n{line(1)}\n", 2, "comes after seq 1"),
        (f"{line(5)}\n{line(6)}\n{line(4)}\n", 3, "seq 4 comes after seq 6"),
        (f"{line(1)}\n{AnchorLine(anchor(1, 'x'), TS)}\n", 2, "two hashes for seq 1"),
        (f"{line(1)}\n\n", 2, "SEQ:HASH TIME is wanted"),
        (f"\n{line(1)}\n", 1, "SEQ:HASH TIME is wanted"),
        (f"{str(line(1))[:30]}\n{line(2)}\n", 1, "SEQ:HASH TIME is wanted"),
        (f"{line(1)}\r\n", 1, "SEQ:HASH TIME is wanted"),
        (f"01:{HASH} 2026-01-01T00:00:00.000000+00:00\n", 1, "is wanted"),
        (f"1:{HASH.upper()} 2026-01-01T00:00:00.000000+00:00\n", 1, "is wanted"),
        (f"1:{HASH} 2026-01-01T00:00:00Z\n", 1, "is wanted"),
        (f"1:{HASH}  2026-01-01T00:00:00.000000+00:00\n", 1, "is wanted"),
        (f"1:{HASH} 2026-02-30T00:00:00.000000+00:00\n", 1, "not a date that exists"),
        (f"{line(1)}\n\0\0\0\n{line(2)}\n", 2, "is wanted"),
        (f"{line(1)}\nsomething", 2, "is wanted"),
        (f"{line(1)}\n" + "\0" * 2000, 2, "is wanted"),
        ("1" * 5000, 1, "is wanted"),
    ],
)
def test_a_line_that_is_not_an_anchor_in_order_is_named(
    path: Path, text: str, number: int, problem: str
) -> None:
    path.write_bytes(text.encode())
    for read in (read_anchors, latest_anchor):
        with pytest.raises(AnchorFileError, match=problem) as caught:
            read(path)
        assert caught.value.line == number
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("end", ["junk", "junk\n", "\n", "\0" * 2000, "x" * 5000 + "\n"])
def test_nothing_is_added_after_an_end_that_is_not_an_anchor(path: Path, end: str) -> None:
    before = f"{line(1)}\n{end}".encode()
    path.write_bytes(before)
    with pytest.raises(AnchorFileError, match="is wanted"):
        append_anchor(path, anchor(2), TS)
    assert path.read_bytes() == before


@given(st.binary(max_size=300))
def test_random_bytes_are_read_or_refused_and_never_crash(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / f"random-{os.getpid()}"
    path.write_bytes(data)
    for act in (read_anchors, latest_anchor, lambda p: append_anchor(p, anchor(1), TS)):
        try:
            act(path)
        except DelegoLedgerError as error:
            assert "\n" not in str(error)  # noqa: PT017 - other exceptions are the failure


def test_appenders_of_many_processes_never_interleave_or_go_backwards(path: Path) -> None:
    program = (
        "import sys\n"
        "from delego_ledger.anchorfile import append_anchor\n"
        "from delego_spec.anchors import Anchor\n"
        "added = [append_anchor(sys.argv[1], Anchor(seq, '%064x' % seq), seq) for seq in range(40)]\n"
        "print(sum(added))\n"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    added = [int(worker.communicate(timeout=60)[0]) for worker in workers]
    assert [found.anchor.seq for found in read_anchors(path)] == list(range(40))
    assert sum(added) == 40


def test_an_appender_that_cannot_get_its_turn_says_so(path: Path) -> None:
    with FileLock(path.with_name("anchors.lock")), pytest.raises(LedgerBusy):
        append_anchor(path, anchor(1), TS, timeout=0.01)
    assert not path.exists()


def test_a_full_disk_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path, 1)
    before = path.read_bytes()
    real = os.write
    calls = iter([True, False])

    def full(descriptor: int, data: bytes) -> int:
        if next(calls):
            return real(descriptor, data[:50])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError, match="no space left on device") as caught:
        append_anchor(path, anchor(2), TS)
    assert caught.value.retry_safe
    assert path.read_bytes() == before


def test_every_append_is_synced_even_where_another_wrote_the_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path, 1)
    synced: list[int] = []
    real = os.fsync

    def watch(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    append_anchor(path, anchor(1), TS)
    append_anchor(path, anchor(2), TS)
    assert synced == [path.stat().st_ino] * 2


def test_the_name_of_a_new_file_is_synced_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform == "win32":
        pytest.skip("directories cannot be synced")
    synced: list[int] = []
    real = os.fsync

    def watch(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    append_anchor(path, anchor(1), TS)
    assert synced == [path.stat().st_ino, path.parent.stat().st_ino]


@pytest.mark.parametrize(
    ("wrong", "ts"),
    [
        (Anchor(-1, Digest("0" * 64)), TS),
        (Anchor(1, Digest("A" * 64)), TS),
        (Anchor(1, Digest("é" * 64)), TS),
        (Anchor(10**16, Digest("0" * 64)), TS),
        (anchor(1), Micros(-1)),
    ],
)
def test_what_could_not_be_read_back_is_not_written(path: Path, wrong: Anchor, ts: Micros) -> None:
    with pytest.raises(ValueError, match="not an anchor"):
        append_anchor(path, wrong, ts)
    assert not path.exists()


def test_a_path_that_cannot_be_opened_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        read_anchors(tmp_path)
    with pytest.raises(StorageError):
        read_anchors("a\0b")
    with pytest.raises(StorageError):
        append_anchor(tmp_path / "missing" / "anchors", anchor(1), TS)
