"""Columns that stay aligned, and text that cannot reach a terminal as anything but text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_cli.durations import span
from delego_cli.output import Styled, emit, fields, say, shown, table
from delego_cli.tables import Column, cut, display_width, natural_width, pad, table_lines
from delego_spec.timestamps import SECOND


@pytest.mark.parametrize(
    ("text", "width"),
    [("", 0), ("abc", 3), ("日本", 4), ("é", 1), ("e\u0301", 1), ("a\u200db", 2), ("🙂", 2)],
)
def test_width_counts_the_cells_of_a_terminal(text: str, width: int) -> None:
    assert display_width(text) == width


@given(st.text(max_size=40), st.integers(1, 30))
def test_a_cut_text_never_takes_more_room_than_it_was_given(text: str, width: int) -> None:
    short = cut(text, width)
    assert display_width(short) <= width
    assert short == text or short.endswith("…")


@given(st.text(max_size=20), st.integers(0, 30), st.booleans())
def test_padding_adds_blanks_only(text: str, width: int, right: bool) -> None:
    padded = pad(text, width, right=right)
    assert display_width(padded) >= width
    assert padded.replace(" ", "") == text.replace(" ", "")


def test_columns_are_aligned_whatever_the_script() -> None:
    lines = table_lines(
        [Column("n", right=True), Column("name"), Column("x")], [["1", "日本", "a"], ["10", "b", "c"]]
    )
    assert lines == [" n  name  x", " 1  日本  a", "10  b     c"]


def test_a_flexible_column_gives_way_and_the_others_do_not() -> None:
    columns = [Column("id"), Column("text", flexible=True)]
    (_, row) = table_lines(columns, [["0123456789", "x" * 50]], width=30)
    assert row == "0123456789  " + "x" * 17 + "…"
    (_, row) = table_lines(columns, [["0123456789", "x" * 50]], width=5)
    assert (
        row == "0123456789  " + "x" * 11 + "…"
    )  # no less: a table too wide is better than one that says nothing


def test_without_a_width_nothing_is_cut() -> None:
    columns = [Column("a", flexible=True), Column("b", flexible=True)]
    assert table_lines(columns, [["x" * 500, "y" * 500]])[1] == "x" * 500 + "  " + "y" * 500
    assert natural_width(columns, [["x" * 500, "y" * 500]]) == 1002


@given(st.text(max_size=60))
def test_shown_text_prints_and_is_one_line(text: str) -> None:
    line = shown(text)
    assert line.isprintable()
    assert shown(line) == line
    if text.isprintable():
        assert line == text


@given(st.lists(st.text(max_size=20), max_size=3))
def test_said_lines_hold_no_control_character(texts: list[str]) -> None:
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        say(*texts)
        fields([("name", Styled(text, fg="red")) for text in texts])
    assert all(char == "\n" or char.isprintable() for char in out.getvalue())
    assert out.getvalue().count("\n") == 1 + len(texts)


def test_a_table_lets_no_control_character_through(capsys: pytest.CaptureFixture[str]) -> None:
    table([Column("a"), Column("b")], [["x\x1b[31m", Styled("y\n", fg="red")]])
    assert capsys.readouterr().out == "a          b\nx\\x1b[31m  y\\n\n"


def test_json_is_one_line_of_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    value: Any = {"text": "\x1b[31m日本\u202e\n", "n": [1, None, True]}
    emit(value)
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    assert "\x1b" not in out
    assert json.loads(out) == value


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (12_000, "3 h 20 min"),
        (86_400, "1 d"),
        (187_200, "2 d 4 h"),
    ],
)
def test_a_span_is_said_in_two_units_at_most(seconds: int, text: str) -> None:
    assert span(seconds * SECOND) == text
