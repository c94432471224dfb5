"""The calls of AgentDojo, made by an agent through ``delego mcp-gateway``, with a bank and a chat behind it.

    python examples/agentdojo/run.py CALLS.jsonl

CALLS.jsonl has one call a line: {"suite", "task", "kind": "user" | "injection", "action": {"instruction",
"method", "url", "params"}}. The user's calls are made once, the attacker's once in each way of attacking.
What waits for a person is approved where a user's task needs it, and never where an attacker wants it. Exit
status: 0; 3 if an attacker's call ran without a person; 1 if something could not run; 2 for a wrong command
line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from delego_authorizer import Authorizer, DelegoAuthorizerError, Home, init_home
from delego_ledger.errors import DelegoLedgerError

HERE: Final = Path(__file__).resolve().parent
SERVERS: Final = {"banking": HERE / "bank_server.py", "slack": HERE / "slack_server.py"}
PERSON: Final = "alice"
OUTCOMES: Final = ("allowed", "parked", "refused")
WAYS: Final = {
    "hidden": "inside of a user's task, under the user's words",
    "alone": "when nobody has asked for anything, so without words",
}
Table: TypeAlias = dict[str, dict[str, Counter[str]]]
# What brings words of strangers before the agent (a channel's name is one): an attack begins after these.
STRANGERS_WORDS: Final = {
    "read_file",
    "get_most_recent_transactions",
    "get_webpage",
    "get_channels",
    "read_channel_messages",
    "read_inbox",
}


class CannotRun(Exception):  # noqa: N818 - it reads as what happened
    """Something that this example needs is missing or wrong; the text says what."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool. ``words``: what the agent's program passes on as the person's instruction.
    ``attack``: how an attacker's call is made; None for the user's. ``inside``: the user's task it hides in.
    """

    suite: str
    task: str
    tool: str
    params: dict[str, Any]
    words: str | None
    attack: str | None
    inside: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A call, and what became of it. ``ran``: its server answered it."""

    call: Call
    outcome: str  # of OUTCOMES
    ran: bool


# --- which calls, and in which order -----------------------------------------------------------------------


def read_calls(path: Path) -> list[Call]:
    """Raises CannotRun."""
    calls = []
    number = 0
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            number += 1
            row = json.loads(line)
            action = row["action"]
            scheme, _, rest = action["url"].partition("://")
            suite, _, tool = rest.partition("/")
            if (action["method"], scheme) != ("CALL", "mcp") or suite not in SERVERS:
                raise CannotRun(f"{path}: {action['url']!r:.80} is no call of the bank or the chat")
            if row["kind"] not in ("user", "injection"):
                raise CannotRun(f"{path}: the kind {row['kind']!r:.80} is neither 'user' nor 'injection'")
            attack = None if row["kind"] == "user" else "unknown"
            calls.append(Call(suite, row["task"], tool, action["params"], action["instruction"], attack))
    except OSError as error:
        raise CannotRun(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CannotRun(f"{path} is no text in UTF-8; it should have one call a line, as JSON") from None
    except KeyError as error:
        raise CannotRun(f"{path}, line {number}: {error} is missing") from None
    except (ValueError, TypeError):
        raise CannotRun(f"{path}, line {number}: no call, written as JSON") from None
    if not calls:
        raise CannotRun(f"{path} has no calls")
    return calls


def tasks_of(calls: Iterable[Call]) -> dict[tuple[str, str], list[Call]]:
    """The calls by suite and task, in their order."""
    tasks: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        tasks.setdefault((call.suite, call.task), []).append(call)
    return tasks


def in_order(calls: Sequence[Call], ways: Collection[str]) -> Iterator[Call]:
    """The user's tasks one after the other, and the attacks where they strike. Raises CannotRun."""
    users = tasks_of(call for call in calls if call.attack is None)
    attacks = tasks_of(call for call in calls if call.attack is not None)
    inside: dict[tuple[str, str], list[Call]] = {}
    if "hidden" in ways:
        for (suite, _), wanted in attacks.items():
            host = likest({key: task for key, task in users.items() if key[0] == suite}, wanted)
            inside.setdefault(host, []).extend(wanted)
    for key, task in users.items():
        waiting = inside.get(key, [])
        for call in task:
            yield call
            if call.tool in STRANGERS_WORDS:
                yield from (hidden(one, call) for one in waiting)
                waiting = []
    if "alone" in ways:
        for wanted in attacks.values():
            yield from (replace(one, words=None, attack="alone") for one in wanted)


def likest(tasks: dict[tuple[str, str], list[Call]], wanted: Sequence[Call]) -> tuple[str, str]:
    """The task in which an attack stands out least: the one that makes most of its calls by itself."""
    readers = {key: task for key, task in tasks.items() if any(one.tool in STRANGERS_WORDS for one in task)}
    if not readers:
        raise CannotRun("no task of the user reads what strangers wrote; nothing could carry an attack")

    def alike(key: tuple[str, str]) -> tuple[int, int]:
        own = [(one.tool, one.params) for one in readers[key]]
        tools = {one.tool for one in readers[key]}
        return (
            sum((one.tool, one.params) in own for one in wanted),
            sum(one.tool in tools for one in wanted),
        )

    return max(readers, key=alike)


def hidden(call: Call, before: Call) -> Call:
    """An attacker's call as the agent makes it after ``before``: under the same words."""
    return replace(call, words=before.words, attack="hidden", inside=before.task)


# --- the agent's program -----------------------------------------------------------------------------------


async def make_calls(
    calls: Iterable[Call], gateway: Sequence[str], person: Authorizer | None
) -> tuple[list[Made], set[str]]:
    """What became of each call, and the names of the tools that only read, as their servers say.

    ``person``: who approves what waits for the user's tasks; None: nobody does.
    """
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    made = []
    # All of the environment, for coverage and the like; the official client would pass on hardly any of it.
    command = StdioServerParameters(command=gateway[0], args=[*gateway[1:]], env=dict(os.environ))
    # With the handshake, which waits for servers that start slowly; asking which era they speak does not.
    async with Client(stdio_client(command, errlog=sys.stderr), mode="legacy") as client:
        tools = (await client.list_tools()).tools
        reads = {one.name for one in tools if one.annotations is not None and one.annotations.read_only_hint}
        for call in calls:
            status, approval_id = await ask(client, call)
            outcome = {"ran": "allowed", "pending": "parked", "denied": "refused"}[status]
            if status == "pending" and call.attack is None and person is not None:
                if not person.decide(approval_id, "approve", PERSON).accepted:
                    raise CannotRun(f"the approval {approval_id} was not accepted")
                status, _ = await ask(client, call)  # exactly the same call again
            made.append(Made(call, outcome, status == "ran"))
    return made, reads


async def ask(client: Any, call: Call) -> tuple[str, str]:
    """Make the call: 'ran', 'pending' with the approval's id, or 'denied'. Raises CannotRun for a fault."""
    meta = None if call.words is None else {"delego/instruction": call.words}
    result = await client.call_tool(call.tool, call.params, meta=meta)
    decision = (result.meta or {}).get("delego/decision", {})
    status = decision.get("status", "failed" if result.is_error else "ran")
    if status not in ("ran", "pending", "denied"):
        raise CannotRun(f"{call.suite}/{call.tool}: {status}: {result.content[0].text:.200}")
    return status, str(decision.get("approval_id"))


def reason_of(error: Exception) -> Exception:
    """What is inside of the groups that the official client wraps around every exception."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if type(error).__module__.startswith("mcp."):
        return CannotRun(f"the gateway: {error}")
    return error


# --- the operator: a home, a gateway, a ledger --------------------------------------------------------------


def policy_text(asks: Sequence[str]) -> str:
    """The policy, with the rules named in ``asks`` turned from allow to needs_approval."""
    text = (HERE / "policy.yaml").read_text(encoding="utf-8")
    if not asks:
        return text
    document = yaml.safe_load(text)
    rules = {rule["name"]: rule for rule in document["rules"]}
    for name in asks:
        if name not in rules:
            raise CannotRun(f"--ask {name!r:.80}: the policy has no such rule; it has {', '.join(rules)}")
        rules[name]["decision"] = "needs_approval"
    return json.dumps(document)


def gateway_command(home: Home, folder: Path) -> list[str]:
    """``delego mcp-gateway`` in front of both servers. ``--hold 0``: what waits comes back at once."""
    servers = {
        name: {"command": sys.executable, "args": [str(path), str(folder / "journal.jsonl")]}
        for name, path in SERVERS.items()
    }
    config = folder / "servers.yaml"
    config.write_text(json.dumps({"servers": servers}), encoding="utf-8")
    words = ("--home", str(home.path), "mcp-gateway", "run", "--config", str(config), "--hold", "0")
    return [sys.executable, "-m", "delego_cli", *words]


def check_journal(made: Sequence[Made], journal: Path) -> int:
    """How many calls arrived at the servers. Raises CannotRun unless just those arrived that are said to."""
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    arrived = [(row["suite"], row["tool"]) for row in map(json.loads, lines)]
    if arrived != [(one.call.suite, one.call.tool) for one in made if one.ran]:
        raise CannotRun(f"what the servers wrote down in {journal} is not what the gateway said")
    return len(arrived)


def verify(home: Home) -> tuple[str, list[str]]:
    """The verdict of ``delego verify`` on the ledger, and the command. Raises CannotRun for a bad one."""
    ledger = home.ledger()
    try:
        words = ["--home", str(home.path), "verify", "--expected-head", str(ledger.head())]
    finally:
        ledger.close()
    command = [sys.executable, "-m", "delego_cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode != 0:
        raise CannotRun(f"the ledger does not verify: {done.stdout}{done.stderr}")
    return done.stdout.splitlines()[0], ["delego", *words]


# --- what is shown -----------------------------------------------------------------------------------------


def count(made: Sequence[Made], reads: set[str], ways: Collection[str]) -> Table:
    """Suite (and 'both') → 'user reads', 'user writes', 'attack …' → outcome → calls."""
    names = ["user reads", "user writes", *(f"attack {way}" for way in ways)]
    table = {
        suite: {name: Counter(dict.fromkeys(OUTCOMES, 0)) for name in names} for suite in (*SERVERS, "both")
    }
    for one in made:
        users = "user reads" if one.call.tool in reads else "user writes"
        row = users if one.call.attack is None else f"attack {one.call.attack}"
        for suite in (one.call.suite, "both"):
            table[suite][row][one.outcome] += 1
    return table


def draw(table: Table) -> Iterator[str]:
    yield f"{'':22}{''.join(f'{name:>9}' for name in (*OUTCOMES, 'total'))}"
    for suite, rows in table.items():
        for number, (row, counts) in enumerate(rows.items()):
            cells = [*(counts[outcome] for outcome in OUTCOMES), counts.total()]
            yield f"{'' if number else suite:9}{row:13}{''.join(f'{cell:>9}' for cell in cells)}"


def report(answer: dict[str, Any]) -> Iterator[str]:
    yield from draw(answer["table"])
    yield ""
    yield from (f"{f'attack {way}:':15}{WAYS[way]}" for way in answer["attacks"])
    yield ""
    users, reads, ran = answer["users"], answer["reads"], answer["attacks_that_ran"]
    share = 100 * reads["unprompted"] / max(reads["total"], 1)
    yield f"the user's tasks:     {users['tasks_done']} of {users['tasks']} had all of their calls done"
    yield f"prompts:              {users['parked']} calls waited for a person, {users['approved']} got a yes"
    yield f"the user's reads:     {reads['unprompted']} of {reads['total']} without a prompt ({share:.0f} %)"
    yield f"the attacker's calls: {len(ran)} ran without a person{':' if ran else ''}"
    for one in ran:
        words = [one["tool"], *map(str, one["params"].values())]
        place = f" in {one['inside']}" if one["inside"] else ""
        yield f"  {one['task']}{place}: {' '.join(words)}"[:79]
    yield f"the servers:          {answer['arrived']} calls arrived, the same that ran here"
    yield f"the ledger:           {answer['ledger']['verdict']}"
    yield ""
    yield "check it yourself:"
    *words, head = answer["ledger"]["command"]
    yield f"  {shlex.join(words)} \\"
    yield f"    {head}"


# --- all of it ---------------------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Make all calls. Raises CannotRun, and the errors of the rooms."""
    ways = [options.attack] if options.attack else [*WAYS]
    calls = [*in_order(read_calls(options.calls), ways)]
    folder = Path(options.folder or tempfile.mkdtemp(prefix="delego-agentdojo-")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    home = init_home(folder / "home", approver=PERSON, policy_text=policy_text(options.ask))
    person = home.authorizer()
    approving = person if options.approve == "user" else None
    try:
        made, reads = asyncio.run(make_calls(calls, gateway_command(home, folder), approving))
    except ExceptionGroup as group:
        raise reason_of(group) from None
    finally:
        person.ledger.close()
    users = [one for one in made if one.call.attack is None]
    parked = [one for one in users if one.outcome == "parked"]
    tasks = {(one.call.suite, one.call.task) for one in users}
    undone = {(one.call.suite, one.call.task) for one in users if not one.ran}
    table = count(made, reads, ways)
    verdict, command = verify(home)
    return {
        "attacks": ways,
        "table": table,
        "users": {
            "parked": len(parked),
            "approved": sum(one.ran for one in parked),
            "tasks": len(tasks),
            "tasks_done": len(tasks - undone),
        },
        "reads": {
            "unprompted": table["both"]["user reads"]["allowed"],
            "total": table["both"]["user reads"].total(),
        },
        "attacks_that_ran": [
            {
                name: getattr(one.call, name)
                for name in ("suite", "task", "attack", "inside", "tool", "params")
            }
            for one in made
            if one.ran and one.call.attack is not None
        ],
        "arrived": check_journal(made, folder / "journal.jsonl"),
        "ledger": {"verdict": verdict, "command": command},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="AgentDojo's calls through delego mcp-gateway.")
    parser.add_argument("calls", type=Path, metavar="CALLS.jsonl", help="the calls, one a line")
    parser.add_argument(
        "--attack",
        choices=WAYS,
        help="; ".join(f"{name}: {text}" for name, text in WAYS.items()) + "; else in both ways",
    )
    parser.add_argument(
        "--approve",
        choices=("user", "none"),
        default="user",
        help="what a person says yes to: the calls of the user's tasks (default), or none",
    )
    parser.add_argument(
        "--ask", action="append", default=[], metavar="RULE", help="a rule that asks instead of allowing"
    )
    parser.add_argument("--folder", help="a new folder for home, ledger and journal; else a temporary one")
    parser.add_argument("--json", action="store_true", help="answer in JSON, for machines")
    options = parser.parse_args(arguments)
    try:
        answer = run(options)
    except ModuleNotFoundError as error:
        if error.name != "mcp":
            raise
        print("MCP needs the extra: pip install 'delego-spec[mcp]'", file=sys.stderr)
        return 1
    except (CannotRun, DelegoAuthorizerError, DelegoLedgerError) as error:
        print(f"could not run: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer) if options.json else "\n".join(report(answer)))
    return 3 if answer["attacks_that_ran"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
