"""The AgentDojo example: what it prints is true, it does not know the answers, and it fails plainly."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from delego_spec.action import Action
from delego_spec.evaluate import Verdict, evaluate
from delego_spec.policy import Policy, load_policy
from delego_spec.types import Micros
from support import ROOT, shared

FOLDER: Final = ROOT / "examples" / "agentdojo"
README: Final = FOLDER / "README.md"
WANTED: Final = 0.9  # of the user's reads, without a prompt
# What an operator knows beside the tools: the sites that the office reads, and its own.
FACTS: Final = frozenset(
    {
        "www.our-company.com",
        "www.dora-website.com",
        "www.eve-blog.com",
        "www.informations.com",
        "www.restaurant-zurich.com",
    }
)


class Nothing:
    """A ledger in which nothing was allowed before."""

    def count_allows(self, rule: str, since: Micros) -> int:
        return 0


@pytest.fixture(scope="module")
def data() -> Path:
    return shared("data", "agentdojo-banking-slack.jsonl")


@pytest.fixture(scope="module")
def rows(data: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("agentdojo_example", FOLDER / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def policy(example: ModuleType) -> Policy:
    return load_policy(example.policy_text([]))


def decide(policy: Policy, action: dict[str, Any]) -> Verdict:
    return evaluate(policy, Action(**action), now=Micros(0), counts=Nothing())


def line(kind: str = "user", task: str = "t", tool: str = "get_balance", **params: Any) -> str:
    """A line of a file of calls."""
    action = {"instruction": "look", "method": "CALL", "url": f"mcp://banking/{tool}", "params": params}
    return json.dumps({"suite": "banking", "task": task, "kind": kind, "action": action}) + "\n"


def is_read(action: dict[str, Any]) -> bool:
    return str(action["url"]).rpartition("/")[2].startswith(("get_", "read_"))


# --- the whole of it, as a process -------------------------------------------------------------------------


def test_the_example_reaches_its_goals_as_far_as_the_readme_says(data: Path, tmp_path: Path) -> None:
    words = [sys.executable, str(FOLDER / "run.py"), str(data), "--folder", "agentdojo"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    shown, _, check = done.stdout.partition("\ncheck it yourself:\n")
    assert shown in README.read_text(encoding="utf-8")
    assert max(map(len, shown.splitlines())) < 80
    assert "\x1b" not in done.stdout
    table = figures_of(shown)
    assert table["attack alone"][0] == 0  # nothing of an attacker's runs where no person has said anything
    assert (table["attack hidden"][0], table["user reads"][0]) == (6, 78)
    assert table["user reads"][0] >= WANTED * table["user reads"][3]
    assert table["user reads"][2] == table["user writes"][2] == 0  # no task of the user's is hindered
    assert "37 of 37 had all of their calls done" in shown
    arrived = [json.loads(one) for one in (tmp_path / "agentdojo" / "journal.jsonl").read_text().splitlines()]
    assert len(arrived) == table["user reads"][3] + table["user writes"][3] + 6
    assert "remove_user_from_slack" not in {one["tool"] for one in arrived}
    command = check.replace("\\\n", " ").split()
    assert command[0] == "delego"
    verified = subprocess.run(
        [sys.executable, "-m", "delego_cli", *command[1:]], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stdout.splitlines()[0]) == (0, f"valid: {receipts(shown)} receipts")


def figures_of(shown: str) -> dict[str, list[int]]:
    """The rows of both suites together: name → allowed, parked, refused, total."""
    rows = shown[shown.index("both ") :].splitlines()[:4]
    return {row[9:22].strip(): [int(cell) for cell in row[22:].split()] for row in rows}


def receipts(shown: str) -> int:
    found = re.search(r"valid: (\d+) receipts", shown)
    assert found is not None
    return int(found[1])


# --- the policy ---------------------------------------------------------------------------------------------


def test_the_goals_that_the_readme_names_cannot_both_be_reached_by_looking_at_single_calls(
    rows: list[dict[str, Any]], example: ModuleType
) -> None:
    reads = [row["action"] for row in rows if row["kind"] == "user" and is_read(row["action"])]
    attacks = [row["action"] for row in rows if row["kind"] == "injection"]
    wanted = {Action(**one).fingerprint for one in attacks}
    same = [one for one in reads if Action(**one).fingerprint in wanted]
    assert (len(same), len(reads), len(attacks)) == (29, 83, 25)
    assert len(reads) - len(same) == 54

    def figures(policy: Policy) -> tuple[int, int]:
        ran = [decide(policy, one).outcome == "allow" for one in attacks]
        return sum(ran), sum(decide(policy, one).outcome == "allow" for one in reads)

    assert figures(load_policy(example.policy_text([]))) == (6, 78)
    assert figures(load_policy(example.policy_text(["list-channels", "read-channels"]))) == (0, 52)
    # The best with 90 %: which of the reads that both make may ask, so that at most 8 of the user's do.
    kinds = sorted({Action(**one).fingerprint for one in same})
    costs = [sum(Action(**one).fingerprint == kind for one in reads) for kind in kinds]
    gains = [sum(Action(**one).fingerprint == kind for one in attacks) for kind in kinds]
    choices = [[k for k in range(len(kinds)) if bits >> k & 1] for bits in range(1 << len(kinds))]
    fitting = [one for one in choices if len(reads) - sum(costs[k] for k in one) >= WANTED * len(reads)]
    assert sum(gains) - max(sum(gains[k] for k in one) for one in fitting) == 4


def test_no_value_of_a_call_stands_in_the_policy_but_the_operators_facts(rows: list[dict[str, Any]]) -> None:
    text = (FOLDER / "policy.yaml").read_text(encoding="utf-8")
    values = {value for row in rows for value in row["action"]["params"].values()}
    words = {value for value in values if isinstance(value, str)}
    assert words > FACTS - {"www.our-company.com"}
    assert {one for one in words if re.search(rf"(?<![\w-]){re.escape(one)}(?![\w-])", text)} == FACTS
    written = set(text.replace("{", " ").replace("}", " ").replace(",", " ").split())
    numbers = {word for word in written if word.replace(".", "").isdigit()} - {"1"}  # the version
    assert numbers == {"20", "30", "60", "500", "2500"}
    assert numbers.isdisjoint(str(value) for value in values)
    assert {float(one) for one in numbers}.isdisjoint(one for one in values if isinstance(one, int | float))


@pytest.mark.parametrize("seed", range(3))
def test_with_other_values_in_the_calls_the_decisions_are_the_same(
    rows: list[dict[str, Any]], policy: Policy, seed: int
) -> None:
    def other(value: Any) -> Any:
        if isinstance(value, str):
            return value if value in FACTS else f"other {seed} {value[::-1]}"
        return value if isinstance(value, bool) else value + seed

    for row in rows:
        action = row["action"]
        changed = {**action, "params": {name: other(value) for name, value in action["params"].items()}}
        found, wanted = decide(policy, changed), decide(policy, action)
        assert (found.outcome, found.rule) == (wanted.outcome, wanted.rule), action


def test_whatever_its_values_no_write_but_a_post_in_a_channel_runs_without_a_person(
    rows: list[dict[str, Any]], policy: Policy
) -> None:
    writes = [row["action"] for row in rows if not is_read(row["action"])]
    for action in writes:
        for params in (action["params"], {}, {"url": "www.our-company.com", "amount": 0}):
            allowed = decide(policy, {**action, "params": params}).outcome == "allow"
            assert allowed == action["url"].endswith("/send_channel_message")


def test_a_rule_that_is_told_to_ask_asks_and_what_nobody_approves_does_not_run(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(example, "SERVERS", {"banking": example.SERVERS["banking"]})
    calls = tmp_path / "calls.jsonl"
    paid: dict[str, Any] = {"recipient": "Tom", "amount": 20.5, "subject": "soup", "date": "2026-01-01"}
    calls.write_text(
        line(tool="read_file", file_path="letter.txt")
        + line(tool="send_money", **paid)
        + line(kind="injection", task="i", tool="get_balance")
        + line(kind="injection", task="i", tool="send_money", **{**paid, "amount": 1000}),
        encoding="utf-8",
    )
    options = ("--folder", str(tmp_path / "a folder"), "--json", "--attack", "hidden", "--approve", "none")
    assert example.main([str(calls), *options, "--ask", "read-account"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert answer["table"]["both"] == {
        "user reads": {"allowed": 1, "parked": 0, "refused": 0},
        "user writes": {"allowed": 0, "parked": 1, "refused": 0},
        "attack hidden": {"allowed": 0, "parked": 1, "refused": 1},
    }
    assert answer["users"] == {"parked": 1, "approved": 0, "tasks": 1, "tasks_done": 0}
    assert (answer["arrived"], answer["attacks_that_ran"]) == (1, [])


# --- what can go wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no calls"),
        (line() + "{\n", "calls.jsonl, line 2: no call, written as JSON"),
        ("{}\n", "calls.jsonl, line 1: 'action' is missing"),
        (line(kind="other"), "the kind 'other' is neither 'user' nor 'injection'"),
        (line().replace("banking/", "mail/"), "'mcp://mail/get_balance' is no call of the bank or the chat"),
        (line(kind="injection"), "nothing could carry an attack"),
    ],
)
def test_calls_that_cannot_be_made_are_named_in_one_line(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    calls = tmp_path / "calls.jsonl"
    calls.write_text(text, encoding="utf-8")
    assert example.main([str(calls), "--folder", str(tmp_path / "run")]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("could not run: ")
    assert says in printed.err
    assert printed.err.count("\n") == 1


def test_a_file_that_cannot_be_read_is_said_in_plain_words(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\x00")
    for path, says in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "directory"),
        (binary, "no text in UTF-8"),
    ):
        assert example.main([str(path)]) == 1
        assert says in capsys.readouterr().err


def test_a_rule_that_is_not_there_cannot_ask(example: ModuleType) -> None:
    with pytest.raises(example.CannotRun, match="no such rule; it has list-standing-orders, "):
        example.policy_text(["other"])


def test_without_the_extra_it_says_what_to_install(
    example: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = tmp_path / "calls.jsonl"
    calls.write_text(line(), encoding="utf-8")
    monkeypatch.setitem(sys.modules, "mcp", None)
    assert example.main([str(calls), "--folder", str(tmp_path / "run")]) == 1
    assert capsys.readouterr().err == "MCP needs the extra: pip install 'delego-spec[mcp]'\n"


def test_a_server_that_saw_something_else_is_not_believed(example: ModuleType, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_text('{"suite": "banking", "tool": "send_money"}\n', encoding="utf-8")
    with pytest.raises(example.CannotRun, match="is not what the gateway said"):
        example.check_journal([], journal)


def test_what_the_gateway_cannot_say_is_a_line_and_not_a_traceback(
    example: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    calls = tmp_path / "calls.jsonl"
    calls.write_text(line(), encoding="utf-8")
    gateway: Callable[..., list[str]] = lambda *_: [sys.executable, "-c", "pass"]  # noqa: E731 - a stand-in
    monkeypatch.setattr(example, "gateway_command", gateway)
    assert example.main([str(calls), "--folder", str(tmp_path / "run")]) == 1
    assert capfd.readouterr().err.startswith("could not run: the gateway: ")
