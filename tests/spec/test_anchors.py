"""Head anchors have one spelling."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.anchors import Anchor
from delego_spec.errors import AnchorError
from delego_spec.types import Digest

HASH = Digest("0123456789abcdef" * 4)


@given(st.integers(0, 10**16 - 1))
def test_an_anchor_is_read_as_it_is_written(seq: int) -> None:
    anchor = Anchor(seq, HASH)
    assert str(anchor) == f"{seq}:{HASH}"
    assert Anchor.parse(str(anchor)) == anchor


def test_messages_show_a_short_form() -> None:
    assert Anchor(7, HASH).short == "seq 7 (0123456789ab…)"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        f"7 {HASH}",
        f"07:{HASH}",
        f"+7:{HASH}",
        f"-7:{HASH}",
        f" 7:{HASH}",
        f"7:{HASH}\n",
        f"٧:{HASH}",
        f"1_0:{HASH}",
        f"7:{HASH.upper()}",
        f"7:{HASH[:-1]}",
        f"7:{HASH}0",
        f"{10**16}:{HASH}",
        None,
        b"7:" + HASH.encode(),
        7,
    ],
)
def test_another_spelling_is_refused_and_the_error_says_what_is_right(text: Any) -> None:
    with pytest.raises(AnchorError, match="write SEQ:HASH"):
        Anchor.parse(text)


def test_the_error_does_not_grow_with_the_input() -> None:
    with pytest.raises(AnchorError) as caught:
        Anchor.parse("x" * 100_000)
    assert len(str(caught.value)) < 200


def test_what_is_no_hash_is_shown_without_moving_the_cursor() -> None:
    assert Anchor(0, Digest("\x1b[2J\nvalid \u202e")).short == "seq 0 (\\x1b[2J\\nvalid \\u202e…)"
