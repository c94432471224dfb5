"""Seven things that the public reference, delego 0.3.4, was found to get wrong: each has to be found again.

They overlap with the suites of their sections, on purpose: a report names them in one place.
"""

from __future__ import annotations

from typing import Final

from delego_conformance.generate.build import Suite, action, b64, ok, refused, step

SUITE: Final = Suite("reference", "RF", "What the public reference gets wrong", section="6")

READS: Final = """version: 1
default: deny
rules:
  - name: read-accounts
    decision: allow
    match: {method: GET, host: api.example.com, path: "/accounts/**"}
"""
ORDERS: Final = """version: 1
default: deny
rules:
  - name: orders
    decision: %s
    match: {method: POST, host: api.example.com, path: /orders}
%s"""
CAPPED: Final = ORDERS % ("allow", "    constraints: {amount: {field: amount, max: 5000}}\n")
UNCAPPED: Final = ORDERS % ("allow", "    constraints: {amount: null}\n")
PARKED: Final = ORDERS % ("needs_approval", "")
QUERIES: Final = """version: 1
default: deny
rules:
  - name: pay
    decision: allow
    match: {method: GET, host: api.example.com, path: /pay}
"""
FORBIDDEN: Final = """version: 1
default: allow
forbidden:
  - name: no-admin
    match: {path: /admin}
"""
ORDER: Final = action(
    "https://api.example.com/orders",
    method="POST",
    params_json='{"amount":2400,"currency":"USD","destination":"internal"}',
    instruction="place a small order",
)
HUGE: Final = action(
    "https://api.example.com/orders",
    method="POST",
    params_json='{"amount":1000000}',
    instruction="place a small order",
)
ADMIN: Final = action("https://api.example.com/admin")

SUITE.sequence(
    "one-effect-under-a-race",
    "Eight releases of one approval at the same moment have one effect: approved to consumed is one step.",
    [
        step("session.open", {"policy_text": PARKED}),
        step(
            "session.propose",
            {"action": ORDER},
            ok(outcome="needs_approval", executed=False),
            bind={"approval": "approval_id"},
        ),
        step(
            "session.decide",
            {"approval_id": "${approval}", "decision": "approve", "approver": "alice"},
            ok(accepted=True, status="approved"),
        ),
        step("session.race", {"approval_id": "${approval}", "action": ORDER, "parallel": 8}, ok(effects=1)),
        step("session.close"),
    ],
    clauses="7.1-3",
    errata=44,
    section="7.1",
)

SAME: Final = "https://api.example.com/pay?to=%{}"
ONE_FINGERPRINT: Final = {"method": "GET", "params_json": "{}"}
SUITE.sequence(
    "one-fingerprint-of-two-queries",
    "%ff and %fe decode alike and have one fingerprint, so that an approval of one would release the other.",
    [
        step("decide", {"policy_text": QUERIES, "action": action(SAME.format("61"))}, ok(outcome="allow")),
        step(
            "fingerprint",
            {"url": SAME.format("ff"), **ONE_FINGERPRINT},
            bind={"shared": "action_fingerprint"},
        ),
        step("fingerprint", {"url": SAME.format("fe"), **ONE_FINGERPRINT}),
        step("decide", {"policy_text": QUERIES, "action": action(SAME.format("ff"))}, ok(outcome="deny")),
        step("decide", {"policy_text": QUERIES, "action": action(SAME.format("fe"))}, ok(outcome="deny")),
    ],
    clauses="4-13",
    errata=13,
    requires=(),
    basis="proposed",
    section="4",
)

SUITE.add(
    "path-below-the-rule",
    "The twin of the path with dots: what the rule is meant for is allowed.",
    "decide",
    {"policy_text": READS, "action": action()},
    ok(outcome="allow", rule="read-accounts"),
    clauses="5-3",
    section="5",
)
SUITE.add(
    "path-that-climbs-out",
    "/accounts/../admin matches /accounts/**, and the server answers it with /admin.",
    "decide",
    {"policy_text": READS, "action": action("https://api.example.com/accounts/../admin")},
    ok(outcome="deny"),
    clauses="4-13",
    errata=9,
    basis="proposed",
    control="path-below-the-rule",
    section="4",
)

SUITE.add(
    "deleted-ledger",
    "A ledger that is not there has no problem, and what was in it cannot be ruled out; the verdict says so.",
    "chain_verify",
    {"jsonl_b64": "", "public_key_hex": "d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737"},
    ok(valid=True, completeness="cannot_be_ruled_out", problems=[]),
    clauses="8.1-11 8.3-6",
    errata=(39, 41),
    section="8.3",
)
SUITE.add(
    "byte-that-is-no-utf8",
    "A byte 0xff in a ledger is a problem at its line, not the end of the verifier.",
    "chain_verify",
    {
        "jsonl_b64": b64(b"\xff\n"),
        "public_key_hex": "d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737",
    },
    ok(valid=False, problems=[{"line": 0, "code": "structure"}]),
    clauses="8.1-2",
    errata=37,
    section="8.1",
)

SUITE.add(
    "forbidden-once",
    "The twin of the policy with two lists: what is forbidden is denied.",
    "decide",
    {"policy_text": FORBIDDEN, "action": ADMIN},
    ok(outcome="deny", rule="no-admin"),
    clauses="6-1",
)
SUITE.add(
    "forbidden-twice",
    "A second, empty forbidden would undo the first one: a key that stands twice is refused.",
    "decide",
    {"policy_text": FORBIDDEN + "forbidden: []\n", "action": ADMIN},
    refused(),
    clauses="5.1-1",
    errata=19,
    control="forbidden-once",
    section="5.1",
)

SUITE.add(
    "amount-with-a-cap",
    "The twin of the policy without one: a cap denies what is over it.",
    "decide",
    {"policy_text": CAPPED, "action": HUGE},
    ok(outcome="deny", rule="orders"),
    clauses="6-2",
)
SUITE.add(
    "amount-null",
    "amount: null is a cap that somebody meant to write, and must not be none at all.",
    "decide",
    {"policy_text": UNCAPPED, "action": HUGE},
    refused(),
    clauses="5.1-1",
    errata=20,
    control="amount-with-a-cap",
    section="5.1",
)
