"""``delego propose --batch``: many actions, and lines that are none."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_authorizer import Authorizer, Decision, open_home
from delego_cli.batch import CHUNK, LARGE, MAX_LINE, read_lines
from delego_ledger.errors import StorageError
from delego_spec.action import Action
from terminal import Terminal

READ = {"instruction": "read", "method": "GET", "url": "https://api.example.com/accounts/me"}
ORDER = {
    "instruction": "buy",
    "method": "POST",
    "url": "https://api.example.com/orders",
    "params": {"amount": 5, "currency": "USD", "destination": "internal"},
}
OTHER = {"instruction": "x", "method": "DELETE", "url": "https://api.example.com/accounts/me"}


def lines(*members: object) -> str:
    return "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in members)


def batch(world: Any, text: str | bytes, *arguments: str) -> tuple[int, list[Any]]:
    result = world.run("propose", "--batch", "-", "--json", *arguments, input=text)
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


# --- reading --------------------------------------------------------------------------------------------


def test_actions_and_records_with_labels_are_read_alike() -> None:
    record = {"suite": "s", "step": 1, "action": READ}
    (_, plain), (_, labelled) = read_lines(io.BytesIO(lines(READ, record).encode()))
    assert plain.action == labelled.action == Action.from_mapping(READ)
    assert (plain.labels, labelled.labels) == ({}, {"suite": "s", "step": 1})


def test_blank_lines_and_a_byte_order_mark_are_passed_over_and_lines_keep_their_numbers() -> None:
    text = b"\xef\xbb\xbf" + lines(READ, "", "  ", READ).encode() + json.dumps(READ).encode()
    read = [line for _, line in read_lines(io.BytesIO(text))]
    assert [line.number for line in read] == [1, 4, 5]
    assert all(line.action is not None for line in read)


def test_windows_line_ends_are_no_problem() -> None:
    ((_, line),) = read_lines(io.BytesIO(json.dumps(READ).encode() + b"\r\n"))
    assert line.action is not None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "line: "),
        ("[1]", "action: is not an object"),
        ("{}", "action: lacks"),
        ('{"action": 5}', "action: is not an object"),
        ('{"action": {"method": "GET"}}', "action: lacks"),
        (json.dumps({**READ, "extra": 1}), "action: has the unknown member 'extra'"),
        (json.dumps({**READ, "url": 5}), "url: is a int"),
        (json.dumps({**READ, "params": {"n": 1e30}}), "line.params.n: "),
        ('{"a": 1, "a": 2}', "line: "),
        ("\x00", "line: "),
    ],
)
def test_a_line_that_is_no_action_says_why(text: str, says: str) -> None:
    ((_, line),) = read_lines(io.BytesIO(text.encode()))
    assert line.action is None
    assert line.problem.startswith(says)


def test_a_line_without_end_is_not_kept_in_memory() -> None:
    class Watched(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            assert 0 < size <= MAX_LINE + 1
            return super().readline(size)

    text = b"x" * (3 * MAX_LINE + 7) + b"\n" + json.dumps(READ).encode()
    read = list(read_lines(Watched(text)))
    assert [line.number for _, line in read] == [1, 2]
    assert read[0][1].problem == f"the line is longer than {MAX_LINE} bytes"
    assert read[1][1].action is not None
    assert sum(size for size, _ in read) == len(text)


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_any_bytes_give_lines_and_every_byte_of_them_is_counted(parts: list[bytes]) -> None:
    text = b"\n".join(parts) + b"\n{}\n"
    read = list(read_lines(io.BytesIO(text)))
    assert read[-1][1].number == text.count(b"\n")
    assert sum(size for size, _ in read) == len(text)
    assert all(line.action is None and line.problem for _, line in read)


# --- deciding -------------------------------------------------------------------------------------------


def test_each_action_gets_its_decision_with_its_line_and_labels(home: Any) -> None:
    code, answers = batch(home, lines(READ, {"who": {"kind": "u"}, "action": ORDER}, OTHER))
    assert code == 3
    assert [answer.get("line") for answer in answers] == [1, 2, 3, None]
    assert [answer["outcome"] for answer in answers[:3]] == ["allow", "needs_approval", "deny"]
    assert answers[1]["labels"] == {"who": {"kind": "u"}}
    assert answers[3] == {
        "group_by": None,
        "groups": {"(none)": {"allowed": 1, "parked": 1, "refused": 1, "unreadable": 0}},
        "total": {"allowed": 1, "parked": 1, "refused": 1, "unreadable": 0},
    }


def test_all_allowed_is_a_yes(home: Any) -> None:
    assert batch(home, lines(READ, READ))[0] == 0


def test_nothing_at_all_is_a_yes(home: Any) -> None:
    code, answers = batch(home, "")
    assert (code, len(answers)) == (0, 1)


def test_a_line_that_cannot_be_read_does_not_stop_the_rest(home: Any) -> None:
    text = lines("\x1b[31mnonsense", READ, {"kind": "u", "action": {"x": "\x1b"}})
    code, answers = batch(home, text, "--group-by", "kind")
    assert code == 1
    assert [("error" in answer, answer.get("outcome")) for answer in answers[:3]] == [
        (True, None),
        (False, "allow"),
        (True, None),
    ]
    assert answers[3]["groups"]["u"]["unreadable"] == 1
    result = home.run("propose", "--batch", "-", input=text)
    assert result.stderr.startswith("line 1: line: ")
    assert "\nline 3: action: " in result.stderr
    assert "\x1b" not in result.output


def test_the_closing_table_counts_by_a_label(home: Any) -> None:
    records = [
        {"task": {"kind": "user"}, "action": READ},
        {"task": {"kind": "user"}, "action": ORDER},
        {"task": {"kind": 7}, "action": OTHER},
        {"task": "none", "action": OTHER},
        {"task": {"kind": "\x1b[31m"}, "action": OTHER},
    ]
    result = home.run("propose", "--batch", "-", "--group-by", "task.kind", input=lines(*records))
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()[:-1]}
    assert rows == {
        "task.kind": ["allowed", "parked", "refused", "unreadable", "total"],
        "user": ["1", "1", "0", "0", "2"],
        "7": ["0", "0", "1", "0", "1"],
        "(none)": ["0", "0", "1", "0", "1"],
        "\\u{1b}[31m": ["0", "0", "1", "0", "1"],
        "total": ["1", "1", "3", "0", "5"],
    }
    assert result.stdout.endswith("waiting for a person: delego pending lists them\n")


def test_without_a_label_there_is_one_row(home: Any) -> None:
    result = home.run("propose", "--batch", "-", input=lines(READ))
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["allowed", "parked", "refused", "unreadable", "total"],
        ["1", "0", "0", "0", "1"],
    ]


def test_many_actions_share_few_commits_and_keep_their_order(
    home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    real = Authorizer.propose_many

    def watched(self: Authorizer, actions: Sequence[Action], principal: str) -> list[Decision]:
        sizes.append(len(actions))
        return real(self, actions, principal)

    monkeypatch.setattr(Authorizer, "propose_many", watched)
    text = lines(*[{**OTHER, "params": {"n": n}} for n in range(CHUNK + 10)])
    _, answers = batch(home, text)
    assert sizes == [CHUNK, 10]
    assert [answer["action_fingerprint"] for answer in answers[:-1]] == [
        Action.from_mapping({**OTHER, "params": {"n": n}}).fingerprint for n in range(CHUNK + 10)
    ]


def test_a_rate_limit_counts_within_the_batch(home: Any) -> None:
    _, answers = batch(home, lines(*[READ] * 60))
    assert answers[-1]["total"] == {"allowed": 50, "parked": 0, "refused": 10, "unreadable": 0}


def test_an_action_too_large_for_a_receipt_leaves_its_neighbours_alone(home: Any) -> None:
    large = {**READ, "params": {"text": "\x01" * 43_000}}
    fits = {**READ, "params": {"text": "x" * (LARGE + 1)}}
    code, answers = batch(home, lines(READ, large, READ, fits))
    assert code == 1
    assert [answer.get("outcome") for answer in answers[:4]] == ["allow", None, "allow", "allow"]
    assert "in a receipt" in answers[1]["error"]


def test_who_proposes_is_recorded(home: Any) -> None:
    batch(home, lines(ORDER), "--as", "nightly")
    assert home.json("pending")["pending"][0]["proposer"] == "nightly"


def test_a_ledger_that_fails_half_way_stops_it_with_the_line_to_go_on_from(
    home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Authorizer.propose_many, []

    def failing(self: Authorizer, actions: Sequence[Action], principal: str) -> list[Decision]:
        calls.append(len(actions))
        if len(calls) == 2:
            raise StorageError("write", "ledger.db", "no space left on device", retry_safe=True)
        return real(self, actions, principal)

    monkeypatch.setattr(Authorizer, "propose_many", failing)
    result = home.run("propose", "--batch", "-", input=lines(*[OTHER] * (CHUNK + 1)))
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].split() == ["0", "0", str(CHUNK), "0", str(CHUNK)]
    assert f"stopped; line {CHUNK + 1} and those behind it are not decided" in result.stderr
    assert result.stderr.splitlines()[-1].endswith("no space left on device; nothing was changed")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--batch", "gone.jsonl"],
        ["--batch", "."],
        ["--batch", "-", "-i", "x"],
        ["--batch", "-", "GET", "https://x.example/"],
        ["--batch", "-", "-p", "a=b"],
        ["--batch", "-", "--params", "{}"],
    ],
)
def test_a_batch_that_cannot_be_meant_is_wrong_usage(home: Any, arguments: list[str]) -> None:
    result = home.run("propose", *arguments, input="")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


def test_a_file_is_read_with_a_progress_bar_where_somebody_watches(home: Any) -> None:
    (home.folder / "a.jsonl").write_text(lines(*[OTHER] * 100))
    with Terminal(["propose", "--batch", "a.jsonl"], home.env, cwd=home.folder) as screen:
        assert screen.finish() == 3
    assert "deciding" in screen.output
    assert "100%" in screen.output
    result = home.run("propose", "--batch", "a.jsonl")
    assert "deciding" not in result.output
    assert result.stdout.splitlines()[1].split()[2] == "100"


def test_a_pipe_gets_a_bar_without_an_end(home: Any, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with Terminal(["propose", "--batch", str(pipe)], home.env) as screen:
        pipe.write_text(lines(*[OTHER] * 3))
        assert screen.finish() == 3
    assert "deciding" in screen.output
    assert "%" not in screen.output
    assert "/" not in screen.output.partition("\n")[0]  # no part of a whole that nobody knows


def test_what_cannot_be_read_is_said_on_a_line_of_its_own_where_a_bar_was(home: Any) -> None:
    (home.folder / "a.jsonl").write_text(lines(OTHER, "{}"))
    with Terminal(["propose", "--batch", "a.jsonl"], home.env, cwd=home.folder) as screen:
        assert screen.finish() == 1
    assert "\r\x1b[Kline 2: action: lacks" in screen.output


def test_who_types_the_actions_sees_no_bar_in_between(home: Any) -> None:
    with Terminal(["propose", "--batch", "-"], home.env) as screen:
        screen.type("{}\n\x04")
        assert screen.finish() == 1
    assert "deciding" not in screen.output


def test_answers_on_the_terminal_have_no_bar_in_between(home: Any) -> None:
    (home.folder / "a.jsonl").write_text(lines(OTHER))
    with Terminal(["propose", "--json", "--batch", "a.jsonl"], home.env, cwd=home.folder) as screen:
        assert screen.finish() == 3
    assert "deciding" not in screen.output


def test_the_ledger_holds_what_was_answered(home: Any) -> None:
    _, answers = batch(home, lines(READ, ORDER, OTHER))
    ledger = open_home(home.home).ledger
    for answer in answers[:-1]:
        seq, _, entry_hash = answer["receipt"].partition(":")
        receipt = ledger.receipt(int(seq))
        assert receipt is not None
        assert receipt.entry_hash == entry_hash
