"""Evaluation: forbidden, first matching rule, default; constraints that fail closed (§6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.action import Action
from delego_spec.constraints import AllowList
from delego_spec.errors import DelegoSpecError
from delego_spec.evaluate import CountUnavailable, Verdict, count_in_window, evaluate
from delego_spec.globs import Glob
from delego_spec.matching import Match, MatchIndex
from delego_spec.policy import Policy, load_policy, policy_from_document
from delego_spec.timestamps import SECOND, format_ts
from delego_spec.types import JSON, JSONObject, Micros

NOW = Micros(1_767_225_600 * SECOND)


@dataclass
class Counts:
    """A ledger that knows only how much was used, and what it was asked."""

    used: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)

    def count_allows(self, rule: str, since: Micros) -> int:
        self.asked.append((rule, since))
        return self.used


class BrokenCounts:
    def count_allows(self, rule: str, since: Micros) -> int:
        return count_in_window(["yesterday"], since=since, now=NOW)


def action(url: str = "https://api.example.com/pay", method: str = "POST", **params: JSON) -> Action:
    return Action("do it", method, url, params)


def decide(
    policy: Policy, proposed: Action, counts: Counts | BrokenCounts | None = None
) -> tuple[str, str | None, tuple[str, ...]]:
    verdict = evaluate(policy, proposed, now=NOW, counts=counts)
    return verdict.outcome, verdict.rule, verdict.reasons


def constrained(**constraints: JSON) -> Policy:
    rule: JSONObject = {
        "name": "pay",
        "decision": "needs_approval",
        "match": {"path": "/pay"},
        "constraints": constraints,
    }
    return policy_from_document({"default": "allow", "rules": [rule]})


# --- order ---

ORDER = load_policy(
    """
default: needs_approval
forbidden:
- {name: no-admin, description: Admin is closed, match: {path: /admin/**}}
- {name: no-trace, match: {method: TRACE}}
rules:
- {name: first, decision: allow, match: {host: api.example.com, method: GET}}
- {name: second, decision: needs_approval, match: {path: '*'}}
- {name: third, decision: allow, match: {path: '*'}}
"""
)


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        (
            "GET",
            "https://api.example.com/admin/x",
            ("deny", "no-admin", ("forbidden: Admin is closed",)),
        ),
        ("trace", "https://api.example.com/", ("deny", "no-trace", ("forbidden: no-trace",))),
        ("get", "https://API.example.com/x", ("allow", "first", ("matched rule 'first'",))),
        ("GET", "https://other.example/x", ("needs_approval", "second", ("matched rule 'second'",))),
        ("GET", "https://api.example.com:8443/", ("needs_approval", "second", ("matched rule 'second'",))),
    ],
)
def test_forbidden_comes_before_rules_and_the_first_rule_wins(
    method: str, url: str, expected: tuple[str, str, tuple[str, ...]]
) -> None:
    assert decide(ORDER, action(url, method)) == expected


@pytest.mark.parametrize("default", ["deny", "allow", "needs_approval"])
def test_the_default_decides_what_nothing_matches(default: str) -> None:
    policy = load_policy(f"default: {default}")
    assert decide(policy, action()) == (default, None, (f"no rule matched; default = {default}",))


def test_an_empty_description_gives_way_to_the_name() -> None:
    policy = load_policy("default: allow\nforbidden: [{name: f, description: '', match: {path: '*'}}]")
    assert decide(policy, action()) == ("deny", "f", ("forbidden: f",))


def test_a_name_with_a_quote_stands_in_the_reason_as_it_is() -> None:
    policy = load_policy("default: deny\nrules: [{name: it's, decision: allow, match: {path: '*'}}]")
    assert decide(policy, action()) == ("allow", "it's", ("matched rule 'it's'",))


def test_path_contains_looks_at_the_path_alone_and_minds_case() -> None:
    policy = load_policy("default: deny\nrules: [{name: r, decision: allow, match: {path_contains: /a*b}}]")
    assert decide(policy, action("https://x.example/1/a*b/2"))[0] == "allow"
    assert decide(policy, action("https://x.example/1/A*B/2"))[0] == "deny"
    assert decide(policy, action("https://x.example/1/axb/2"))[0] == "deny"
    assert decide(policy, action("https://x.example/1?q=/a*b"))[0] == "deny"


# --- amount ---

AMOUNT: JSON = {"field": "sum", "max": 5000, "currency": "USD"}


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"sum": 2400}, "amount: 2400 within max 5000"),
        ({"sum": 2400.0}, "amount: 2400 within max 5000"),
        ({"sum": 98.7}, "amount: 98.7 within max 5000"),
        ({"sum": 0.0001}, "amount: 0.0001 within max 5000"),
        ({"sum": 0}, "amount: 0 within max 5000"),
        ({"sum": -0.0}, "amount: 0 within max 5000"),
        ({"sum": "2400"}, "amount: 2400 within max 5000"),
        ({"sum": "5000.00"}, "amount: 5000.00 within max 5000"),
        ({"sum": "0007"}, "amount: 0007 within max 5000"),
    ],
)
def test_an_amount_within_the_limit_passes(params: JSONObject, reason: str) -> None:
    policy = constrained(amount=AMOUNT)
    assert decide(policy, action(**params, currency="USD")) == ("needs_approval", "pay", (reason,))


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"sum": 5001}, "amount: 5001 exceeds max 5000 USD"),
        ({"sum": 5000.01}, "amount: 5000.01 exceeds max 5000 USD"),
        ({"sum": 2**53 - 1}, "amount: 9007199254740991 exceeds max 5000 USD"),
        ({"sum": "5000.0000000000000000000000000000000001"}, None),
        ({"sum": "9" * 400}, None),
        ({}, "amount: action is missing field 'sum'"),
        ({"sum": -5}, "amount: field 'sum'=-5 must not be negative"),
        ({"sum": -0.5}, "amount: field 'sum'=-0.5 must not be negative"),
        ({"sum": "NaN"}, "amount: field 'sum'='NaN' is not a finite number"),
        ({"sum": "-Infinity"}, "amount: field 'sum'='-Infinity' is not a finite number"),
        ({"sum": True}, "amount: field 'sum'=True is not numeric"),
        ({"sum": None}, "amount: field 'sum'=None is not numeric"),
        ({"sum": {"b": [1], "a": "x"}}, "amount: field 'sum'={'a': 'x', 'b': [1]} is not numeric"),
        ({"sum": "it's"}, "amount: field 'sum'=\"it's\" is not numeric"),
        *(
            ({"sum": text}, f"amount: field 'sum'={text!r} is not numeric")
            for text in [
                "",
                " 1",
                "1 ",
                "+1",
                "-1",
                "1e3",
                "1_000",
                "1,5",
                ".5",
                "5.",
                "1.2.3",
                "0x1",
                "1\n",
                "٥",
                "²",
            ]
        ),
    ],
)
def test_an_amount_that_is_no_plain_number_or_too_large_is_denied(
    params: JSONObject, reason: str | None
) -> None:
    outcome, rule, reasons = decide(constrained(amount=AMOUNT), action(**params, currency="USD"))
    assert (outcome, rule) == ("deny", "pay")
    assert reasons == ((reason or f"amount: {params['sum']} exceeds max 5000 USD"),)


@pytest.mark.parametrize("currency", ["EUR", "usd", None, 1, ["USD"]])
def test_another_currency_is_denied(currency: JSON) -> None:
    reasons = (f"amount: currency {currency!r} != required 'USD'",)
    assert decide(constrained(amount=AMOUNT), action(sum=1, currency=currency)) == ("deny", "pay", reasons)


def test_a_missing_currency_is_denied_and_named_before_the_size() -> None:
    reasons = ("amount: currency None != required 'USD'",)
    assert decide(constrained(amount=AMOUNT), action(sum=9999)) == ("deny", "pay", reasons)


def test_the_currency_stands_in_the_reason_only_if_the_policy_gives_one() -> None:
    policy = constrained(amount={"field": "sum", "max": 0.3})
    assert decide(policy, action(sum=1))[2] == ("amount: 1 exceeds max 0.3",)


def test_amounts_compare_as_the_decimals_that_were_written() -> None:
    policy = constrained(amount={"field": "sum", "max": 0.3})
    assert decide(policy, action(sum=0.3))[0] == "needs_approval"
    assert decide(policy, action(sum="0.30"))[0] == "needs_approval"
    # 0.1 + 0.2 in binary; as a float its string would equal the limit.
    assert decide(policy, action(sum=0.30000000000000004))[0] == "deny"
    assert decide(policy, action(sum="0.30000000000000001"))[0] == "deny"


def test_without_a_max_only_the_form_of_the_amount_is_checked() -> None:
    policy = constrained(amount={"field": "sum"})
    assert decide(policy, action(sum=10**12)) == (
        "needs_approval",
        "pay",
        ("amount: 1000000000000, no max is set",),
    )
    assert decide(policy, action(sum="x"))[0] == "deny"


@given(
    st.decimals(0, 10**15, places=4).map(lambda number: f"{number:f}"),
    st.integers(0, 10**15) | st.decimals(0, 10**6, places=2).map(float),
)
def test_an_amount_passes_iff_its_decimal_is_at_most_the_limit(text: str, limit: int | float) -> None:
    policy = constrained(amount={"field": "sum", "max": limit})
    outcome, _, [reason] = decide(policy, action(sum=text))
    assert (outcome != "deny") == (Decimal(text) <= Decimal(str(limit)))
    assert "e" not in reason.removeprefix("amount: ").split(" ")[0].lower()


# --- allow_list ---


@pytest.mark.parametrize(
    ("allowed", "value", "permitted"),
    [
        (["internal"], "internal", True),
        (["internal"], "Internal", False),
        (["internal"], "intern", False),
        (["internal"], ["internal"], False),
        ([1], 1, True),
        ([1.0], 1, True),
        ([1], 1.0, True),
        ([1], True, False),
        ([True], 1, False),
        ([0], False, False),
        (["1"], 1, False),
        ([1], "1", False),
        ([0.5], 0.5, True),
        ([None], None, True),
        ([None], False, False),
        ([[1, {"a": [2]}]], [1, {"a": [2]}], True),
        ([[1, {"a": [2]}]], [True, {"a": [2]}], False),
        ([[1, {"a": [2]}]], [1, {"a": [2], "b": 1}], False),
        ([[1]], [1, 1], False),
        ([{"a": 1, "b": 2}], {"b": 2, "a": 1}, True),
        ([{"a": 1}], {"a": True}, False),
        ([], "x", False),
    ],
)
def test_an_allow_list_compares_type_and_value(allowed: list[JSON], value: JSON, permitted: bool) -> None:
    policy = constrained(allow_list={"field": "to", "in": allowed})
    outcome, rule, [reason] = decide(policy, action(to=value))
    assert (outcome, rule) == ("needs_approval" if permitted else "deny", "pay")
    assert reason.endswith(" permitted") == permitted


@pytest.mark.parametrize(
    ("allowed", "params", "reason"),
    [
        (["internal"], {"to": "internal"}, "allow_list: to='internal' permitted"),
        (["a", 1], {"to": "b"}, "allow_list: to='b' not in ['a', 1]"),
        ([False, "it's"], {"to": None}, 'allow_list: to=None not in [False, "it\'s"]'),
        ([{"b": 1, "a": 2}], {"to": {"d": 1, "c": [{"z": 1, "y": 2}]}}, None),
        (["a"], {}, "allow_list: to=None not in ['a']"),
        ([None], {}, "allow_list: to=None not in [None]"),
    ],
)
def test_the_reasons_of_an_allow_list(allowed: list[JSON], params: JSONObject, reason: str | None) -> None:
    expected = reason or "allow_list: to={'c': [{'y': 2, 'z': 1}], 'd': 1} not in [{'a': 2, 'b': 1}]"
    assert decide(constrained(allow_list={"field": "to", "in": allowed}), action(**params))[2] == (expected,)


def test_actions_with_one_fingerprint_get_one_reason() -> None:
    policy = constrained(allow_list={"field": "to", "in": []})
    one, other = action(to={"a": 1, "b": 2}), action(to={"b": 2, "a": 1})
    assert one.fingerprint == other.fingerprint
    assert decide(policy, one) == decide(policy, other)


def test_allow_lists_are_values() -> None:
    assert AllowList("f", ("a",)) == AllowList("f", ("a",))
    assert AllowList("f", (1,)) != AllowList("f", (2,))


# --- rate_limit ---


@pytest.mark.parametrize(
    ("used", "outcome", "reason"),
    [
        (0, "needs_approval", "rate_limit: 1/2 per minute"),
        (1, "needs_approval", "rate_limit: 2/2 per minute"),
        (2, "deny", "rate_limit: 2/2 per minute already used"),
        (9, "deny", "rate_limit: 9/2 per minute already used"),
    ],
)
def test_a_rate_limit_lets_through_so_many(used: int, outcome: str, reason: str) -> None:
    policy = constrained(rate_limit={"max": 2, "per": "minute"})
    assert decide(policy, action(), Counts(used)) == (outcome, "pay", (reason,))


@pytest.mark.parametrize(("per", "seconds"), [("minute", 60), ("hour", 3600), ("day", 86_400)])
def test_a_rate_limit_asks_for_its_own_rule_and_window(per: str, seconds: int) -> None:
    counts = Counts()
    decide(constrained(rate_limit={"max": 1, "per": per}), action(), counts)
    assert counts.asked == [("pay", NOW - seconds * SECOND)]


def test_a_limit_of_nothing_lets_nothing_through() -> None:
    policy = constrained(rate_limit={"max": 0})
    assert decide(policy, action(), Counts(0)) == ("deny", "pay", ("rate_limit: 0/0 per hour already used",))


def test_a_rate_limit_without_a_ledger_denies() -> None:
    reasons = ("rate_limit: no audit log available to enforce the limit",)
    assert decide(constrained(rate_limit={"max": 5}), action(), None) == ("deny", "pay", reasons)


def test_a_rate_limit_that_cannot_be_counted_denies() -> None:
    reasons = ("rate_limit: a receipt's time stamp 'yesterday' is unreadable",)
    assert decide(constrained(rate_limit={"max": 5}), action(), BrokenCounts()) == ("deny", "pay", reasons)


def test_the_ledger_is_not_asked_where_nothing_limits() -> None:
    counts = Counts()
    decide(ORDER, action(), counts)
    decide(constrained(amount=AMOUNT, rate_limit={"max": 1}), action(), counts)
    assert counts.asked == []


# --- several constraints ---


def test_reasons_stand_in_a_fixed_order_whatever_the_order_in_the_file() -> None:
    policy = constrained(
        rate_limit={"max": 1}, allow_list={"field": "to", "in": ["a"]}, amount={"field": "sum", "max": 1}
    )
    assert decide(policy, action(sum=1, to="a"), Counts())[2] == (
        "amount: 1 within max 1",
        "allow_list: to='a' permitted",
        "rate_limit: 1/1 per hour",
    )


def test_the_first_failure_alone_is_the_reason() -> None:
    policy = constrained(allow_list={"field": "to", "in": ["a"]}, amount={"field": "sum", "max": 1})
    assert decide(policy, action(sum=2, to="b"))[2] == ("amount: 2 exceeds max 1",)
    assert decide(policy, action(sum=1, to="b"))[2] == ("allow_list: to='b' not in ['a']",)


def test_a_failed_constraint_does_not_fall_through_to_a_later_rule() -> None:
    document = dict(constrained(amount=AMOUNT).document)
    rules = document["rules"]
    assert isinstance(rules, list)
    later: JSON = {"name": "all", "decision": "allow", "match": {"path": "*"}}
    policy = policy_from_document(document | {"rules": [*rules, later]})
    assert decide(policy, action())[:2] == ("deny", "pay")


# --- counting receipts that are text ---


def test_the_window_is_open_at_its_old_end_and_closed_at_now() -> None:
    since = Micros(NOW - 60 * SECOND)
    stamps = [format_ts(Micros(moment)) for moment in (since - 1, since, since + 1, NOW - 1, NOW)]
    assert count_in_window(stamps, since=since, now=NOW) == 3


def test_time_stamps_of_other_writers_count() -> None:
    stamps = ["2025-12-31T23:59:59Z", "2025-12-31T23:59:59.5+00:00", "2025-12-31T23:59:59.999999999Z"]
    assert count_in_window(stamps, since=Micros(NOW - 60 * SECOND), now=NOW) == 3
    assert count_in_window([], since=Micros(0), now=NOW) == 0


@pytest.mark.parametrize(
    ("stamp", "problem"),
    [
        ("yesterday", "'yesterday' is unreadable"),
        ("2025-12-31T23:59:59+01:00", "is unreadable"),
        ("2025-02-30T00:00:00Z", "is unreadable"),
        (None, "None is unreadable"),
        (5, "5 is unreadable"),
        ("2026-01-01T00:00:00.000001Z", "lies in the future"),
    ],
)
def test_a_time_stamp_that_is_unreadable_or_in_the_future_makes_counting_impossible(
    stamp: str, problem: str
) -> None:
    with pytest.raises(CountUnavailable, match=problem) as caught:
        count_in_window(["2025-12-31T23:59:59Z", stamp], since=Micros(0), now=NOW)
    assert isinstance(caught.value, DelegoSpecError)


# --- the index ---

METHODS = ["GET", "POST", "DELETE"]
HOSTS = ["a.example", "b.example", "c.example"]
PATTERNS = ["/x", "/x/*", "*", "*/y", "/z"]

matches = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(METHODS) | st.lists(st.sampled_from(METHODS), min_size=1),
        "host": st.sampled_from(HOSTS),
        "path": st.sampled_from(PATTERNS),
        "path_contains": st.sampled_from(["/x", "y"]),
    },
).filter(bool)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    forbidden = draw(st.lists(matches, max_size=3))
    rules = draw(st.lists(st.tuples(matches, st.sampled_from(["allow", "needs_approval"])), max_size=12))
    return policy_from_document(
        {
            "default": draw(st.sampled_from(["allow", "deny", "needs_approval"])),
            "forbidden": [{"name": f"f{n}", "match": match} for n, match in enumerate(forbidden)],
            "rules": [
                {"name": f"r{n}", "match": match, "decision": decision}
                for n, (match, decision) in enumerate(rules)
            ],
        }
    )


def linear(policy: Policy, proposed: Action) -> Verdict:
    """The evaluation of §6 as it is written, entry by entry."""
    where = (proposed.method, proposed.host, proposed.path)
    for entry in policy.forbidden:
        if entry.match.matches(*where):
            return Verdict("deny", entry.name, (f"forbidden: {entry.name}",))
    for rule in policy.rules:
        if rule.match.matches(*where):
            return Verdict(rule.decision, rule.name, (f"matched rule '{rule.name}'",))
    return Verdict(policy.default, None, (f"no rule matched; default = {policy.default}",))


@given(
    policies(),
    st.sampled_from([*METHODS, "PUT"]),
    st.sampled_from([*HOSTS, "d.example"]),
    st.sampled_from(["/x", "/x/y", "/y", "/z", "/q"]),
)
def test_the_index_finds_what_trying_every_rule_finds(
    policy: Policy, method: str, host: str, path: str
) -> None:
    proposed = action(f"https://{host}{path}", method)
    assert evaluate(policy, proposed, now=NOW, counts=None) == linear(policy, proposed)


def test_an_empty_match_matches_nothing_even_where_the_loader_is_bypassed() -> None:
    assert not Match().matches("GET", "h", "/")
    assert MatchIndex([(Match(), 1), (Match(path=Glob("*")), 2)]).first("GET", "h", "/") == 2


def test_rules_for_other_hosts_are_not_looked_at() -> None:
    class Watched(str):
        looked = 0

        def __contains__(self, part: object) -> bool:
            Watched.looked += 1
            return super().__contains__(str(part))

    entries = [(Match(host=f"h{number}", path_contains="/x"), number) for number in range(1000)]
    assert MatchIndex(entries).first("GET", "h999", Watched("/x")) == 999
    assert Watched.looked == 1
