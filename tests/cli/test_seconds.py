"""Options that take seconds."""

from __future__ import annotations

import click
import pytest

from delego_cli.seconds import Seconds


@pytest.mark.parametrize("text", ["nan", "-NaN", "inf", "-1", "86401", "ten", ""])
def test_nan_is_no_number_of_seconds(text: str) -> None:
    with pytest.raises(
        click.BadParameter, match=r"not in the range|is no number of seconds|not a valid float"
    ):
        Seconds().convert(text, None, None)


def test_a_day_and_a_part_of_a_second_are() -> None:
    assert [Seconds().convert(text, None, None) for text in ("0", "0.25", "86400")] == [0, 0.25, 86_400]
    with pytest.raises(click.BadParameter):
        Seconds(0.1).convert("0.05", None, None)
