"""Recomputes every example of SPEC.md, so that what it shows is what the code does.

In SPEC.md a line ``<!-- input: NAME -->`` or ``<!-- example: NAME -->`` stands before a fenced block or a
table. Inputs are written by people; each example is made from them by one function below. To write the
examples anew, after a change that was meant:

    python tests/spec_examples.py SPEC.md
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from delego_authorizer import Config, load_config
from delego_spec import (
    Action,
    ActionError,
    Anchor,
    CanonicalError,
    Executed,
    Micros,
    PolicyError,
    Refused,
    SeedSigner,
    Verdict,
    canonical,
    canonical_query,
    decode_line,
    digest,
    evaluate,
    find_hazards,
    guard_decision,
    guard_release,
    intent_hash,
    load_policy,
    parse_json,
    policy_digest,
    rebuild_url,
    response_to_json,
    trim,
    verify_chain,
)
from delego_spec.constraints import AllowList, Amount, CountUnavailable, Facts, RateLimit
from spec_story import AGENT, ALICE, LEDGER, START, TOKENS, Story, play

_MARK: Final = re.compile(r"<!-- (input|example): ([a-z0-9-]+) -->")
_FENCE: Final = re.compile(r"```([a-z]*)")

Texts = Mapping[str, str]


@dataclass(frozen=True)
class Block:
    """A marked block: which lines of the document it takes up, its marks and fences left out."""

    kind: str  # input or example
    name: str
    text: str
    first: int  # of its lines, from 0
    last: int  # the line behind it


class MarkError(Exception):
    """A mark in the document has no block behind it, or a name is used twice."""


def marked_blocks(document: str) -> dict[str, Block]:
    """The marked blocks of a Markdown text by name. Raises MarkError."""
    lines = document.splitlines()
    found: dict[str, Block] = {}
    for number, line in enumerate(lines):
        mark = _MARK.fullmatch(line)
        if mark is None:
            continue
        kind, name = mark.groups()
        first = number + 1
        end = ""  # of a table
        if first < len(lines) and _FENCE.fullmatch(lines[first]):
            first += 1
            end = "```"
        last = first
        while last < len(lines) and lines[last] != end:
            last += 1
        if name in found or last == first:
            raise MarkError(f"line {number + 1}: {name!r} is taken or empty")
        found[name] = Block(kind, name, "\n".join(lines[first:last]), first, last)
    return found


def rewritten(document: str) -> str:
    """The document with all its examples computed anew."""
    blocks = marked_blocks(document)
    made = examples({name: block.text for name, block in blocks.items() if block.kind == "input"})
    lines = document.splitlines()
    for block in sorted(blocks.values(), key=lambda block: -block.first):
        if block.kind == "example":
            lines[block.first : block.last] = made[block.name].split("\n")
    return "\n".join(lines) + "\n"


def examples(inputs: Texts) -> dict[str, str]:
    """Every example by name."""
    return {name: make(inputs) for name, make in BUILDERS.items()}


# --- tables ---------------------------------------------------------------------------------------------


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def code(text: str) -> str:
    """A Markdown code span that keeps what it holds."""
    assert not {"|", "\n"} & set(text), text
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}" if fence == "`" else f"{fence} {text} {fence}"


def pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def text(value: bytes) -> str:
    return value.decode()


# --- §3 -------------------------------------------------------------------------------------------------

CANONICAL_CASES: Final = (
    '{"b": 1, "a": [true, null, "é"]}',
    '{"total": 2400.0, "change": -0.0}',
    '{"price": 98.7, "fee": 0.0001}',
    '{"n": 9007199254740991}',
    '{"n": 9007199254740992}',
    '{"n": 1e-7}',
    '{"n": 0.00001}',
    '{"n": NaN}',
    '{"a": 1, "a": 2}',
    r'{"s": "\ud800"}',
    r'{"\uffff": 1, "\ud83d\ude00": 2}',
    r'{"a": "\u00e9", "b": "e\u0301"}',
)


def canonical_values(_: Texts) -> str:
    rows = []
    for source in CANONICAL_CASES:
        try:
            shown = code(text(canonical(parse_json(source))))
        except CanonicalError as error:
            shown = f"refused: {code(str(error))}"
        rows.append((code(source), shown))
    return table(("JSON text", "canonical bytes"), rows)


def canonical_hash(inputs: Texts) -> str:
    value = parse_json(inputs["some-value"])
    return f"{text(canonical(value))}\n{digest(value)}"


# --- §4 -------------------------------------------------------------------------------------------------


def order_action(inputs: Texts) -> Action:
    return Action.from_json(inputs["order"])


def changed_action(inputs: Texts) -> Action:
    order = order_action(inputs)
    return Action(order.instruction, order.method, order.url, {**order.params, "recipient": "attacker"})


def order_preimages(inputs: Texts) -> str:
    order = order_action(inputs)
    instruction = {"instruction": trim(order.instruction)}
    return f"{text(canonical(instruction))}\n{text(canonical(order.preimage()))}"


def order_hashes(inputs: Texts) -> str:
    order = order_action(inputs)
    return (
        f"intent_hash        {order.intent_hash}\n"
        f"action_fingerprint {order.fingerprint}\n"
        f"summary            {order.summary}"
    )


def pinned_hashes(inputs: Texts) -> str:
    read = Action("read my account details", "GET", "https://api.example.com/accounts/me", {})
    told = Action("send the report to me", "get", "https://API.example.com/orders?to=me&a=%41#top", {})
    empty = Action("  send the report to me ", "GET", "https://api.example.com", {})
    rows = [
        (code(text(canonical(action.to_mapping()))), code(action.intent_hash), code(action.fingerprint))
        for action in (read, order_action(inputs), changed_action(inputs), told, empty)
    ]
    return table(("action", "intent_hash", "action_fingerprint"), rows)


def legacy_fingerprint(inputs: Texts) -> str:
    order = order_action(inputs)
    preimage = {name: value for name, value in order.preimage().items() if name != "query"}
    return f"{text(canonical(preimage))}\n{order.legacy_fingerprint}"


def queries(_: Texts) -> str:
    cases = (
        "",
        "a",
        "a=1&b=2",
        "b=2&a=1",
        "a=b=c",
        "a+b=c%20d",
        "a=1&&b=2",
        "=",
        "a=1%26b=2",
        "q=%C3%A9",
        "a=1;b=2",
    )
    rows = [(code("?" + raw), code(text(canonical([*map(list, canonical_query(raw))])))) for raw in cases]
    return table(("text from `?` on", "canonical query"), rows)


def trimming(_: Texts) -> str:
    rows = []
    for source in (
        r'" \t pay the bill\n"',
        r'"\u00a0\u3000pay"',
        r'"pay  the\tbill"',
        r'"\u0085pay"',
        r'"pay\ufeff"',
    ):
        try:
            shown = code(intent_hash(json.loads(source)))
        except ActionError as error:
            shown = f"refused: {code(str(error))}"
        rows.append((code(source), shown))
    return table(("instruction, as JSON", "intent_hash"), rows)


HAZARD_CASES: Final = (
    ("GET", "https://api.example.com/" + "a" * 8000, "pay"),
    ("GET", "ftp://api.example.com/x", "pay"),
    ("GET", "http://api.example.com/x", "pay"),
    ("GET", "//api.example.com/x", "pay"),
    ("GET", "https://me:pw@api.example.com/x", "pay"),
    ("GET", "https://api.example.com:443/x", "pay"),
    ("GET", "https://api.example.com:0/x", "pay"),
    ("GET", "https://api.example.com./x", "pay"),
    ("GET", "https://api..example.com/x", "pay"),
    ("GET", "https://b\u00fccher.example/x", "pay"),
    ("GET", "https://%61pi.example.com/x", "pay"),
    ("GET", "https://0x7f.1/x", "pay"),
    ("GET", "https://intranet/x", "pay"),
    ("GET", "https://[2001:0db8::1]/x", "pay"),
    ("GET", "https://[::ffff:192.0.2.1]/x", "pay"),
    ("CALL", "tool://files.example/read", "pay"),
    ("CALL", "mcp://files/", "pay"),
    ("GET", "https://api.example.com/accounts/../admin", "pay"),
    ("GET", "https://api.example.com/a//b", "pay"),
    ("GET", "https://api.example.com/a\\b", "pay"),
    ("GET", "https://api.example.com/a b", "pay"),
    ("GET", "https://api.example.com/caf\u00e9", "pay"),
    ("GET", "https://api.example.com/%6Frders", "pay"),
    ("GET", "https://api.example.com/caf%c3%a9", "pay"),
    ("GET", "https://api.example.com/a%2Fb", "pay"),
    ("GET", "https://api.example.com/a%252Fb", "pay"),
    ("GET", "https://api.example.com/a%zz", "pay"),
    ("GET", "https://api.example.com/a%FF", "pay"),
    ("GET", "https://api.example.com/x?to=%ff", "pay"),
    ("GET", "https://api.example.com/x?to=%0a", "pay"),
    ("GET", "https://api.example.com/x?id=2&id=1", "pay"),
    ("GET", "https://api.example.com/x#", "pay"),
    ("G\u00e8T", "https://api.example.com/x", "pay"),
    ("GET", "https://api.example.com/x", "  "),
    ("GET", "https://api.example.com/x", "a" * 16_385),
    ("GET", "https://api.example.com/x", "pay\u0000"),
    ("GET", "https://api.example.com/x", "pay \u202eyap"),
)


def hazards(_: Texts) -> str:
    rows = []
    for method, url, instruction in HAZARD_CASES:
        (hazard,) = find_hazards(Action(instruction, method, url, {}))
        shown = instruction if hazard.code == "instruction" else method if hazard.code == "method" else url
        shown = json.dumps(shown)
        shown = f"{shown[:30]}…" if len(shown) > 60 else shown
        rows.append((code(hazard.code), code(shown), code(hazard.text)))
    return table(("code", "found in", "what was found; what to write instead"), rows)


# --- §5 and §6 ------------------------------------------------------------------------------------------

LOAD_CASES: Final = (
    "rules: []",
    "default: deny\nrule: []",
    "default: maybe",
    "default: null",
    "default: deny\ndefault: allow",
    "default: deny\nversion: 2",
    "default: deny\nforbidden: [{name: a, match: {}}]",
    "default: deny\nforbidden: [{name: a, match: {path: '/x?'}}]",
    "default: deny\nforbidden: [{name: a, match: {host: '*.example.com'}}]",
    "default: deny\nforbidden: [{name: a, match: {path: /données}}]",
    "default: deny\nforbidden: [{name: a, match: {hosts: x}}]",
    "default: deny\nrules: [{name: a, decision: deny, match: {method: GET}}]",
    "default: deny\nrules: [{name: a, decision: allow, match: {method: GET}, constraints: {amuont: {}}}]",
    "default: deny\nrules: [{name: a, decision: allow, match: {method: GET},"
    " constraints: {amount: {field: a, max: 05000}}}]",
    "default: deny\nforbidden: [{name: a, match: {method: GET}}, {name: a, match: {method: PUT}}]",
    "default: &x deny",
)


def load_refusals(_: Texts) -> str:
    rows = []
    for source in LOAD_CASES:
        try:
            load_policy(source)
        except PolicyError as error:
            shown = "<br>".join(code(problem) for problem in str(error).splitlines())
            rows.append(("<br>".join(map(code, source.splitlines())), shown))
    assert len(rows) == len(LOAD_CASES)
    return table(("policy", "PolicyError"), rows)


def policy_digests(inputs: Texts) -> str:
    policy, config = load_policy(inputs["policy"]), load_config(inputs["config"])
    preimage = {"config": config.decision_document, "policy": policy.document}
    return f"{text(canonical(preimage))}\n{policy_digest(policy.document, config.decision_document)}"


class Counted:
    """So many earlier allows, or none that can be counted."""

    def __init__(self, count: int | str) -> None:
        self._count = count

    def count_allows(self, rule: str, since: Micros) -> int:
        if isinstance(self._count, str):
            raise CountUnavailable(self._count)
        return self._count


def evaluated(inputs: Texts) -> str:
    policy = load_policy(inputs["policy"])
    order = order_action(inputs)
    cases = (
        Action("read my account details", "GET", "https://api.example.com/accounts/me", {}),
        order,
        Action(order.instruction, "POST", order.url, {**order.params, "amount": 50000}),
        Action("share it", "POST", "https://api.example.com/accounts/me/permissions", {"with": "bob"}),
        Action("tidy up", "DELETE", "https://api.example.com/orders/7", {}),
    )
    rows = []
    for action in cases:
        verdict = evaluate(policy, action, now=Micros(START), counts=Counted(0))
        rows.append((code(action.summary), *shown_verdict(verdict)))
    return table(("action", "outcome", "rule", "reasons"), rows)


def shown_verdict(verdict: Verdict) -> tuple[str, str, str]:
    rule = "none" if verdict.rule is None else code(verdict.rule)
    return code(verdict.outcome), rule, "<br>".join(map(code, verdict.reasons))


REASON_RULES: Final = (
    ("default: needs_approval", {}, 0),
    ("default: deny\nforbidden: [{name: a, match: {method: POST}}]", {}, 0),
    ("default: deny\nforbidden: [{name: a, description: No posts, match: {method: POST}}]", {}, 0),
    ("default: deny\nrules: [{name: a, decision: allow, match: {method: POST}}]", {}, 0),
)
AMOUNT_CASES: Final[tuple[tuple[Amount, dict[str, Any]], ...]] = (
    (Amount("n", 5000, "USD"), {"n": 2400, "currency": "USD"}),
    (Amount("n", 5000), {"n": "05000.00"}),
    (Amount("n", 0.3), {"n": 0.30000000000000004}),
    (Amount("n", 5000, "USD"), {"n": 9000, "currency": "USD"}),
    (Amount("n", 5000), {"n": 9000}),
    (Amount("n"), {"n": 2400.5}),
    (Amount("n", 5000), {}),
    (Amount("n", 5000), {"n": None}),
    (Amount("n", 5000), {"n": True}),
    (Amount("n", 5000), {"n": "-5"}),
    (Amount("n", 5000), {"n": "1e3"}),
    (Amount("n", 5000), {"n": "-inf"}),
    (Amount("n", 5000), {"n": -5}),
    (Amount("n", 5000, "USD"), {"n": 9000, "currency": "EUR"}),
    (Amount("n", 5000, "USD"), {"n": 9000}),
)
ALLOW_LIST_CASES: Final[tuple[tuple[AllowList, dict[str, Any]], ...]] = (
    (AllowList("to", ("internal", 1)), {"to": "internal"}),
    (AllowList("to", ("internal", 1)), {"to": True}),
    (AllowList("to", (None, "internal")), {}),
    (AllowList("to", (None, "internal")), {"to": None}),
    (AllowList("to", ({"b": 1, "a": 2},)), {"to": {"b": 1, "a": 2.0}}),
)
COUNTS: Final = (3, 50, None, "the newest receipt lies 5 s in the future of the clock; set the clock")


def reasons(_: Texts) -> str:
    rows = []
    for source, params, used in REASON_RULES:
        verdict = evaluate(
            load_policy(source),
            Action("x", "POST", "https://a.example/x", params),
            now=Micros(START),
            counts=Counted(used),
        )
        rows.append(("<br>".join(map(code, source.splitlines())), "", shown_verdict(verdict)[2]))
    for constraint, params in (*AMOUNT_CASES, *ALLOW_LIST_CASES):
        normal = Action("x", "GET", "https://a.example/x", params).params
        finding = constraint.check(Facts(normal, "a", Micros(START), None))
        rows.append(
            (_constraint(constraint), code(json.dumps(params)), _finding(finding.holds, finding.reason))
        )
    for count in COUNTS:
        limit = RateLimit(50)
        finding = limit.check(Facts({}, "a", Micros(START), None if count is None else Counted(count)))
        known = (
            "no ledger" if count is None else f"{count} so far" if isinstance(count, int) else "not countable"
        )
        rows.append((_constraint(limit), known, _finding(finding.holds, finding.reason)))
    return table(("policy or constraint", "params, or what was counted", "reason"), rows)


def _finding(holds: bool, reason: str) -> str:
    return f"{'holds' if holds else 'fails'}: {code(reason)}"


def _constraint(constraint: Amount | AllowList | RateLimit) -> str:
    if isinstance(constraint, Amount):
        members = {"field": constraint.field, "max": constraint.max, "currency": constraint.currency}
        return code(_flow("amount", members))
    if isinstance(constraint, AllowList):
        return code(_flow("allow_list", {"field": constraint.field, "in": [*constraint.allowed]}))
    return code(_flow("rate_limit", {"max": constraint.max}))


def _flow(name: str, members: dict[str, Any]) -> str:
    return f"{name}: {json.dumps({key: value for key, value in members.items() if value is not None})}"


# --- §7 -------------------------------------------------------------------------------------------------


@cache
def _story(policy: str, config: str, order: str) -> Story:
    inputs = {"order": order}
    return play(policy, config, order_action(inputs), changed_action(inputs))


def story(inputs: Texts) -> Story:
    return _story(inputs["policy"], inputs["config"], inputs["order"])


def releases(inputs: Texts) -> str:
    order, changed = order_action(inputs), changed_action(inputs)
    reworded = Action("pay my attacker", order.method, order.url, order.params)
    parked = replace(story(inputs).parked, approved_by=("alice",))
    assert parked.expires_at is not None
    now = Micros(parked.expires_at - 1)
    late = replace(parked, approved_by=(), status="expired")
    cases = (
        ("another action, whatever the status", changed, replace(parked, status="consumed")),
        ("another instruction, whatever the status", reworded, replace(parked, status="denied")),
        ("pending", order, replace(parked, approved_by=())),
        ("denied", order, replace(parked, status="denied")),
        ("expired", order, late),
        ("consumed", order, replace(parked, status="consumed")),
        ("approved", order, replace(parked, status="approved")),
        ("unknown id", order, None),
    )
    rows = []
    for case, action, approval in cases:
        release = guard_release("apr_7", approval, action, now=now)
        rows.append((case, code(release.outcome), code(release.reasons[0])))
    return table(("approval", "outcome", "reason"), rows)


def votes(inputs: Texts) -> str:
    parked = replace(story(inputs).parked, required_approvers=2, approved_by=("alice",))
    cases = (
        ("`approve` by `'bob'`, the second of two", parked, "approve", "bob"),
        ("`approve` by `'alice'` again", parked, "approve", "alice"),
        (f"`approve` by `{AGENT!r}`, who proposed it", parked, "approve", AGENT),
        ("`deny` by `'bob'`", parked, "deny", "bob"),
        ("`approve` after a deny", replace(parked, status="denied"), "approve", "bob"),
        ("`approve` after the expiry", replace(parked, status="expired", approved_by=()), "approve", "bob"),
    )
    rows = []
    for case, approval, decision, approver in cases:
        vote = guard_decision(approval, decision, approver, now=approval.created_at, separate_duties=True)
        shown = (
            f"counts; status {code(vote.status_after)}"
            if vote.accepted
            else f"refused: {code(vote.refusal or '')}"
        )
        rows.append((case, shown))
    return table(("decision", "what follows"), rows)


def display_text(inputs: Texts) -> str:
    return story(inputs).ballot.text


def display_hash(inputs: Texts) -> str:
    return story(inputs).ballot.display_hash


def notification(inputs: Texts) -> str:
    return text(story(inputs).notification.to_json())


def signed_bytes(inputs: Texts) -> str:
    return text(story(inputs).evidence.signed_bytes())


def callback(inputs: Texts) -> str:
    return text(story(inputs).evidence.callback.to_json())


def evidence(inputs: Texts) -> str:
    return text(story(inputs).evidence.to_json())


# --- §8 -------------------------------------------------------------------------------------------------


def keys(_: Texts) -> str:
    named = (("ledger", "TEST 1", LEDGER), ("token", "TEST 2", TOKENS), ("alice", "TEST 3", ALICE))
    rows = [(role, test, code(key.public_key.hex), code(key.public_key.key_id)) for role, test, key in named]
    return table(("key", "RFC 8032 §7.1", "public key", "key id"), rows)


def payload(inputs: Texts) -> str:
    return text(decode_line(story(inputs).chain[3]).payload_bytes)


def entry_hash(inputs: Texts) -> str:
    receipt = decode_line(story(inputs).chain[3])
    return f"entry_hash {receipt.entry_hash}\nsignature  {receipt.signature}"


def chain(inputs: Texts) -> str:
    return "\n".join(map(text, story(inputs).chain))


def written(inputs: Texts) -> str:
    did = (
        "propose `GET …/accounts/../admin`",
        "propose `GET …/accounts/me`, before the broker is called",
        "the broker has answered",
        "propose the order",
        "alice approves, signed",
        "release with one parameter more",
        "release the order, before the broker is called",
        "the broker has answered",
        "release the order again",
    )
    rows = []
    for line, what in zip(story(inputs).chain, did, strict=True):
        receipt = decode_line(line).payload
        shown = receipt.reasons[0] if len(receipt.reasons[0]) < 60 else f"{receipt.reasons[0][:31]}…"
        rows.append((str(receipt.seq), what, code(f"{receipt.phase}/{receipt.outcome}"), code(shown)))
    return table(("seq", "what happens", "phase/outcome", "first reason"), rows)


def anchors(inputs: Texts) -> str:
    receipt = decode_line(story(inputs).chain[-1])
    return f"{receipt.anchor}\n{receipt.anchor} {receipt.payload.ts}"


def verification(inputs: Texts) -> str:
    lines = list(story(inputs).chain)
    head = decode_line(lines[-1]).anchor
    other = Anchor(3, digest("another history"))
    edited = lines[1].replace(b"/accounts/me", b"/accounts/you")
    members = json.loads(lines[1])
    lacking = json.dumps({name: value for name, value in members.items() if name != "rule"}).encode()
    more = lines[1][:-1] + b',"note":"x"}'
    cases: tuple[tuple[str, list[bytes], dict[str, Any]], ...] = (
        ("the chain above", lines, {}),
        ("the chain above, with its head", lines, {"expected_head": head}),
        ("no receipts at all", [], {}),
        ("a field of seq 1 edited", [lines[0], edited, *lines[2:]], {}),
        ("seq 1 taken out", [lines[0], *lines[2:]], {}),
        ("checked with another key", lines[:1], {"key": TOKENS}),
        ("`rule` taken out of seq 1", [lines[0], lacking, *lines[2:]], {}),
        ("a member added to seq 1", [lines[0], more, *lines[2:]], {}),
        ("line 1 is half a line", [lines[0], lines[1][:100], *lines[2:]], {}),
        ("the last two cut off, with the head", lines[:-2], {"expected_head": head}),
        ("the last two cut off, without it", lines[:-2], {}),
        ("an anchor at seq 3, the chain has grown", lines, {"anchors": [decode_line(lines[3]).anchor]}),
        ("an anchor of another history at seq 3", lines, {"anchors": [other]}),
    )
    rows = []
    for what, given, options in cases:
        key: SeedSigner = options.pop("key", LEDGER)
        report = verify_chain(given, key.public_key, **options)
        shown = (
            "<br>".join(f"{code(problem.code)} {code(problem.text)}" for problem in report.problems) or "none"
        )
        rows.append((what, shown, code(report.completeness)))
    return table(("what is verified", "problems", "completeness"), rows)


# --- §9 and §2.2 ----------------------------------------------------------------------------------------


def token(inputs: Texts) -> str:
    return str(story(inputs).requests[-1].authorization_token)


def token_parts(inputs: Texts) -> str:
    header, claims, _ = token(inputs).split(".")
    return "\n".join(
        text(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (header, claims)
    )


def gateway_request(inputs: Texts) -> str:
    request = story(inputs).requests[-1]
    return text(replace(request, authorization_token=None).to_json())


def gateway_answers(_: Texts) -> str:
    refused = Refused("token_invalid", "the token expired at 1767268907")
    executed = Executed(status=201, result={"id": 2})
    return f"{text(response_to_json(executed))}\n{text(response_to_json(refused))}"


def rebuilt_urls(_: Texts) -> str:
    rows = []
    for url in (
        "https://API.example.com/orders?b=two%20words&a=1",
        "https://api.example.com",
        "https://api.example.com/x#",
    ):
        rebuilt = rebuild_url(Action("x", "GET", url, {}))
        shown = code(rebuilt) if isinstance(rebuilt, str) else f"refused: {code(rebuilt.code)}"
        rows.append((code(url), shown))
    return table(("url in the request", "url that is sent"), rows)


def default_config(_: Texts) -> str:
    return pretty(Config().decision_document)


BUILDERS: Final[dict[str, Callable[[Texts], str]]] = {
    "rebuilt-urls": rebuilt_urls,
    "gateway-request": gateway_request,
    "gateway-answers": gateway_answers,
    "canonical-values": canonical_values,
    "canonical-hash": canonical_hash,
    "order-preimages": order_preimages,
    "order-hashes": order_hashes,
    "pinned-hashes": pinned_hashes,
    "legacy-fingerprint": legacy_fingerprint,
    "queries": queries,
    "trimming": trimming,
    "hazards": hazards,
    "load-refusals": load_refusals,
    "evaluated": evaluated,
    "reasons": reasons,
    "default-config": default_config,
    "policy-digest": policy_digests,
    "releases": releases,
    "votes": votes,
    "display-text": display_text,
    "display-hash": display_hash,
    "notification": notification,
    "signed-bytes": signed_bytes,
    "callback": callback,
    "evidence": evidence,
    "keys": keys,
    "payload": payload,
    "entry-hash": entry_hash,
    "chain": chain,
    "written": written,
    "verification": verification,
    "anchors": anchors,
    "token": token,
    "token-parts": token_parts,
}


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(rewritten(document.read_text(encoding="utf-8")), encoding="utf-8")
