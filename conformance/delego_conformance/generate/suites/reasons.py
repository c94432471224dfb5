"""The words of verdicts and releases (§6, §7), byte for byte; each has its twin elsewhere without the words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from delego_conformance.generate.build import Suite, action, ok
from delego_conformance.generate.policies import STORY, entry, policy, rule
from delego_conformance.generate.suites.release import ID, INSTRUCTION, URL, approval, order
from delego_conformance.vectors import Basis, JSONObject

SUITE: Final = Suite("reasons", "RS", "The words of verdicts and releases", section="6")


def says(
    slug: str,
    comment: str,
    text: str,
    proposed: JSONObject,
    outcome: str,
    reasons: Sequence[str],
    *,
    control: str = "rule",
    clauses: str = "6-6",
    basis: Basis = "reference",
    by: str | None = "a",
    allows: Sequence[JSONObject] | None = (),
    **more: Any,
) -> None:
    """One decision, and its reasons."""
    args: JSONObject = {"policy_text": text, "action": proposed}
    if allows is not None:
        args["allows"] = list(allows)
    SUITE.add(
        slug, comment, "decide", args, ok(outcome=outcome, rule=by, reasons=list(reasons)), clauses=clauses,
        control=control, basis=basis, errata=29, flags=["ReasonText"], **more,
    )  # fmt: skip


def post(params: str = "{}") -> JSONObject:
    return action("https://api.example.com/x", method="POST", params_json=params, instruction="do it")


# The story of SPEC.md.
ORDERED: Final = '{"amount": 2400, "currency": "USD", "destination": "internal"}'
says("story-read", "A read, the first in its window.", STORY, action(), "allow", ["rate_limit: 1/50 per hour"],
     by="read-accounts", control="story-forbidden")  # fmt: skip
says("story-order", "One reason for each constraint that holds.", STORY, order(params=ORDERED), "needs_approval",
     ["amount: 2400 within max 5000", "allow_list: destination='internal' permitted"], by="place-order",
     control="story-too-much", clauses="6-4 6-6")  # fmt: skip
says("story-too-much", "The first failure is the only reason.", STORY,
     order(params=ORDERED.replace("2400", "50000")), "deny", ["amount: 50000 exceeds max 5000 USD"],
     by="place-order", control="story-order", clauses="6-4 6-6")  # fmt: skip
says("story-forbidden", "The description of what is forbidden.", STORY,
     action("https://api.example.com/accounts/me/permissions", method="POST"), "deny",
     ["forbidden: Agents never change permissions or sharing"], by="no-permission-changes",
     control="story-read")  # fmt: skip

# Without constraints.
for default in ("deny", "allow", "needs_approval"):
    says(f"default-{default}", f"Nothing matched, and the default is {default}.",
         f"version: 1\ndefault: {default}\n", post(), default, [f"no rule matched; default = {default}"], by=None,
         control="forbidden" if default != "deny" else "rule")  # fmt: skip
says("forbidden", "Without a description, the name.", policy(forbidden=entry("{ method: POST }")), post(), "deny",
     ["forbidden: never"], by="never")  # fmt: skip
says("rule", "A rule without constraints.", policy(rule()), post(), "allow", ["matched rule 'a'"],
     control="forbidden")  # fmt: skip
says("rule-approval", "A rule without constraints that waits for a person.",
     policy(rule(decision="needs_approval")), post(), "needs_approval", ["matched rule 'a'"],
     control="forbidden")  # fmt: skip
for slug, name in (
    ("quote", "it's"),
    ("double-quote", 'the "a" rule'),
    ("accent", "caf\u00e9"),
    ("backslash", "a\\b"),
):
    says(f"rule-{slug}", f"The name {name} stands in quotes as it is.", policy(rule(name=json.dumps(name))), post(),
         "allow", [f"matched rule '{name}'"], by=name, control="forbidden")  # fmt: skip
says("forbidden-accent", "A description stands as it is.",
     policy(forbidden=entry("{ method: POST }", more='description: "Caf\\u00e9s aren\'t \\"ours\\""')), post(),
     "deny", ["forbidden: Caf\u00e9s aren't \"ours\""], by="never")  # fmt: skip


# Where the reference does otherwise, or says nothing: our words (SPEC.md §6, and its tables of ambiguities).
OURS: Final = frozenset({
    "within-text", "within-whole-float", "within-minus-zero", "no-max", "no-max-million", "no-max-long",
    "no-max-text", "null", "signed-text", "exponent", "value-whole", "value-object",
})  # fmt: skip


def basis_of(slug: str) -> Basis:
    return "proposed" if slug in OURS else "reference"


# Constraints.
def constrained(text: str) -> str:
    return policy(rule(constraints=f"{{ {text} }}"))


MAX: Final = "amount: { field: n, max: 5000 }"
USD: Final = "amount: { field: n, max: 5000, currency: USD }"
BARE: Final = "amount: { field: n }"
EXACT: Final = "amount: { field: n, max: 0.3 }"
HOLDS: Final = (
    ("within", MAX, '{"n": 2400}', "amount: 2400 within max 5000"),
    ("within-currency", USD, '{"n": 2400, "currency": "USD"}', "amount: 2400 within max 5000"),
    ("within-text", MAX, '{"n": "05000.00"}', "amount: 05000.00 within max 5000"),
    ("within-float", MAX, '{"n": 2400.5}', "amount: 2400.5 within max 5000"),
    ("within-whole-float", MAX, '{"n": 2400.0}', "amount: 2400 within max 5000"),
    ("within-minus-zero", MAX, '{"n": -0.0}', "amount: 0 within max 5000"),
    ("within-small", MAX, '{"n": 0.0001}', "amount: 0.0001 within max 5000"),
    ("within-exact", EXACT, '{"n": 0.1}', "amount: 0.1 within max 0.3"),
    ("no-max", BARE, '{"n": 2400.5}', "amount: 2400.5, no max is set"),
    ("no-max-million", BARE, '{"n": 1234567}', "amount: 1234567, no max is set"),
    ("no-max-long", BARE, '{"n": 9007199254740991}', "amount: 9007199254740991, no max is set"),
    ("no-max-text", BARE, '{"n": "123456789012345678901234567890.10"}',
     "amount: 123456789012345678901234567890.10, no max is set"),
)  # fmt: skip
for slug, constraint, params, reason in HOLDS:
    says(f"amount-{slug}", f"{constraint}, and the params are {params}.", constrained(constraint), post(params),
         "allow", [reason], control="amount-missing", basis=basis_of(slug))  # fmt: skip
FAILS: Final = (
    ("over", MAX, '{"n": 9000}', "exceeds", "amount: 9000 exceeds max 5000"),
    ("over-currency", USD, '{"n": 9000, "currency": "USD"}', "exceeds", "amount: 9000 exceeds max 5000 USD"),
    ("over-million", MAX, '{"n": 1234567}', "exceeds", "amount: 1234567 exceeds max 5000"),
    ("over-exact", EXACT, '{"n": 0.30000000000000004}', "exceeds",
     "amount: 0.30000000000000004 exceeds max 0.3"),
    ("over-text", MAX, '{"n": "5000.001"}', "exceeds", "amount: 5000.001 exceeds max 5000"),
    ("missing", MAX, "{}", "missing", "amount: action is missing field 'n'"),
    ("null", MAX, '{"n": null}', "not numeric", "amount: field 'n'=None is not numeric"),
    ("true", MAX, '{"n": true}', "not numeric", "amount: field 'n'=True is not numeric"),
    ("list", MAX, '{"n": [1, "a"]}', "not numeric", "amount: field 'n'=[1, 'a'] is not numeric"),
    ("signed-text", MAX, '{"n": "-5"}', "not numeric", "amount: field 'n'='-5' is not numeric"),
    ("exponent", MAX, '{"n": "1e3"}', "not numeric", "amount: field 'n'='1e3' is not numeric"),
    ("empty", MAX, '{"n": ""}', "not numeric", "amount: field 'n'='' is not numeric"),
    ("nan", MAX, '{"n": "nan"}', "not finite", "amount: field 'n'='nan' is not a finite number"),
    ("inf", MAX, '{"n": "-inf"}', "not finite", "amount: field 'n'='-inf' is not a finite number"),
    ("negative", MAX, '{"n": -5}', "negative", "amount: field 'n'=-5 must not be negative"),
    ("negative-float", MAX, '{"n": -0.5}', "negative", "amount: field 'n'=-0.5 must not be negative"),
    ("currency", USD, '{"n": 5, "currency": "EUR"}', "currency", "amount: currency 'EUR' != required 'USD'"),
    ("currency-first", USD, '{"n": 9000, "currency": "EUR"}', "currency before max",
     "amount: currency 'EUR' != required 'USD'"),
    ("currency-missing", USD, '{"n": 9000}', "currency before max",
     "amount: currency None != required 'USD'"),
    ("numeric-first", USD, '{"n": "x", "currency": "EUR"}', "not numeric",
     "amount: field 'n'='x' is not numeric"),
)  # fmt: skip
for slug, constraint, params, what, reason in FAILS:
    clauses = "5-9 6-6" if "currency" in what else "6-6"
    says(f"amount-{slug}", f"{constraint}, and the params are {params}: {what}.", constrained(constraint),
         post(params), "deny", [reason], control="amount-within", clauses=clauses,
         basis=basis_of(slug))  # fmt: skip

# Values, as Python's repr spells them.
SPELLED: Final = (
    ("text", '"internal"', "'internal'"), ("quote", '"it\'s"', '"it\'s"'),
    ("both-quotes", '"it\'s \\"me\\""', "'it\\'s \"me\"'"), ("double-quote", '"\\"me\\""', "'\"me\"'"),
    ("backslash", '"a\\\\b"', "'a\\\\b'"), ("newline", '"a\\nb\\tc\\rd"', "'a\\nb\\tc\\rd'"),
    ("control", '"\\u0000\\u001b\\u007f"', "'\\x00\\x1b\\x7f'"), ("accent", '"caf\\u00e9"', "'caf\u00e9'"),
    ("emoji", '"\\ud83d\\ude00"', "'\U0001f600'"), ("no-break", '"a\\u00a0b"', "'a\\xa0b'"),
    ("override", '"a\\u202eb"', "'a\\u202eb'"), ("empty", '""', "''"), ("none", "null", "None"),
    ("true", "true", "True"), ("false", "false", "False"), ("number", "1", "1"), ("float", "2.5", "2.5"),
    ("whole", "1.0", "1"), ("list", '[1, "a", null, [true]]', "[1, 'a', None, [True]]"), ("empty-list", "[]", "[]"),
    ("object", '{"b": 1, "a": {"e": 2, "d": [], "f": "x"}, "c": 3}',
     "{'a': {'d': [], 'e': 2, 'f': 'x'}, 'b': 1, 'c': 3}"),
    ("empty-object", "{}", "{}"),
)  # fmt: skip
for slug, value, shown in SPELLED:
    # Escapes in double quotes are the same in JSON and in YAML, but for pairs of surrogates.
    listed = json.dumps(json.loads(value), ensure_ascii=slug != "emoji")
    text = constrained(f"allow_list: {{ field: to, in: [{listed}] }}")
    says(f"value-{slug}", f"{value} is written {shown}.", text, post(f'{{"to": {value}}}'), "allow",
         [f"allow_list: to={shown} permitted"], control=f"value-{slug}-listed",
         basis=basis_of(f"value-{slug}"))  # fmt: skip
    says(f"value-{slug}-listed", f"{value} is written {shown} in a list, too.", text, post('{"to": "z"}'), "deny",
         [f"allow_list: to='z' not in [{shown}]"], control=f"value-{slug}",
         basis=basis_of(f"value-{slug}"))  # fmt: skip
SEVERAL: Final = constrained("allow_list: { field: to, in: [internal, 1] }")
says("list-several", "The whole list is shown.", SEVERAL, post('{"to": true}'), "deny",
     ["allow_list: to=True not in ['internal', 1]"], basis="proposed")  # fmt: skip
says("list-absent", "An absent field is shown as None.",
     constrained("allow_list: { field: to, in: [null, internal] }"), post(), "deny",
     ["allow_list: to=None not in [None, 'internal']"], basis="proposed")  # fmt: skip

# Rate limits.
for name, used, per, outcome, reason in (
    ("first", 0, "", "allow", "rate_limit: 1/5 per hour"),
    ("fourth", 3, ", per: minute", "allow", "rate_limit: 4/5 per minute"),
    ("last", 4, ", per: day", "allow", "rate_limit: 5/5 per day"),
    ("used-up", 5, "", "deny", "rate_limit: 5/5 per hour already used"),
    ("over", 7, ", per: day", "deny", "rate_limit: 7/5 per day already used"),
):  # fmt: skip
    says(f"rate-{name}", f"{used} of 5 are used.", constrained(f"rate_limit: {{ max: 5{per} }}"), post(), outcome,
         [reason], allows=[{"rule": "a", "age_seconds": 1}] * used,
         control="rate-used-up" if outcome == "allow" else "rate-first")  # fmt: skip
says("rate-no-ledger", "Without a ledger, a limit cannot be checked.", constrained("rate_limit: { max: 5 }"),
     post(), "deny", ["rate_limit: no audit log available to enforce the limit"], allows=None,
     control="rate-first")  # fmt: skip

# Which reasons, and in which order.
ALL: Final = "{ rate_limit: { max: 1 }, allow_list: { field: to, in: [bob] }, amount: { field: n, max: 10 } }"
USED: Final = [{"rule": "a", "age_seconds": 1}]
AMOUNT, LISTED = "amount: 10 within max 10", "allow_list: to='bob' permitted"
for name, params, allows, reasons in (
    ("all-hold", '{"n": 10, "to": "bob"}', [], [AMOUNT, LISTED, "rate_limit: 1/1 per hour"]),
    ("all-fail", '{"n": 11, "to": "eve"}', USED, ["amount: 11 exceeds max 10"]),
    ("two-fail", '{"n": 10, "to": "eve"}', USED, ["allow_list: to='eve' not in ['bob']"]),
    ("last-fails", '{"n": 10, "to": "bob"}', USED, ["rate_limit: 1/1 per hour already used"]),
):  # fmt: skip
    held = name == "all-hold"
    says(f"order-{name}", "amount, allow_list, rate_limit, whatever the order in the file.",
         policy(rule(constraints=ALL)), post(params), "allow" if held else "deny", reasons, allows=allows,
         control="order-all-fail" if held else "order-all-hold", clauses="6-3 6-4")  # fmt: skip


# Releases (§7).
def release(
    slug: str,
    parked: JSONObject | None,
    asked: JSONObject,
    outcome: str,
    reason: str,
    *,
    approval_id: str = ID,
    control: str = "release-approved",
    basis: Basis = "reference",
    **more: Any,
) -> None:
    args = {"approval_id": approval_id, "approval": parked, "action": asked}
    SUITE.add(
        f"release-{slug}", f"What is said: {reason}", "resolve", args, ok(outcome=outcome, reasons=[reason]),
        clauses="7-1 7-16" if "quote" in slug else "7-1", control=control, basis=basis, errata=29, flags=["ReasonText"], section="7", **more,
    )  # fmt: skip


MISMATCH: Final = (
    "approval/action mismatch: this approval was issued for a different action "
    "(possible confused-deputy / substituted action); the approval was issued for: "
)
SUMMARY: Final = 'POST api.example.com/orders {"amount":2400,"currency":"USD","destination":"internal"}'
INTENT: Final = "approval/intent mismatch: this approval was issued for a different instruction; "
CONSUMED: Final = "approval already used: this single-use approval has already released its action"
EXPIRED: Final = "approval expired at 2026-01-01T11:59:59.000000+00:00"
release("approved", approval(), order(), "allow", "human approved by 'alice'", control="release-denied")
release("approved-quote", approval(approver="O'Neil"), order(), "allow", 'human approved by "O\'Neil"',
        control="release-denied")  # fmt: skip
release("pending", approval("pending"), order(), "needs_approval", "awaiting human approval")
release("denied", approval("denied"), order(), "deny", "human denied this action")
release("consumed", approval("consumed"), order(), "deny", CONSUMED)
release("expired", approval("expired"), order(), "deny", EXPIRED, basis="proposed")
for status in ("pending", "approved"):
    release(f"lapsed-{status}", approval(status, expires_at="2026-01-01T11:59:59.000000+00:00"), order(), "deny",
            EXPIRED, basis="proposed")  # fmt: skip
release("unknown", None, order(), "deny", "unknown approval id 'apr_7'", approval_id="apr_7")
release("unknown-quote", None, order(), "deny", 'unknown approval id "it\'s"', approval_id="it's")
for status in ("approved", "pending", "denied", "consumed", "expired"):
    release(f"swap-{status}", approval(status), order(params="{}"), "deny", MISMATCH + SUMMARY)
    release(f"intent-{status}", approval(status), order(said="something else"), "deny",
            f"{INTENT}the approval was issued for: '{INSTRUCTION}'")  # fmt: skip
release("action-first", approval(), order(params="{}", said="something else"), "deny", MISMATCH + SUMMARY)
release("swap-query", approval(of=order(URL + "?b=two%20words&a=%C3%A9*~", "{}")), order(), "deny",
        MISMATCH + "POST api.example.com/orders?a=%C3%A9%2A~&b=two+words")  # fmt: skip
release("intent-quote", approval(of=order(said="it's\nme")), order(), "deny",
        f"{INTENT}the approval was issued for: \"it's\\nme\"")  # fmt: skip

# Which texts are numbers that are not finite.
for slug, text, problem in (
    ("nan-capitals", "NaN", "is not a finite number"),
    ("infinity", "+Infinity", "is not a finite number"),
    ("dotless-inf", "\u0131nf", "is not numeric"),
    ("infinit", "infinit", "is not numeric"),
):
    says(f"text-{slug}", f"What {text!r} is said to be.", constrained(MAX), post(f'{{"n": "{text}"}}'), "deny",
         [f"amount: field 'n'='{text}' {problem}"], basis="proposed")  # fmt: skip
