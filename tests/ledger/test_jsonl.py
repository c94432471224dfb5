"""JSON Lines: what is read is split on LF alone, what is written is what is stored."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains import KEY, SIGNER, chain
from delego_ledger.errors import AlreadyExists, EvidenceFileError, StorageError
from delego_ledger.files import new_file
from delego_ledger.jsonl import export_evidence, export_receipts, lines_of, read_evidence, read_lines
from delego_ledger.sqlite import SQLiteLedger
from delego_ledger.verify import verify_lines
from delego_spec.canonical import canonical, digest
from delego_spec.receipts import MAX_LINE_BYTES
from ledgers import SetClock, entry

SOUND = chain(5, context={"principal": "agent-1"})


@pytest.fixture
def ledger(tmp_path: Path) -> SQLiteLedger:
    made = SQLiteLedger.create(tmp_path / "ledger.db", SIGNER, clock=SetClock())
    with made.transaction() as transaction:
        for number in range(3):
            transaction.append(entry(f"r\u2028{number}"), context={"n": number} if number else None)
        for number in range(3):
            transaction.put_evidence(digest({"n": number}), {"n": number})
    return made


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir() if not entry.name.startswith("ledger.db"))


def split(data: bytes) -> list[bytes]:
    return list(lines_of(io.BytesIO(data)))


# --- reading ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\r", [b"a\r"]),
        (b"a\rb\n", [b"a\rb"]),
        (b"a\r\r\n", [b"a\r"]),
        (b"\n", [b""]),
        (b"\r\n", [b""]),
        (b"a\n\nb\n", [b"a", b"", b"b"]),
        (b"\xef\xbb\xbfa\n", [b"\xef\xbb\xbfa"]),
        ("a\u2028b\u0085c\x0bd\x0ce\x1cf\n".encode(), ["a\u2028b\u0085c\x0bd\x0ce\x1cf".encode()]),
    ],
)
def test_lines_end_with_lf_alone(data: bytes, lines: list[bytes]) -> None:
    assert split(data) == lines


@given(st.lists(st.binary(max_size=9).filter(lambda line: b"\n" not in line and not line.endswith(b"\r"))))
def test_what_was_joined_is_split_again(lines: list[bytes]) -> None:
    assert split(b"".join(line + b"\n" for line in lines)) == lines


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_longest_line_is_whole(end: bytes) -> None:
    line = b"x" * MAX_LINE_BYTES
    assert split(line + end) == [line]


@pytest.mark.parametrize("extra", [1, 2, 3, MAX_LINE_BYTES, 3 * MAX_LINE_BYTES + 5])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_longer_line_is_cut_to_a_beginning_that_is_still_too_long(extra: int, end: bytes) -> None:
    lines = split(b"x" * (MAX_LINE_BYTES + extra) + end + (b"next\n" if end else b""))
    assert MAX_LINE_BYTES < len(lines[0]) <= MAX_LINE_BYTES + 2
    assert lines[1:] == ([b"next"] if end else [])


def test_a_line_too_long_is_one_problem_and_the_lines_behind_it_keep_their_place(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(SOUND[0] + b"\n" + b" " * (3 * MAX_LINE_BYTES) + b"\n" + SOUND[2] + b"\n")
    problems = [str(problem) for problem in verify_lines(read_lines(path), KEY).problems]
    assert problems == ["line 1: unparseable receipt (corrupt)", "seq 2: broken chain link"]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a device that never ends")
def test_a_file_without_any_line_end_takes_no_memory() -> None:
    first = next(read_lines("/dev/zero"))
    assert len(first) == MAX_LINE_BYTES + 1


def test_a_file_is_read_and_verified(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    path.write_bytes(b"\r\n".join(SOUND))
    assert list(read_lines(path)) == list(read_lines(str(path))) == SOUND
    assert verify_lines(read_lines(path), KEY).valid


@pytest.mark.parametrize("name", ["missing", ".", "a\0b", "x" * 300])
def test_a_file_that_cannot_be_read_is_a_storage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="cannot read"):
        list(read_lines(f"{tmp_path}/{name}"))


STDIN = """
import sys
sys.path[:] = {path!r}
from delego_ledger.jsonl import read_lines
for line in read_lines("-"):
    print(len(line), flush=True)
"""


def test_a_dash_is_standard_input(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STDIN.format(path=sys.path)],
        input=b"\n".join(SOUND),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert list(map(int, done.stdout.split())) == [len(line) for line in SOUND]


def test_standard_input_is_read_line_by_line() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STDIN.format(path=sys.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"abc\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"3\n"


# --- writing ----------------------------------------------------------------------------------------------


def test_an_export_holds_the_stored_bytes_and_verifies_by_itself(
    ledger: SQLiteLedger, tmp_path: Path
) -> None:
    path = tmp_path / "out.jsonl"
    assert export_receipts(ledger, path) == 3
    assert path.read_bytes() == b"".join(line + b"\n" for line in ledger.lines())
    assert verify_lines(read_lines(path), KEY, expected_head=ledger.head()).valid
    assert names(tmp_path) == ["out.jsonl"]


def test_part_of_a_ledger_can_be_exported_to_a_stream(ledger: SQLiteLedger) -> None:
    stream = io.BytesIO()
    assert export_receipts(ledger, stream, start=1, stop=2) == 1
    assert stream.getvalue() == next(ledger.lines(1)) + b"\n"
    assert not stream.closed


def test_progress_is_told(ledger: SQLiteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delego_ledger.jsonl._EVERY", 2)
    seen: list[int] = []
    export_receipts(ledger, io.BytesIO(), progress=seen.append)
    assert seen == [2, 3]


def test_a_name_that_is_taken_is_left_as_it_is(ledger: SQLiteLedger, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"old")
    for export in (export_receipts, export_evidence):
        with pytest.raises(AlreadyExists):
            export(ledger, path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["out.jsonl"]


def test_a_name_that_is_taken_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with pytest.raises(AlreadyExists), new_file(path) as file:  # noqa: PT012 - the block is the point
        file.write(b"new")
        path.write_bytes(b"other")
    assert path.read_bytes() == b"other"
    assert names(tmp_path) == ["out.jsonl"]


def test_an_export_that_fails_leaves_no_file(ledger: SQLiteLedger, tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_receipts(ledger, tmp_path / "out.jsonl", progress=stop)
    with pytest.raises(StorageError, match="cannot write"):
        export_receipts(ledger, tmp_path / "missing" / "out.jsonl")
    with pytest.raises(StorageError, match="cannot write"):
        export_receipts(ledger, f"{tmp_path}/a\0b")
    assert names(tmp_path) == []


def test_an_export_is_private(ledger: SQLiteLedger, tmp_path: Path) -> None:
    export_receipts(ledger, tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_stream_that_cannot_be_written_is_a_storage_error(ledger: SQLiteLedger) -> None:
    with (
        open("/dev/full", "wb", buffering=0) as full,  # noqa: PTH123 - unbuffered
        pytest.raises(StorageError, match="no space left"),
    ):
        export_receipts(ledger, full)  # type: ignore[arg-type]  # a raw stream writes the same


def test_a_reader_that_went_away_is_a_storage_error(ledger: SQLiteLedger) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as gone, pytest.raises(StorageError, match="broken pipe"):
        export_receipts(ledger, gone)  # type: ignore[arg-type]  # a raw stream writes the same


def test_an_export_goes_on_while_receipts_are_written(ledger: SQLiteLedger) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            ledger.submit([lambda transaction: transaction.append(entry())])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(10):
            stream = io.BytesIO()
            count = export_receipts(ledger, stream)
            report = verify_lines(split(stream.getvalue()), KEY)
            assert (report.valid, report.count) == (True, count)
    finally:
        stop.set()
        writer.join()


# --- evidence ---------------------------------------------------------------------------------------------


def test_evidence_is_written_as_canonical_lines_whose_hash_is_their_name(
    ledger: SQLiteLedger, tmp_path: Path
) -> None:
    path = tmp_path / "evidence.jsonl"
    assert export_evidence(ledger, path) == 3
    lines = path.read_bytes().split(b"\n")[:-1]
    assert sorted(lines) == [canonical({"n": number}) for number in range(3)]
    hashes = [hashlib.sha256(line).hexdigest() for line in lines]
    assert hashes == sorted(hashes)
    assert read_evidence(path) == dict(ledger.evidence_items())


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"?\n", "line 1: evidence: is not JSON"),
        (b'{"a":1}\n[]\n', "line 2: is not one object in canonical JSON"),
        (b'{"a": 1}\n', "line 1: is not one object in canonical JSON"),
        (b'{"a":1,"a":2}\n', "twice"),
        (b"\n", "line 1: evidence: is not JSON"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_a_file_of_something_else_is_no_evidence(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "evidence.jsonl"
    path.write_bytes(data)
    with pytest.raises(EvidenceFileError) as caught:
        read_evidence(path)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"evidence file '{path}', line ")


def test_evidence_that_cannot_be_read_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        read_evidence(tmp_path / "missing")


def test_a_stream_that_takes_a_little_at_a_time_gets_everything(ledger: SQLiteLedger) -> None:
    class Slow(io.BytesIO):
        def write(self, data: bytes, /) -> int:  # type: ignore[override]  # bytes are all it gets
            return super().write(data[:7])

    slow = Slow()
    export_receipts(ledger, slow)
    assert split(slow.getvalue()) == list(ledger.lines())


def test_an_empty_ledger_exports_nothing(tmp_path: Path) -> None:
    empty = SQLiteLedger.create(tmp_path / "ledger.db", SIGNER)
    seen: list[int] = []
    assert export_receipts(empty, tmp_path / "out", progress=seen.append) == 0
    assert (tmp_path / "out").read_bytes() == b""
    assert seen == [0]


def test_lines_come_one_at_a_time() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"abc\n"

    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.source = endless()

        def readline(self, size: int | None = -1, /) -> bytes:
            return next(self.source)

    assert next(lines_of(Stream())) == b"abc"  # type: ignore[arg-type]  # only its readline is used
