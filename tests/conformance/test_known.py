"""A list of known failures is read strictly: a list that is wrong hides what it should show."""

from __future__ import annotations

from pathlib import Path

import pytest

from delego_conformance.errors import KnownFailuresError
from delego_conformance.known import load_known, read_known

IDS = {"FP-0001", "FP-0002"}


def test_entries_have_an_id_and_a_reason() -> None:
    text = "# comment\n\n  FP-0001  not sorted yet,  issue 17 \nFP-0002\t# is part of the reason\n"
    assert read_known(text, IDS, source="x") == {
        "FP-0001": "not sorted yet,  issue 17",
        "FP-0002": "# is part of the reason",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FP-0001", "x:1: FP-0001 has no reason; write 'FP-0001  why it fails'"),
        ("\nFP-0001  ", "x:2: FP-0001 has no reason"),
        ("FP-0003 r", "x:1: there is no vector 'FP-0003'"),
        ("fp-0001 r", "x:1: there is no vector 'fp-0001'"),
        ("FP-0001 a\nFP-0001 b", "x:2: FP-0001 stands twice"),
    ],
)
def test_a_wrong_entry_is_an_error_with_its_line(text: str, said: str) -> None:
    with pytest.raises(KnownFailuresError) as raised:
        read_known(text, IDS, source="x")
    assert str(raised.value).startswith(said)


def test_a_file_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "known"
    path.write_bytes(b"\xef\xbb\xbfFP-0001 r\r\n")
    assert load_known(path, IDS) == {"FP-0001": "r"}


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "known"
    with pytest.raises(KnownFailuresError, match="cannot be read: no such file"):
        load_known(path, IDS)
    path.write_bytes(b"\xff")
    with pytest.raises(KnownFailuresError, match="is not UTF-8"):
        load_known(path, IDS)
