"""``delego policy``: shown, checked, explained."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml

from cli_tools import FORBIDDEN, ORDER, READ, fill, opened
from delego_authorizer import Home
from delego_authorizer.home import template
from delego_cli.policy_text import LedgerCounts
from delego_spec import Action, CountUnavailable, Micros, policy_digest
from delego_spec.timestamps import SECOND, parse_ts

NOT_READ = """\
version: 1
foo: 1
rules:
  - name: a
    decision: deny
"""


def words_of(action: Action) -> list[str]:
    return ["-i", action.instruction, action.method, action.url, "--params", json.dumps(action.params)]


# --- show -----------------------------------------------------------------------------------------------


def test_the_policy_is_shown_as_loaded(home: Any) -> None:
    text = home.run("policy", "show").stdout
    loaded = Home(home.home)
    digest = policy_digest(loaded.policy().document, loaded.config().decision_document)
    assert f"sha256:{digest}" in text
    assert "at most 50 per hour" in text
    assert 'amount at most 5000 USD; destination in ["internal"]' in text
    assert "path with /permissions" in text
    assert home.json("policy", "show")["digest"] == digest


def test_the_shown_digest_stands_in_receipts(home: Any) -> None:
    fill(home.home)
    digest = home.json("policy", "show")["digest"]
    assert f"reason: policy sha256:{digest}" in home.run("log", "-v").stdout


def test_odd_matches_and_constraints_are_shown(home: Any) -> None:
    Home(home.home).policy_path.write_text(
        "version: 1\ndefault: deny\nrules:\n  - name: x\n    decision: allow\n"
        "    match: { method: [put, GET] }\n    constraints: { amount: { field: n } }\n"
    )
    text = home.run("policy", "show").stdout
    assert "GET or PUT" in text
    assert "n a number" in text


def test_a_policy_that_cannot_be_loaded_is_not_shown(home: Any) -> None:
    Home(home.home).policy_path.write_text(NOT_READ)
    done = home.run("policy", "show")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "rules[0]: is missing the key 'match'" in done.stderr


# --- check ----------------------------------------------------------------------------------------------


def test_a_good_policy_is_good(home: Any) -> None:
    done = home.run("policy", "check")
    assert done.exit_code == 0
    assert done.stdout.endswith("policy.yaml: version 1, default deny, 1 forbidden, 2 rules\n")
    assert home.json("policy", "check")["valid"] is True


def test_everything_wrong_is_listed(world: Any) -> None:
    (world.folder / "draft.yaml").write_text(NOT_READ)
    done = world.run("policy", "check", "draft.yaml")
    assert done.exit_code == 3
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == [
        "draft.yaml:1:1",
        "draft.yaml:2:1",
        "draft.yaml:4:5",
        "draft.yaml:5:15",
        "refused",
    ]
    document = world.json("policy", "check", "draft.yaml", exit_code=3)
    assert (document["valid"], len(document["problems"])) == (False, 4)


def test_a_policy_comes_through_a_pipe(world: Any) -> None:
    done = world.run("policy", "check", "-", input="version: 1\ndefault: deny\n")
    assert (done.exit_code, "standard input: version 1" in done.stdout) == (0, True)


@pytest.mark.parametrize("name", ["nix.yaml", "."])
def test_a_file_that_cannot_be_read_is_an_error(world: Any, name: str) -> None:
    done = world.run("policy", "check", name)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\x00", b"a: &x [*x]", b"- " * 100_000, b"{" * 10_000])
def test_nonsense_is_refused(world: Any, data: bytes) -> None:
    (world.folder / "bad.yaml").write_bytes(data)
    assert world.run("policy", "check", "bad.yaml").exit_code == 3


def test_without_a_home_there_is_nothing_to_check(world: Any) -> None:
    assert world.run("policy", "check").exit_code == 1


# --- explain --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "outcome"), [(READ, "allow"), (FORBIDDEN, "deny"), (ORDER, "needs_approval")]
)
def test_the_explanation_is_what_propose_would_say(home: Any, action: Action, outcome: str) -> None:
    words = words_of(action)
    explained = home.json("policy", "explain", *words, exit_code=0 if outcome == "allow" else 3)
    assert Home(home.home).ledger().head() is None
    with opened(home.home) as authorizer:
        decision = authorizer.propose(action)
    assert (
        (explained["outcome"], explained["rule"])
        == (outcome, decision.rule)
        == (
            decision.outcome,
            decision.rule,
        )
    )
    assert explained["reasons"] == list(decision.reasons)[: len(explained["reasons"])]
    assert explained["action_fingerprint"] == action.fingerprint
    assert explained["steps"][-1]["matched"] is True


def test_each_entry_on_the_way_is_said(home: Any) -> None:
    text = home.run("policy", "explain", *words_of(ORDER)).stdout
    assert "forbidden 'no-permission-changes' does not match" in text
    assert "rule 'read-accounts' does not match: method is 'POST', wanted GET" in text
    assert "rule 'place-order' decides needs_approval" in text
    assert "would be: needs_approval; " in text


def test_a_hazard_decides_before_the_policy(home: Any) -> None:
    words = ["-i", "x", "GET", "https://api.example.com/accounts/../admin"]
    done = home.run("policy", "explain", *words)
    assert done.exit_code == 3
    assert "would be: deny; hazard: path: " in done.stdout
    assert home.json("policy", "explain", *words, exit_code=3)["steps"] == []


def test_a_spent_limit_is_counted(home: Any) -> None:
    with opened(home.home) as authorizer:
        authorizer.propose_many([READ] * 50)
    assert "rate_limit: 50/50 per hour already used" in home.run("policy", "explain", *words_of(READ)).stdout


@pytest.mark.parametrize("words", [["GET", "https://x.example/"], ["-i", "x", "GET"], ["-i", "x"], []])
def test_half_an_action_is_wrong_usage(home: Any, words: list[str]) -> None:
    done = home.run("policy", "explain", *words)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_counting_by_reading_agrees_with_a_transaction(home: Any) -> None:
    with opened(home.home) as authorizer:
        for _ in range(3):
            authorizer.propose(READ)
            authorizer.propose(FORBIDDEN)
        ledger = authorizer.ledger
        receipts = [receipt for seq in range(9) if (receipt := ledger.receipt(seq)) is not None]
        with ledger.transaction() as transaction:
            now = transaction.now
            counts = LedgerCounts(ledger, now)
            times = [parse_ts(receipt.payload.ts) for receipt in receipts]
            for since in (0, now - 3600 * SECOND, now, *times, *(time - 1 for time in times)):
                wanted = transaction.count_allows("read-accounts", Micros(since))
                assert counts.count_allows("read-accounts", Micros(since)) == wanted
        assert len(receipts) == 9
    with pytest.raises(CountUnavailable, match="lies in the future of the clock"):
        LedgerCounts(ledger, Micros(now - 60 * SECOND)).count_allows("read-accounts", Micros(0))


# --- schema ---------------------------------------------------------------------------------------------


def test_the_schema_accepts_the_example_policy(world: Any) -> None:
    schema = json.loads(world.run("policy", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(template("policy.yaml")), schema)


def test_the_configuration_has_a_schema_as_well(world: Any) -> None:
    schema = json.loads(world.run("policy", "schema", "--config").stdout)
    validator = jsonschema.Draft202012Validator(schema)  # what editors use
    jsonschema.Draft202012Validator.check_schema(schema)
    assert validator.is_valid({"version": 1, "approvals": {"approvers": ["alice"]}})
    assert not validator.is_valid({"nix": 1})
