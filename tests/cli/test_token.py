"""``delego token``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from delego_broker import RevocationList
from delego_broker.revocation import DEAD_AFTER

JTI = "87a0447f9c7837279b61ecca50a896b8"
LATER = "2999-01-01T00:00:00Z"


def test_a_revoked_token_is_refused_by_who_reads_the_list(home: Any) -> None:
    before = int(time.time())
    done = home.json("token", "revoke", JTI)
    assert done["added"] is True
    assert before + DEAD_AFTER <= done["until"] <= time.time() + DEAD_AFTER
    assert Path(done["file"]) == home.home / "revoked.jsonl"
    assert RevocationList(done["file"]).is_revoked(JTI)


def test_the_list_of_a_broker_elsewhere_needs_no_home(world: Any) -> None:
    path = str(world.folder / "list.jsonl")
    assert world.run("token", "revoke", JTI, "--file", path).stdout == f"{JTI} is refused from now on\n"
    assert world.run("token", "revoke", JTI, "--file", path).stdout == f"{JTI} was revoked before\n"
    assert JTI in world.run("token", "list", "--file", path).stdout


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("32472144000", 32472144000), (LATER, 32472144000), ("2999-01-01T00:00:00.5Z", 32472144001)],
)
def test_a_time_is_given_in_seconds_or_as_a_date(home: Any, text: str, seconds: int) -> None:
    assert home.json("token", "revoke", JTI, "--until", text)["until"] == seconds
    shown = home.run("token", "list").stdout
    assert "2999-01-01T00:00:0" in shown


def test_what_is_dead_is_taken_off_on_the_way(home: Any) -> None:
    RevocationList(home.home / "revoked.jsonl").revoke("dead", 5)  # type: ignore[arg-type]  # seconds
    home.run("token", "revoke", JTI)
    assert [one["jti"] for one in home.json("token", "list")["revoked"]] == [JTI]


def test_an_empty_list_is_said(home: Any) -> None:
    assert home.run("token", "list").stdout == "no token is revoked\n"
    assert home.json("token", "list")["revoked"] == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([""], "8192"),
        (["x" * 8193], "8192"),
        ([f"{'a' * 100}.{'b' * 100}.{'c' * 100}"], "give its jti"),
        ([JTI, "--until", "tomorrow"], "no time"),
        ([JTI, "--until", "5"], "dead already"),
        ([JTI, "--until", "9" * 4000], "no time"),
        ([], "JTI"),
    ],
)
def test_a_wrong_line_changes_nothing(home: Any, words: list[str], told: str) -> None:
    result = home.run("token", "revoke", *words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not (home.home / "revoked.jsonl").exists()


def test_a_name_that_draws_as_another_is_shown_escaped(home: Any) -> None:
    assert "\\u{202e}" in home.run("token", "revoke", "a\u202eb").stdout
    assert "\\u{202e}" in home.run("token", "list").stdout


def test_a_damaged_list_is_said_and_left(home: Any) -> None:
    path = home.home / "revoked.jsonl"
    path.write_text("x\n")
    for words in (["list"], ["revoke", JTI]):
        result = home.run("token", *words)
        assert result.exit_code == 1
        assert "no token is accepted" in result.stderr
    assert path.read_text() == "x\n"


def test_without_a_home_or_a_file_it_says_what_to_do(world: Any) -> None:
    assert "'delego init'" in world.run("token", "list").stderr
