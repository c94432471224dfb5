"""The error family of the ledger room: one root, one line, whole across process borders."""

from __future__ import annotations

import pickle

import pytest

from delego_ledger.errors import (
    AlreadyExists,
    AnchorFileError,
    DamagedLedger,
    DelegoLedgerError,
    EvidenceFileError,
    KeyFileError,
    LedgerBusy,
    NewerLedger,
    ReadOnlyLedger,
    StorageError,
    WrongPassphrase,
)

PATH = "/h/a\nb"
ERRORS: list[tuple[DelegoLedgerError, str]] = [
    (KeyFileError(PATH, "it is odd"), r"key file '/h/a\nb': it is odd"),
    (WrongPassphrase(PATH), r"wrong passphrase for '/h/a\nb'"),
    (AnchorFileError(PATH, "it is odd"), r"anchor file '/h/a\nb': it is odd"),
    (AnchorFileError(PATH, "it is odd", line=3), r"anchor file '/h/a\nb', line 3: it is odd"),
    (EvidenceFileError(PATH, "it is odd", line=3), r"evidence file '/h/a\nb', line 3: it is odd"),
    (AlreadyExists(PATH), r"'/h/a\nb' already exists and was left as it is; choose another path"),
    (
        StorageError("write", PATH, OSError(28, "No space left on device"), retry_safe=True),
        r"cannot write '/h/a\nb': no space left on device; nothing was changed",
    ),
    (
        StorageError("write", PATH, ValueError("Two\nlines"), retry_safe=False),
        r"cannot write '/h/a\nb': two lines; it may or may not have been done, look before trying again",
    ),
    (LedgerBusy(PATH, 2.5), r"cannot lock '/h/a\nb': another writer held it for 2.5 s; nothing was changed"),
    (ReadOnlyLedger(PATH, "it is"), r"cannot write '/h/a\nb': it is; nothing was changed"),
    (
        DamagedLedger(PATH, "bad page"),
        r"'/h/a\nb' is damaged: bad page; keep the file and restore from a copy",
    ),
    (
        NewerLedger(PATH, 3, 1),
        r"cannot open '/h/a\nb': it has schema version 3, this program knows up to 1; "
        "install a newer delego-spec; nothing was changed",
    ),
]


@pytest.mark.parametrize(("error", "text"), ERRORS, ids=lambda value: type(value).__name__)
def test_each_error_is_one_plain_line(error: DelegoLedgerError, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize("error", [error for error, _ in ERRORS], ids=lambda value: type(value).__name__)
def test_each_error_crosses_a_process_border_whole(error: DelegoLedgerError) -> None:
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_the_families() -> None:
    world = (LedgerBusy, ReadOnlyLedger, DamagedLedger, NewerLedger)
    assert all(issubclass(kind, StorageError) for kind in world)
    assert not any(issubclass(kind, StorageError) for kind in (KeyFileError, AnchorFileError, AlreadyExists))
    assert issubclass(WrongPassphrase, KeyFileError)


@pytest.mark.parametrize(
    ("error", "safe"),
    [
        (LedgerBusy(PATH, 1), True),
        (ReadOnlyLedger(PATH, "x"), True),
        (NewerLedger(PATH, 2, 1), True),
        (DamagedLedger(PATH, "x"), False),
    ],
)
def test_only_damage_leaves_open_whether_something_was_written(error: StorageError, safe: bool) -> None:
    assert error.retry_safe is safe


def test_a_long_path_is_cut() -> None:
    assert len(str(AlreadyExists("x" * 5000))) < 400


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(5, "Input/output error"), "input/output error"),
        (ValueError("SQLite says no"), "SQLite says no"),
        (MemoryError(), "MemoryError"),
        (ValueError(" \n"), "ValueError"),
    ],
)
def test_the_reason_is_what_the_system_said(error: Exception, reason: str) -> None:
    assert StorageError("write", PATH, error, retry_safe=True).reason == reason
