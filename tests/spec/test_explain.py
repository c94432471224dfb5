"""Saying why: each entry that was looked at, and the verdict of evaluate."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from delego_spec.action import Action
from delego_spec.constraints import Finding
from delego_spec.evaluate import evaluate
from delego_spec.explain import Step, explain
from delego_spec.globs import Glob
from delego_spec.matching import Match, Mismatch
from delego_spec.policy import Policy, Rule, load_policy
from delego_spec.types import JSON, Micros

NOW = Micros(1_767_225_600_000_000)

POLICY = load_policy(
    """
default: deny
forbidden:
- {name: no-admin, description: Admin is closed, match: {path_contains: /admin}}
rules:
- {name: read, decision: allow, match: {method: [GET, HEAD], host: api.example.com, path: /a/*}}
- name: pay
  decision: needs_approval
  match: {method: POST, path: /pay}
  constraints:
    amount: {field: sum, max: 10}
    allow_list: {field: to, in: [a]}
    rate_limit: {max: 3, per: day}
"""
)


class Counts:
    def count_allows(self, rule: str, since: Micros) -> int:
        return 1


def why(method: str, url: str, **params: JSON) -> tuple[Step, ...]:
    return explain(POLICY, Action("do it", method, url, params), now=NOW, counts=Counts())


def test_what_is_forbidden_ends_the_explanation_at_once() -> None:
    [step] = why("GET", "https://api.example.com/admin")
    assert (step.section, step.rule, step.matched) == ("forbidden", "no-admin", True)
    assert step.text == "forbidden 'no-admin' decides deny: forbidden: Admin is closed"


def test_each_entry_passed_over_says_which_matchers_failed() -> None:
    first, second, third, last = why("PUT", "https://other.example/b")
    assert first.text == (
        "forbidden 'no-admin' does not match: path_contains is '/b', wanted a path with '/admin' in it"
    )
    assert second.mismatches == (
        Mismatch("method", "GET or HEAD", "PUT"),
        Mismatch("host", "'api.example.com'", "other.example"),
        Mismatch("path", "'/a/*'", "/b"),
    )
    assert second.text == (
        "rule 'read' does not match: method is 'PUT', wanted GET or HEAD;"
        " host is 'other.example', wanted 'api.example.com'; path is '/b', wanted '/a/*'"
    )
    assert not third.matched
    assert last.text == "default decides deny: no rule matched; default = deny"
    assert (last.section, last.rule) == ("default", None)


def test_a_rule_that_decides_shows_its_reason() -> None:
    assert (
        why("GET", "https://api.example.com/a/b")[-1].text == "rule 'read' decides allow: matched rule 'read'"
    )


def test_all_constraints_are_shown_so_that_all_can_be_put_right() -> None:
    step = why("POST", "https://x.example/pay", sum=11, to="b")[-1]
    assert step.constraints == (
        Finding(False, "amount: 11 exceeds max 10"),
        Finding(False, "allow_list: to='b' not in ['a']"),
        Finding(True, "rate_limit: 2/3 per day"),
    )
    assert step.verdict is not None
    assert step.verdict.reasons == ("amount: 11 exceeds max 10",)
    assert step.text == (
        "rule 'pay' decides deny: fails: amount: 11 exceeds max 10;"
        " fails: allow_list: to='b' not in ['a']; holds: rate_limit: 2/3 per day"
    )


def test_an_empty_match_that_bypassed_the_loader_is_named() -> None:
    policy = Policy(1, "deny", (), (Rule("r", "allow", Match()),), {})
    first, _ = explain(policy, Action("x", "GET", "https://h.example/", {}), now=NOW, counts=None)
    assert first.text == "rule 'r' does not match: its match is empty"


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT"]),
    st.sampled_from(["api.example.com", "x.example"]),
    st.sampled_from(["/a/b", "/pay", "/admin", "/a/admin"]),
    st.fixed_dictionaries(
        {}, optional={"sum": st.sampled_from([1, 11, "x"]), "to": st.sampled_from(["a", 1])}
    ),
)
def test_the_last_step_alone_decides_and_agrees_with_evaluate(
    method: str, host: str, path: str, params: dict[str, JSON]
) -> None:
    action = Action("do it", method, f"https://{host}{path}", params)
    *before, last = explain(POLICY, action, now=NOW, counts=Counts())
    assert last.verdict == evaluate(POLICY, action, now=NOW, counts=Counts())
    assert all(step.verdict is None and step.mismatches for step in before)


@given(st.lists(st.sampled_from(["/a", "/b", "*", "/a*"]), max_size=5), st.sampled_from(["/a", "/b", "/c"]))
def test_steps_come_in_the_order_of_the_policy(patterns: list[str], path: str) -> None:
    rules = tuple(Rule(f"r{n}", "allow", Match(path=Glob(text))) for n, text in enumerate(patterns))
    policy = Policy(1, "deny", (), rules, {})
    action = Action("x", "GET", f"https://h.example{path}", {})
    steps = explain(policy, action, now=NOW, counts=None)
    assert [step.rule for step in steps] == [*(f"r{n}" for n in range(len(patterns))), None][: len(steps)]
    assert steps[-1].verdict == evaluate(policy, action, now=NOW, counts=None)
