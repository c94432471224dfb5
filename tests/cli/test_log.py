"""``delego log``: which receipts are shown, how they look, and how it follows a ledger that grows."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_tools import FORBIDDEN, ORDER, READ, TIMEOUT, fill, opened, running
from delego_authorizer import Home
from delego_cli import log_reading
from delego_cli.log_reading import Filter, first_since, follow, newest, parse_since
from delego_ledger.sqlite import SQLiteLedger
from delego_spec import Action, Entry, Micros, SeedSigner
from delego_spec.timestamps import SECOND, format_ts

NOW = Micros(1_800_000_000 * SECOND)


def seqs(text: str) -> list[int]:
    """The seq of each row of a shown table."""
    return [int(word) for line in text.splitlines() if (word := line.split()[0]).isdigit()]


def spoil(home: Path, seq: int, payload: bytes = b"\xff{") -> None:
    """Overwrite one stored receipt behind the ledger's back."""
    with closing(sqlite3.connect(home / "ledger.db")) as connection, connection:
        connection.execute("UPDATE receipts SET payload = ? WHERE seq = ?", (payload, seq))


@pytest.fixture
def approval(home: Any) -> str:
    """The approval of the last of four receipts."""
    return fill(home.home)


# --- what is shown --------------------------------------------------------------------------------------


def test_receipts_are_shown_newest_last(home: Any, approval: str) -> None:
    done = home.run("log")
    assert done.exit_code == 0
    assert seqs(done.stdout) == [0, 1, 2, 3]
    assert done.stdout.splitlines()[0].split() == [
        "seq",
        "time",
        "(UTC)",
        "outcome",
        "phase",
        "rule",
        "action",
    ]
    assert "POST api.example.com/files/7/permissions" in done.stdout.splitlines()[3]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["-n", "2"], [2, 3]),
        (["-n", "0"], []),
        (["--number", "99"], [0, 1, 2, 3]),
        (["--outcome", "deny"], [2]),
        (["--outcome", "needs_approval"], [3]),
        (["--rule", "place-order"], [3]),
        (["--outcome", "allow", "-n", "1"], [1]),
        (["--outcome", "allow", "--rule", "read-accounts"], [1]),
        (["--since", "1h"], [0, 1, 2, 3]),
        (["--since", "1h", "-n", "1"], [3]),
        (["--since", "2100-01-01"], []),
        (["--since", "2100-01-01T00:00:00Z", "-n", "5"], []),
    ],
)
def test_options_choose_what_is_shown(
    home: Any, approval: str, options: list[str], wanted: list[int]
) -> None:
    done = home.run("log", *options)
    assert (done.exit_code, seqs(done.stdout)) == (0, wanted)


def test_one_approval_can_be_traced(home: Any, approval: str) -> None:
    assert seqs(home.run("log", "--approval", approval).stdout) == [3]
    assert home.run("log", "--approval", "apr_other").stderr == "no receipt matches\n"


def test_an_empty_ledger_says_so(home: Any) -> None:
    done = home.run("log")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no receipts yet\n")


def test_details_are_shown_on_request(home: Any, approval: str) -> None:
    brief, full = home.run("log").stdout, home.run("log", "-v").stdout
    assert "reason:" not in brief
    assert "reason: forbidden: Agents never change permissions or sharing" in full
    assert f"approval: {approval}" in full
    assert "proposed by: agent" in full


def test_each_json_line_is_the_receipt(home: Any, approval: str) -> None:
    lines = home.run("log", "--json").stdout.splitlines()
    stored = [json.loads(line) for line in Home(home.home).ledger().lines()]
    assert [json.loads(line) for line in lines] == stored


@pytest.mark.parametrize("since", ["2x", "", "h", "-1h", "9999999d", "2026-13-01", "yesterday", "1h\n"])
def test_a_moment_that_is_none_is_wrong_usage(home: Any, since: str) -> None:
    done = home.run("log", "--since", since)
    assert done.exit_code == 2
    assert "is no moment; write 30m" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["-n", "-1"], ["-n", "x"], ["--outcome", "maybe"], ["more"], ["--nix"]])
def test_other_nonsense_is_wrong_usage(home: Any, words: list[str]) -> None:
    done = home.run("log", *words)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


def test_a_folder_without_a_home_cannot_be_read(world: Any) -> None:
    done = world.run("log")
    assert done.exit_code == 1
    assert "there is no home here" in done.stderr


def test_text_of_agents_is_made_visible(home: Any) -> None:
    tricky = Action("read", "GET", "https://api.example.com/accounts/me", {"a": "x\u202ey\u200b\x1b[2J"})
    with opened(home.home) as authorizer:
        authorizer.propose(tricky)
    for options in ([], ["-v"], ["--json"]):
        shown = home.run("log", *options).stdout
        assert "\u202e" not in shown
        assert "\u200b" not in shown
        assert "\x1b" not in shown
    assert "x\\u{202e}y\\u{200b}" in home.run("log").stdout


def test_a_spoilt_receipt_is_not_left_out(home: Any, approval: str) -> None:
    spoil(home.home, 2)
    for options in ([], ["--outcome", "needs_approval"], ["--since", "1h"]):
        assert "a stored receipt cannot be read" in home.run("log", *options).stdout
    lines = [json.loads(line) for line in home.run("log", "--json").stdout.splitlines()]
    assert ["error" in line for line in lines] == [False, False, True, False]


def test_a_pipe_gets_plain_text_uncut(home: Any, approval: str) -> None:
    long = Action("read", "GET", "https://api.example.com/accounts/" + "x" * 500, {})
    with opened(home.home) as authorizer:
        authorizer.propose(long)
    done = home.process("log")
    assert "x" * 500 in done.stdout
    assert "\x1b" not in done.stdout


# --- reading --------------------------------------------------------------------------------------------


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> Micros:
        return self.now


@pytest.fixture(scope="module")
def long_ledger(tmp_path_factory: pytest.TempPathFactory) -> SQLiteLedger:
    """600 receipts, two each second; every hundredth is of the rule ``rare``."""
    clock = Clock()
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    ledger = SQLiteLedger.create(path, SeedSigner(bytes(32)), clock=clock)
    for start in range(0, 600, 2):
        clock.now = Micros(NOW + start // 2 * SECOND)
        with ledger.transaction() as transaction:
            for seq in (start, start + 1):
                transaction.append(
                    Entry(
                        phase="execution",
                        outcome="allow",
                        rule="rare" if seq % 100 == 0 else "usual",
                        reasons=(),
                        intent_hash=READ.intent_hash,
                        action_fingerprint=READ.fingerprint,
                        action_summary=READ.summary,
                    )
                )
    return ledger


def places(found: list[log_reading.Row]) -> list[int]:
    return [row.receipt.payload.seq for row in found if row.receipt is not None]


@given(count=st.integers(0, 700), first=st.integers(0, 600), stop=st.integers(0, 600))
def test_reading_backwards_gives_the_last_ones(
    long_ledger: SQLiteLedger, count: int, first: int, stop: int
) -> None:
    wanted = list(range(first, stop))
    found = places(newest(long_ledger, first, stop, count, Filter()))
    assert found == (wanted[-count:] if count else [])


def test_a_filter_looks_back_until_it_has_enough(long_ledger: SQLiteLedger) -> None:
    assert places(newest(long_ledger, 0, 600, 3, Filter(rule="rare"))) == [300, 400, 500]


def test_the_newest_are_found_without_reading_the_rest(
    long_ledger: SQLiteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    lines = SQLiteLedger.lines

    def watched(self: SQLiteLedger, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        asked.append((start, stop))
        return lines(self, start, stop)

    monkeypatch.setattr(SQLiteLedger, "lines", watched)
    newest(long_ledger, 0, 600, 20, Filter())
    assert asked == [(600 - log_reading.PAGE, 600)]


@given(half_seconds=st.integers(-10, 700))
def test_the_first_receipt_of_a_time_is_found(long_ledger: SQLiteLedger, half_seconds: int) -> None:
    since = Micros(NOW + half_seconds * SECOND // 2)
    wanted = next((seq for seq in range(600) if NOW + seq // 2 * SECOND >= since), 600)
    assert first_since(long_ledger, since, 600) == wanted


def test_a_time_is_found_beside_spoilt_receipts(home: Any, approval: str) -> None:
    for seq in (1, 2, 3):
        spoil(home.home, seq)
    ledger = Home(home.home).ledger()
    assert first_since(ledger, Micros(1), 4) == 0
    assert first_since(ledger, Micros(NOW * 2), 4) in range(1, 5)
    spoil(home.home, 0, b'{"no": "receipt"}')
    assert first_since(ledger, Micros(1), 4) == 0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("90s", NOW - 90 * SECOND),
        ("30m", NOW - 1800 * SECOND),
        ("2h", NOW - 7200 * SECOND),
        ("7d", NOW - 604_800 * SECOND),
        ("1w", NOW - 604_800 * SECOND),
        ("999999w", 0),
        ("1970-01-02", 86_400 * SECOND),
        ("1970-01-01T00:00:01+00:00", SECOND),
    ],
)
def test_moments(text: str, wanted: int) -> None:
    assert parse_since(text, NOW) == wanted


@given(st.text())
def test_any_text_is_a_moment_or_a_refusal(text: str) -> None:
    try:
        moment = parse_since(text, NOW)
    except ValueError:
        return
    assert moment >= 0


@given(st.integers(0, 4_000_000_000 * SECOND))
def test_a_time_as_the_log_writes_it_is_a_moment(micros: int) -> None:
    assert parse_since(format_ts(Micros(micros)), NOW) == micros


# --- following ------------------------------------------------------------------------------------------


def test_new_receipts_are_given_once_and_in_order(home: Any, approval: str) -> None:
    steps: list[Callable[[], object]] = []
    with opened(home.home) as authorizer:
        steps = [lambda: None, lambda: authorizer.propose(FORBIDDEN), lambda: authorizer.propose(READ)]
        found = []
        for row in follow(Home(home.home).ledger(), 3, lambda: steps.pop(0)()):
            assert row.receipt is not None
            found.append(row.receipt.payload.seq)
            if len(found) == 3:
                break
    assert found == [4, 5, 6]


def test_following_streams_what_comes_and_ends_with_0_on_ctrl_c(home: Any, approval: str) -> None:
    with running("log", "-n", "1", "-f", "--json", env=home.env) as started:
        assert started.stdout is not None
        assert json.loads(started.stdout.readline())["seq"] == 3
        with opened(home.home) as authorizer:
            for seq in (4, 5, 6):
                authorizer.propose(FORBIDDEN)
                assert json.loads(started.stdout.readline())["seq"] == seq
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=TIMEOUT)
    assert (started.returncode, out, err) == (0, b"", b"")


def test_following_keeps_to_the_filter(home: Any, approval: str) -> None:
    words = ["log", "-n", "1", "-f", "--json", "--outcome", "needs_approval"]
    with running(*words, env=home.env) as started, opened(home.home) as authorizer:
        assert started.stdout is not None
        assert json.loads(started.stdout.readline())["seq"] == 3
        authorizer.propose_many([FORBIDDEN, ORDER, FORBIDDEN, ORDER])
        assert [json.loads(started.stdout.readline())["seq"] for _ in range(2)] == [5, 7]


def test_an_empty_ledger_can_be_followed(home: Any) -> None:
    with opened(home.home) as authorizer:
        ledger = Home(home.home).ledger()
        row = next(follow(ledger, -1, lambda: authorizer.propose(FORBIDDEN)))
    assert row.receipt is not None
    assert row.receipt.payload.seq == 0


def test_a_ledger_that_vanishes_ends_the_following(home: Any, approval: str) -> None:
    with running("log", "-n", "1", "-f", env=home.env) as started:
        assert started.stdout is not None
        started.stdout.readline()
        started.stdout.readline()
        (home.home / "ledger.db").unlink()
        _, err = started.communicate(timeout=TIMEOUT)
    assert started.returncode == 1
    assert err.count(b"\n") == 1


def test_a_reader_that_leaves_ends_it_quietly(home: Any, approval: str) -> None:
    with opened(home.home) as authorizer:
        authorizer.propose_many([FORBIDDEN] * 2000)
    command = f"{sys.executable} -m delego_cli log -n 2000 | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], env=home.env, capture_output=True, check=False
    )
    assert (done.stdout.split()[0], done.stderr) == (b"seq", b"")
