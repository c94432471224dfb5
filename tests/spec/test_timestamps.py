"""Time stamps: one way to write them, RFC 3339 in UTC to read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.errors import TimestampError
from delego_spec.timestamps import are_ts, format_ts, is_ts, parse_ts
from delego_spec.types import Micros

LAST = Micros(253_402_300_799_999_999)
TIMES = st.integers(0, LAST).map(Micros)


@given(TIMES)
def test_what_is_written_is_read_back(micros: Micros) -> None:
    text = format_ts(micros)
    assert len(text) == 32
    assert parse_ts(text) == micros
    assert is_ts(text)


@given(TIMES)
def test_the_text_says_what_the_calendar_says(micros: Micros) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    assert format_ts(micros) == moment.strftime(f"{moment.year:04d}-%m-%dT%H:%M:%S.%f+00:00")


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "1970-01-01T00:00:00.000000+00:00"),
        (1_767_225_600_000_001, "2026-01-01T00:00:00.000001+00:00"),
        (LAST, "9999-12-31T23:59:59.999999+00:00"),
    ],
)
def test_known_times(micros: int, text: str) -> None:
    assert format_ts(Micros(micros)) == text
    assert parse_ts(text) == micros


@pytest.mark.parametrize("micros", [-1, LAST + 1, 10**30])
def test_times_outside_the_years_1970_to_9999_are_not_written(micros: int) -> None:
    with pytest.raises(TimestampError, match="outside the years 1970 to 9999"):
        format_ts(Micros(micros))


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T00:00:01+00:00", 1_000_000),
        ("1970-01-01T00:00:01.5Z", 1_500_000),
        ("1970-01-01T00:00:01.025Z", 1_025_000),
        ("1970-01-01T00:00:01.123456Z", 1_123_456),
        ("1970-01-01T00:00:01.123456789+00:00", 1_123_456),
        ("1970-01-01T00:00:01.0000009Z", 1_000_000),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
    ],
)
def test_foreign_writers_are_understood(text: str, micros: int) -> None:
    assert parse_ts(text) == micros
    assert is_ts(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01t00:00:00z",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00.1234567890Z",
        "2026-01-01T00:00:00+01:00",
        "2026-01-01T00:00:00-00:00",
        "2026-01-01T00:00:00+0000",
        "2026-01-01T00:00:00Z\n",
        " 2026-01-01T00:00:00Z",
        "٢٠٢٦-01-01T00:00:00Z",
        "20260101T000000Z",
        "2026-W01-1T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-12-31T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(TimestampError):
        parse_ts(text)
    assert not is_ts(text)


@given(st.text(max_size=40) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"))
def test_the_quick_question_has_the_same_answer(text: str) -> None:
    try:
        parse_ts(text)
        readable = True
    except TimestampError:
        readable = False
    assert is_ts(text) == readable


@given(
    st.lists(st.sampled_from(["1970-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "x", "1969-12-31T00:00:00Z"]))
)
def test_many_times_are_read_if_each_one_is(texts: list[str]) -> None:
    assert are_ts(texts) == all(map(is_ts, texts))


def test_an_error_does_not_grow_with_the_input() -> None:
    with pytest.raises(TimestampError) as caught:
        parse_ts("9" * 100_000)
    assert len(str(caught.value)) < 120
