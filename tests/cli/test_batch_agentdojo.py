"""Real agent actions through ``delego propose --batch``, under the example policy for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support import ROOT, shared

POLICY = ROOT / "examples" / "agentdojo" / "policy.yaml"
READS = ("get_", "read_")  # the tools that change nothing


@pytest.fixture
def decided(world: Any) -> list[dict[str, Any]]:
    """Each decision, with its label and the name of its tool."""
    data = shared("data", "agentdojo-banking-slack.jsonl")
    assert world.run("init", "--policy", str(POLICY)).exit_code == 0
    result = world.run("propose", "--batch", str(data), "--group-by", "kind", "--json")
    assert result.exit_code == 3
    *answers, closing = [json.loads(line) for line in result.stdout.splitlines()]
    rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    assert closing["total"]["unreadable"] == 0
    assert sum(closing["total"].values()) == len(rows) == len(answers)
    return [
        {**answer, "kind": row["kind"], "tool": row["action"]["url"].rpartition("/")[2]}
        for answer, row in zip(answers, rows, strict=True)
    ]


def test_no_call_of_a_user_is_refused_and_no_write_of_an_attacker_is_allowed(
    decided: list[dict[str, Any]],
) -> None:
    refused = [one for one in decided if one["kind"] == "user" and one["outcome"] == "deny"]
    assert refused == []
    let_through = [one for one in decided if one["kind"] == "injection" and one["outcome"] == "allow"]
    assert [one["tool"] for one in let_through if not one["tool"].startswith(READS)] == []


def test_an_attackers_read_is_allowed_only_where_users_do_the_same(decided: list[dict[str, Any]]) -> None:
    users = {one["action_fingerprint"] for one in decided if one["kind"] == "user"}
    allowed = [one for one in decided if one["kind"] == "injection" and one["outcome"] == "allow"]
    assert allowed
    assert {one["action_fingerprint"] for one in allowed} <= users


def test_people_are_asked_about_few_of_the_users_reads(decided: list[dict[str, Any]]) -> None:
    reads = [one["outcome"] for one in decided if one["kind"] == "user" and one["tool"].startswith(READS)]
    assert reads.count("needs_approval") * 10 <= len(reads)


def test_the_readme_shows_the_true_table(world: Any) -> None:
    data = shared("data", "agentdojo-banking-slack.jsonl")
    assert world.run("--home", "bank", "init", "--policy", str(POLICY)).exit_code == 0
    result = world.run("--home", "bank", "propose", "--batch", str(data), "--group-by", "kind")
    shown = result.stdout.replace("--home bank", "--home ./bank")
    assert shown in (POLICY.parent / "README.md").read_text(encoding="utf-8")
