"""Sessions (§7, §7.1, §7.2, §8): what happens over several requests, and what is written down about it.

Times are those of the requests; without the feature ``clock``, they all lie within a moment.
"""

from __future__ import annotations

from typing import Any, Final

from delego_conformance.generate.build import Suite, action, either, ok, step
from delego_conformance.generate.policies import entry, policy, rule
from delego_conformance.generate.stories import (
    MIXED,
    READ,
    export,
    no,
    opened,
    park,
    propose,
    race,
    receipt,
    resolve,
    restart,
    yes,
)
from delego_conformance.generate.suites.release import INSTRUCTION, PARAMS, URL, order
from delego_conformance.vectors import JSONObject
from delego_spec.canonical import digest

SUITE: Final = Suite("session", "SE", "Sessions", section="7")

NO_VECTOR: Final[dict[str, str]] = {
    "§7.2-1": "A session takes no such members from the agent, so there is nothing that it could wrongly use.",
    "§7.2-7": "What a person is shown is not an operation; its hash is part of what callback_verify checks.",
    "§7.2-8": "What a person is shown is not an operation; its hash is part of what callback_verify checks.",
    "§8-12": "The broker of a session always answers, so that no outcome is unknown.",
    "§8-13": "The broker of a session always answers, so that no outcome is unknown.",
    "§8-14": "No session ends in the middle of an execution.",
    "§8-15": "The broker of a session answers in time.",
    "§8-16": "A storage that fails cannot be brought about from outside.",
    "§8-17": "An action that changes in memory cannot be brought about from outside.",
    "§8-19": "A policy of megabytes has no place in a file of vectors.",
    "§5-15": "Writers of one ledger at once are not an operation, but for the release of one approval.",
}
OPEN_ERRATA: Final[dict[int, str]] = {}

CONFIG: Final = ("session", "session.config")
CLOCK: Final = ("session", "clock")
BOTH: Final = ("session", "session.config", "clock")


def story(slug: str, comment: str, *steps: JSONObject, clauses: str, **more: Any) -> None:
    """One session, which is closed at its end."""
    SUITE.sequence(slug, comment, [*steps, step("session.close")], clauses=clauses, **more)


# Proposals, and what is written about them.
story("allowed", "What is allowed is executed once.", opened(), propose("allow", READ, rule="read"),
      clauses="6-1 8-10")  # fmt: skip
story("denied", "What is denied is not executed.", opened(),
      propose("deny", action("https://api.example.com/secret"), rule="secret"),
      propose("deny", order(method="DELETE"), rule=None), clauses="6-1")  # fmt: skip
story("hazard", "A hazard is denied before the policy is asked, whatever it would say.", opened(),
      propose("deny", action("https://api.example.com/accounts/../admin"), rule=None),
      propose("deny", action("https://api.example.com/x?to=%ff"), rule=None),
      propose("deny", action("https://api.example.com/x?to=%fe"), rule=None),
      propose("allow", action("https://api.example.com/x?to=a"), rule="read"), clauses="4-13",
      section="4", basis="proposed", flags=["DotSegments", "InvalidUtf8"])  # fmt: skip
BEFORE: Final = receipt("decision", "allow")
story("receipts-allowed", "An allowed action has two receipts: one before the broker is asked, one after.",
      opened(), propose("allow", READ, rule="read"),
      export(BEFORE, receipt("execution", "allow", "read", approval_id=None)),
      clauses="8-9 8-11", section="8", basis="proposed", errata=32, flags=["ReceiptTrail"])  # fmt: skip
story("receipts-denied", "A denial has one receipt, with the rule that decided; a hazard has none.", opened(),
      propose("deny", action("https://api.example.com/secret")), propose("deny", order(method="DELETE")),
      propose("deny", order(URL + "#x")),
      export(receipt("decision", "deny", "secret", approval_id=None), receipt("decision", "deny"),
             receipt("decision", "deny")),
      clauses="4-13 8-11", section="8", basis="proposed", flags=["ReceiptTrail"])  # fmt: skip
story("receipts-story", "A whole story: park, ask too early, approve, swap, release, ask again.", opened(),
      park(), resolve("needs_approval"), yes(), resolve("deny", order(params="{}")),
      resolve("deny", order(said="something else")), resolve("allow"), resolve("deny"),
      export(receipt("decision", "needs_approval", "write"), BEFORE, receipt("execution", "deny"),
             receipt("execution", "deny"), BEFORE, receipt("execution", "allow", "write"),
             receipt("execution", "deny")),
      clauses="7-6 7-7 7-8 8-9 8-11", section="8", basis="proposed", errata=(32, 43),
      flags=["ReceiptTrail"])  # fmt: skip
story("receipts-reasons", "The execution of a release says who approved it, and what the broker answered.",
      opened(), park(), yes(), resolve("allow"),
      export(receipt("decision", "needs_approval", "write"), BEFORE, BEFORE,
             receipt("execution", "allow", "write",
                     reasons=["human approved by 'alice'", "executed via broker (status 200)"])),
      clauses="7-8", section="8", basis="proposed", flags=["ReceiptTrail", "ReasonText"])  # fmt: skip
story("receipts-no", "A person's no, and what is asked after it.", opened(), park(), no(), resolve("deny"),
      export(receipt("decision", "needs_approval", "write"), receipt("decision", "deny"),
             receipt("execution", "deny", reasons=["human denied this action"])),
      clauses="7-6", section="8", basis="proposed", flags=["ReceiptTrail"])  # fmt: skip
story("receipts-refused-decision", "A decision that does not count leaves a receipt, and nothing else.", opened(),
      park(), no(), yes("denied", counts=False), resolve("deny"),
      export(receipt("decision", "needs_approval", "write"), receipt("decision", "deny"),
             receipt("decision", "deny"), receipt("execution", "deny")),
      clauses="7.2-6 7.2-3", section="7.2", basis="proposed", flags=["ReceiptTrail", "FinalStatus"])  # fmt: skip
story("receipts-unknown", "A release of an unknown approval leaves a receipt.", opened(),
      resolve("deny", name="apr_7"), export(receipt("execution", "deny")), clauses="7-6", errata=43,
      section="8", basis="proposed", flags=["ReceiptTrail", "UnknownApproval"])  # fmt: skip
story("receipts-waiting", "Asking while it is pending leaves no receipt, however often.", opened(), park(),
      *[resolve("needs_approval")] * 4, export(receipt("decision", "needs_approval", "write")), clauses="7-7",
      section="8", basis="proposed", flags=["ReceiptTrail"])  # fmt: skip
story("receipts-swap-waiting", "Asking for another action while it is pending leaves one.", opened(), park(),
      resolve("deny", order(params="{}")),
      export(receipt("decision", "needs_approval", "write"), receipt("execution", "deny")), clauses="7-6 7-7",
      section="8", basis="proposed", flags=["ReceiptTrail"])  # fmt: skip
story("receipts-default", "What the default allowed or parked has no rule.", opened("default: allow\n"),
      propose("allow", READ, rule=None), export(BEFORE, receipt("execution", "allow")), clauses="8-9",
      section="8", basis="proposed", flags=["ReceiptTrail"])  # fmt: skip
story("summary-params", "The params in a summary are canonical: sorted, without blanks, not escaped.", opened(),
      propose("deny", order("https://API.example.com/x", '{"b": 2400, "a": ["caf\\u00e9", null]}', "delete")),
      propose("deny", order("https://api.example.com", "{}", "DELETE")),
      export(receipt("decision", "deny",
                     action_summary='DELETE api.example.com/x {"a":["caf\u00e9",null],"b":2400}'),
             receipt("decision", "deny", action_summary="DELETE api.example.com/")),
      clauses="8-4", section="8", basis="reference", errata=33, flags=["ReceiptTrail"])  # fmt: skip
story("summary-query", "The query stands in a summary: an approver sees all that is bound.", opened(),
      propose("deny", order(URL + "?to=b%20c&a=%C3%A9&a", '{"n":1}', "DELETE")),
      export(receipt("decision", "deny", action_summary='DELETE api.example.com/orders?a=&a=%C3%A9&to=b+c {"n":1}')),
      clauses="8-5", section="8", basis="proposed", errata=(15, 33), flags=["ReceiptTrail"])  # fmt: skip
story("receipts-bound", "Receipts carry both hashes of the order, and the instruction stays out of them.", opened(),
      propose("deny", order(method="DELETE", params="{}")), park(),
      export(receipt("decision", "deny"),
             receipt("decision", "needs_approval", "write",
                     intent_hash="76f8eef1b97e1213a59eec28cedf15bb999fdb00a3fd17f8343bc4676fdbb4f3",
                     action_fingerprint="4327df2637072bf058622d1f8baea6e431726f7332a50cd12ec970d6e43c2fd2",
                     action_summary=f"POST api.example.com/orders {PARAMS}")),
      clauses="4-3 4-4 8-4", section="8", flags=["ReceiptTrail"])  # fmt: skip
# The policy digest under the configuration of nobody's hand, which SPEC.md prints.
DEFAULTS: Final = {
    "actions": {"plain_http_hosts": []},
    "approvals": {
        "approvers": [], "lifetime_seconds": 86400, "release_seconds": 3600, "required": 1,
        "routing_group": None, "separate_duties": True, "signed": False,
    },
    "tokens": {"audience": None, "issuer": "delego", "lifetime_seconds": 45},
}  # fmt: skip
LOADED: Final = {"version": 1, "default": "deny"}
DIGEST: Final = f"policy sha256:{digest({'config': DEFAULTS, 'policy': LOADED})}"
story("policy-digest", "The last reason of a decision receipt is the digest of policy and configuration.",
      opened("version: 1\ndefault: deny\n"), propose("deny", READ),
      export(receipt("decision", "deny", reasons=["no rule matched; default = deny", DIGEST])),
      clauses="8-18", section="8", basis="proposed", level="SHOULD", flags=["ReceiptTrail"])  # fmt: skip
story("policy-digest-order", "Neither the order of keys nor comments change the digest.",
      opened("# version 1\ndefault: deny\nversion: 1\n"), propose("deny", READ),
      export(receipt("decision", "deny", reasons=["no rule matched; default = deny", DIGEST])),
      clauses="8-18", section="8", basis="proposed", level="SHOULD", flags=["ReceiptTrail"])  # fmt: skip
story("times-forward", "Receipt times do not run backwards with the clock.", opened(),
      propose("deny", order(method="DELETE"), now="12:00:00"), propose("deny", order(method="DELETE"), now="11:00:00"),
      propose("deny", order(method="DELETE"), now="12:00:05.500000"),
      export(receipt("decision", "deny", ts="2026-01-01T12:00:00.000000+00:00"),
             receipt("decision", "deny", ts="2026-01-01T12:00:00.000000+00:00"),
             receipt("decision", "deny", ts="2026-01-01T12:00:05.500000+00:00")),
      clauses="8-6", section="8", basis="proposed", requires=CLOCK, errata=31, flags=["ReceiptTrail"])  # fmt: skip

# One approval, one release.
story("release", "Park, approve, release: executed once, and never again.", opened(), park(), yes(),
      resolve("allow"), resolve("deny"), resolve("deny"), clauses="7-1 7.1-3 8-10",
      flags=["DoubleRelease"])  # fmt: skip
story("waiting", "Before the yes, nothing is released; after it, it is.", opened(), park(),
      resolve("needs_approval"), resolve("needs_approval"), yes(), resolve("allow"), clauses="7-1",
      flags=["NotYetApproved"])  # fmt: skip
story("deny-is-final", "After a no, no yes counts any more.", opened(), park(), no(), yes("denied", counts=False),
      yes("denied", counts=False, who="bob"), resolve("deny"), clauses="7-1 7.2-3",
      flags=["FinalStatus"])  # fmt: skip
story("no-after-yes", "An approval that is approved is decided; a second decision does not count.", opened(), park(),
      yes(), no("approved", counts=False, who="bob"), resolve("allow"), clauses="7.2-6", basis="proposed",
      section="7.2", flags=["FinalStatus"])  # fmt: skip
story("yes-after-release", "A consumed approval is not opened by another yes.", opened(), park(), yes(),
      resolve("allow"), yes("consumed", counts=False), yes("consumed", counts=False, who="bob"), resolve("deny"),
      clauses="7.1-3 7.2-6", flags=["FinalStatus", "DoubleRelease"])  # fmt: skip
story("unknown", "Unknown approvals: nothing is released, and no decision counts.", opened(),
      resolve("deny", name="apr_7"), resolve("deny", name=""), yes(None, counts=False, name="apr_7"),
      park(), yes(), resolve("allow"), clauses="7-1", errata=43, flags=["UnknownApproval"])  # fmt: skip
story("by-another", "Whoever asks for the release may be another than who proposed it.", opened(),
      park(by="agent-7"), yes(), resolve("allow", by="agent-8"), clauses="7-1", basis="proposed")  # fmt: skip
story("default-parks", "What the default parks is released like the rest.", opened("default: needs_approval\n"),
      park(), resolve("needs_approval"), yes(), resolve("allow"), resolve("deny"), clauses="6-1 7-1")  # fmt: skip

# What a yes is bound to.
story("swap", "Another action is refused, and costs the approval nothing.", opened(), park(), yes(),
      resolve("deny", order(params=PARAMS[:-1] + ',"recipient":"attacker"}')),
      resolve("deny", order(params=PARAMS.replace("2400", "2401"))), resolve("deny", order(method="PUT")),
      resolve("deny", order("https://api.example.org/orders")), resolve("deny", order(URL + "?to=attacker")),
      resolve("allow"), clauses="7-2 7.1-1", flags=["SubstitutedAction"])  # fmt: skip
story("swap-same", "The same action in another spelling is released.", opened(),
      park(order(URL + "?b=2&a=%41")), yes(),
      resolve("allow", order("https://API.example.com/orders?a=A&b=2",
                             '{"destination":"internal","currency":"USD","amount":2400}', "post",
                             f" {INSTRUCTION}\n")),
      clauses="7.1-1 7.1-2")  # fmt: skip
story("intent-swap", "Another instruction is refused, and costs the approval nothing.", opened(), park(), yes(),
      resolve("deny", order(said="place a large order")), resolve("deny", order(said=INSTRUCTION.upper())),
      resolve("allow"), clauses="7-2 7.1-2", flags=["SwappedIntent"])  # fmt: skip
story("two-approvals", "Of two approvals of the same action, a yes to one is no yes to the other.", opened(), park(),
      park(name="second"), yes(), resolve("needs_approval", name="${second}"), resolve("allow"),
      resolve("needs_approval", name="${second}"), no(name="${second}"), resolve("deny", name="${second}"),
      clauses="7.1-4", flags=["CrossApproval"])  # fmt: skip
SMALL, LARGE = order(params='{"amount":1}'), order(params='{"amount":1000}')
story("two-actions", "A yes to one action releases no other that was approved or parked besides.", opened(),
      park(SMALL), park(LARGE, name="large"), yes(), resolve("deny", LARGE), resolve("needs_approval", LARGE, name="${large}"),
      yes(name="${large}"), resolve("deny", SMALL, name="${large}"), resolve("allow", LARGE, name="${large}"),
      resolve("allow", SMALL), clauses="7.1-1 7.1-4", flags=["CrossApproval", "SubstitutedAction"])  # fmt: skip
story("proposed-again", "A yes is for one approval: proposing the action again parks it again.", opened(), park(),
      yes(), resolve("allow"), park(name="again"), resolve("needs_approval", name="${again}"), resolve("deny"),
      clauses="7.1-4", flags=["CrossApproval"])  # fmt: skip
story("hazard-same-fingerprint", "A fragment, and the order of repeated names, are not in the fingerprint.", opened(),
      park(order(URL + "?id=1&id=2")), yes(), resolve("deny", order(URL + "?id=1&id=2#x")),
      resolve("deny", order(URL + "?id=2&id=1")), resolve("allow", order(URL + "?id=1&id=2")), clauses="7-4",
      basis="proposed", flags=["Fragment", "ParameterPollution"])  # fmt: skip
TOOLS: Final = policy(rule("{ path: '*' }", decision="needs_approval", name="write"))
story("scheme-swap", "tool:// and mcp:// share a fingerprint; a yes to one is no yes to the other.", opened(TOOLS),
      park(order("tool://files/read", method="CALL")), yes(),
      resolve("deny", order("mcp://files/read", method="CALL")),
      resolve("allow", order("tool://files/read", method="CALL")), clauses="7-3", basis="proposed",
      flags=["SchemeConfusion"])  # fmt: skip

# Races.
for parallel in (8, 16):
    story(f"race-{parallel}", f"Of {parallel} releases at once, one has an effect.", opened(), park(), yes(),
          race(1, parallel), resolve("deny"), race(0, parallel), clauses="7.1-3 8-10", errata=44, section="7.1",
          flags=["DoubleRelease"])  # fmt: skip
story("race-pending", "However many ask at once: before the yes, there is no effect.", opened(), park(), race(0),
      yes(), race(1), clauses="7.1-3 7-1", errata=44, section="7.1", flags=["NotYetApproved"])  # fmt: skip
story("race-denied", "However many ask at once: after a no, there is no effect.", opened(), park(), no(), race(0),
      resolve("deny"), clauses="7.1-3 7.2-3", errata=44, section="7.1",
      flags=["FinalStatus"])  # fmt: skip
story("race-swap", "However many ask at once for another action, there is no effect.", opened(), park(), yes(),
      race(0, 8, order(params="{}")), race(1), clauses="7.1-1 7.1-3", errata=44, section="7.1",
      flags=["SubstitutedAction"])  # fmt: skip
story("race-receipts", "After a race there is one execution, and the chain is sound.", opened(), park(), yes(),
      race(1, 2),
      step("session.export", {}, either(*({**ok(), "receipts": [
          receipt("decision", "needs_approval", "write"), BEFORE, *order_of_race]} for order_of_race in (
              [BEFORE, receipt("execution", "allow", "write"), receipt("execution", "deny")],
              [BEFORE, receipt("execution", "deny"), receipt("execution", "allow", "write")])))),
      clauses="7.1-3 7-6 8-9", errata=44, section="7.1", basis="proposed",
      flags=["DoubleRelease", "ReceiptTrail"])  # fmt: skip

# Restarts.
story("restart-consumed", "What was consumed stays consumed.", opened(), park(), yes(), resolve("allow"), restart(),
      resolve("deny"), race(0), clauses="7.1-3", section="7.1", errata=44, flags=["LostState"])  # fmt: skip
story("restart-race", "After a race and a restart, it stays consumed.", opened(), park(), yes(), race(1), restart(),
      resolve("deny"), clauses="7.1-3", section="7.1", errata=44, flags=["LostState", "DoubleRelease"])  # fmt: skip
story("restart-pending", "What was pending waits on, and what was approved is released.", opened(), park(), restart(),
      resolve("needs_approval"), yes(), restart(), resolve("allow"), restart(), resolve("deny"),
      clauses="7-1 7.1-3", flags=["LostState"])  # fmt: skip
story("restart-denied", "What was denied stays denied.", opened(), park(), no(), restart(),
      yes("denied", counts=False), resolve("deny"), clauses="7.2-3", flags=["LostState", "FinalStatus"])  # fmt: skip
story("restart-chain", "The chain goes on where it was.", opened(), propose("deny", order(method="DELETE")), restart(),
      park(), restart(), yes(), restart(),
      export(receipt("decision", "deny", seq=0), receipt("decision", "needs_approval", "write", seq=1),
             receipt("decision", "allow", seq=2)),
      clauses="8-2", section="8", basis="proposed", flags=["LostState", "ReceiptTrail"])  # fmt: skip
story("forbidden-since", "What was forbidden since the yes is not released; what is allowed again, is.", opened(),
      park(), yes(), restart(policy_text=policy(rule(decision="needs_approval", name="write"), forbidden=entry("{ path: /orders }"))),
      resolve("deny"), restart(policy_text=MIXED), resolve("allow"), clauses="7-12", basis="proposed",
      flags=["Expiry"])  # fmt: skip
story("rule-gone-since", "A yes outlives the rule that it was parked under.", opened(), park(), yes(),
      restart(policy_text="default: deny\n"), propose("deny"), resolve("allow"), clauses="7-1", basis="proposed")  # fmt: skip

# Rate limits.
LIMITED: Final = policy(rule("{ method: GET }", name="read", constraints="{ rate_limit: { max: 2 } }"),
                        rule(decision="needs_approval", name="write", constraints="{ rate_limit: { max: 1 } }"))  # fmt: skip
story("rate", "Each execution counts once, whatever was written about it.", opened(LIMITED),
      propose("allow", READ), propose("allow", READ), propose("deny", READ, rule="read"), restart(),
      propose("deny", READ, rule="read"), clauses="5-12 8-11", section="5", errata=(30, 32),
      flags=["RateCount", "LostState"])  # fmt: skip
story("rate-denied", "What was denied or swapped does not count.", opened(LIMITED),
      propose("deny", order(method="DELETE")), propose("deny", order("https://api.example.com/x", method="PUT")),
      propose("allow", READ), propose("allow", READ), propose("deny", READ), clauses="5-12 8-11", section="5",
      errata=32, flags=["RateCount"])  # fmt: skip
story("rate-parked", "Of two actions parked while the limit was free, one is released.", opened(LIMITED), park(),
      park(LARGE, name="second"), yes(), yes(name="${second}"), resolve("allow"),
      resolve("deny", LARGE, name="${second}"), clauses="7-5", basis="proposed", flags=["RateCount"])  # fmt: skip
story("rate-window", "After an hour, the first execution counts no more.", opened(LIMITED),
      propose("allow", READ, now="12:00:00"), propose("allow", READ, now="12:30:00"),
      propose("deny", READ, now="12:59:59.999999"), propose("allow", READ, now="13:00:00"),
      propose("deny", READ, now="13:00:00"), clauses="5-12", section="5", requires=CLOCK, errata=30,
      basis="proposed", flags=["RateWindow"])  # fmt: skip
story("rate-clock-back", "A clock that is set back lifts no limit.", opened(LIMITED),
      propose("allow", READ, now="12:00:00"), propose("deny", READ, now="11:00:00"),
      propose("allow", READ, now="12:00:01"), clauses="5-13", section="5", requires=CLOCK, errata=30,
      basis="proposed", flags=["RateFuture"])  # fmt: skip

# Who decides.
story("two-approvers", "Two people are two yeses.", opened(required_approvers=2), park(), yes("pending"),
      resolve("needs_approval"), yes("approved", who="bob"), resolve("allow"), resolve("deny"), clauses="7.2-2",
      section="7.2", requires=CONFIG, errata=46, basis="proposed", flags=["VotesCounted"])  # fmt: skip
story("one-approver-twice", "One person saying yes twice is one yes.", opened(required_approvers=2), park(),
      yes("pending"), yes("pending", counts=False), resolve("needs_approval"), race(0), yes("approved", who="bob"),
      resolve("allow"), clauses="7.2-2 7.2-6", section="7.2", requires=CONFIG, errata=46, basis="proposed",
      flags=["VotesCounted"])  # fmt: skip
story("one-approver-restart", "A restart does not forget who said yes.", opened(required_approvers=2), park(),
      yes("pending"), restart(), yes("pending", counts=False), yes("approved", who="bob"), resolve("allow"),
      clauses="7.2-2", section="7.2", requires=CONFIG, errata=46, basis="proposed",
      flags=["VotesCounted", "LostState"])  # fmt: skip
story("two-approvers-one-no", "One no is final, beside a yes as well.", opened(required_approvers=2), park(),
      yes("pending"), no(who="bob"), yes("denied", who="carol", counts=False), resolve("deny"), clauses="7.2-3",
      section="7.2", requires=CONFIG, basis="proposed", flags=["FinalStatus"])  # fmt: skip
story("own-no-after-yes", "Who said yes may still say no, while more are wanted.", opened(required_approvers=2), park(),
      yes("pending"), no(), resolve("deny"), clauses="7.2-3", section="7.2", requires=CONFIG, basis="proposed",
      flags=["FinalStatus"])  # fmt: skip
story("two-approvers-receipts", "All who approved stand in the receipt of the execution.", opened(required_approvers=2),
      park(), yes("pending"), yes("approved", who="bob"), resolve("allow"),
      export(receipt("decision", "needs_approval", "write"), BEFORE, BEFORE, BEFORE,
             receipt("execution", "allow", "write",
                     reasons=["human approved by 'alice, bob'", "executed via broker (status 200)"])),
      clauses="7-8", section="8", requires=CONFIG, basis="proposed", flags=["ReceiptTrail"])  # fmt: skip
story("self-approval", "Whoever proposed an action may not approve it, but may deny it.", opened(separate_duties=True),
      park(by="alice"), yes("pending", counts=False), resolve("needs_approval", by="alice"), no(),
      park(by="alice", name="second"), yes(who="bob", name="${second}"), resolve("allow", name="${second}"),
      clauses="7.2-4", section="7.2", requires=CONFIG, basis="proposed", flags=["SelfApproval"])  # fmt: skip
story("self-approval-default", "Duties are separate unless configured otherwise.", opened(),
      park(by="alice"), yes("pending", counts=False), yes(who="bob"), resolve("allow"), clauses="7.2-4",
      section="7.2", basis="proposed", flags=["SelfApproval"])  # fmt: skip
story("self-approval-off", "Where duties are not separate, the proposer may approve.", opened(separate_duties=False),
      park(by="alice"), yes(), resolve("allow"), clauses="7.2-4", section="7.2", requires=CONFIG,
      basis="proposed", level="MAY")  # fmt: skip
story("approvers-named", "Where approvers are named, nobody else's decision counts, not even a no.",
      opened(approvers=["alice", "bob"]), park(), yes("pending", who="mallory", counts=False),
      yes("pending", who="Alice", counts=False), no("pending", who="mallory", counts=False),
      resolve("needs_approval"), yes(who="bob"), resolve("allow"), clauses="7.2-5 7.2-6", section="7.2",
      requires=CONFIG, basis="proposed", flags=["SelfApproval"])  # fmt: skip
story("approver-gone", "A yes counts no more once its giver may not approve.", opened(approvers=["alice", "bob"]),
      park(), yes(), restart(config={"approvers": ["bob"]}), resolve("deny"),
      restart(config={"approvers": ["alice", "bob"]}), resolve("allow"), clauses="7-14", requires=CONFIG,
      basis="proposed", flags=["VotesCounted"])  # fmt: skip
story("more-approvers-since", "If two are required by now, one yes is not enough.", opened(required_approvers=1), park(),
      yes(), restart(config={"required_approvers": 2}), resolve("deny"),
      restart(config={"required_approvers": 1}), resolve("allow"), clauses="7-15", requires=CONFIG,
      basis="proposed", flags=["VotesCounted"])  # fmt: skip
story("fewer-approvers-since", "Two were required when it was parked: one is not enough now.",
      opened(required_approvers=2), park(), restart(config={"required_approvers": 1}), yes("pending"),
      resolve("needs_approval"), yes(who="bob"), resolve("allow"), clauses="7-15", requires=CONFIG,
      basis="proposed", flags=["VotesCounted"])  # fmt: skip

# Time.
MINUTE: Final[dict[str, Any]] = {"approval_seconds": 60, "release_seconds": 30}
story("in-time", "Decided and released in the last moments.", opened(**MINUTE), park(now="12:00:00"),
      yes(now="12:00:59.999999"), resolve("allow", now="12:01:29.999998"), clauses="7-9 7-10", requires=BOTH,
      errata=45, basis="proposed")  # fmt: skip
story("decided-late", "In the moment of its expiry, an approval is expired: no decision counts.", opened(**MINUTE),
      park(now="12:00:00"), yes("expired", counts=False, now="12:01:00"),
      no("expired", counts=False, now="12:01:00"), resolve("deny", now="12:01:00"), clauses="7-9 7.2-6",
      requires=BOTH, errata=45, basis="proposed", flags=["Expiry"])  # fmt: skip
story("asked-late", "A pending approval whose time is over is expired, stored so or not.", opened(**MINUTE),
      park(now="12:00:00"), resolve("needs_approval", now="12:00:59"), resolve("deny", now="12:01:01"),
      clauses="7-9", requires=BOTH, errata=45, basis="proposed", flags=["Expiry"])  # fmt: skip
story("released-late", "An approved action is released within its window, or never.", opened(**MINUTE),
      park(now="12:00:00"), yes(now="12:00:10"), resolve("deny", now="12:00:40"), resolve("deny", now="12:00:41"),
      clauses="7-10", requires=BOTH, errata=45, basis="proposed", flags=["Expiry"])  # fmt: skip
story("expired-is-final", "What was seen to be expired stays so, though the clock goes back.", opened(**MINUTE),
      park(now="12:00:00"), yes(now="12:00:10"), resolve("deny", now="12:00:40"),
      resolve("deny", now="12:00:20"), clauses="7-9 7-10", requires=BOTH, errata=45, basis="proposed",
      flags=["Expiry", "FinalStatus"])  # fmt: skip
story("default-times", "Unless configured: a day for the decision, an hour for the release.", opened(),
      park(now="12:00:00"), yes(now="2026-01-02T11:59:59"), resolve("allow", now="2026-01-02T12:59:58"),
      park(name="second", now="2026-01-02T13:00:00"), yes(name="${second}", now="2026-01-02T13:00:01"),
      resolve("deny", name="${second}", now="2026-01-02T14:00:01"),
      park(name="third", now="2026-01-02T14:00:02"),
      yes("expired", name="${third}", counts=False, now="2026-01-03T14:00:02"), clauses="7-10 7-9",
      requires=CLOCK, errata=45, basis="proposed", flags=["Expiry"])  # fmt: skip
story("expired-reason-twice", "When the release window was over is said the same, however often it is asked.",
      opened(**MINUTE), park(now="12:00:00"), yes(now="12:00:10"),
      resolve("deny", now="12:00:50", reasons=["approval expired at 2026-01-01T12:00:40.000000+00:00"]),
      resolve("deny", now="12:00:55", reasons=["approval expired at 2026-01-01T12:00:40.000000+00:00"]),
      clauses="7-1 7-10", requires=BOTH, errata=45, basis="proposed", flags=["Expiry"])  # fmt: skip
story("same-person-in-capitals", "A name with a capital: its second yes is no other person's.", opened(required_approvers=2),
      park(), yes("pending", who="Alice"), yes("pending", counts=False, who="Alice"), resolve("needs_approval"),
      clauses="7.2-2", section="7.2", requires=CONFIG, basis="proposed", flags=["VotesCounted"])  # fmt: skip
story("blanks-in-the-instruction", "The instruction of an approval is quoted as it was given.", opened(),
      park(order(said="  place it ")), resolve("deny", order(said="something else"), reasons=[
          "approval/intent mismatch: this approval was issued for a different instruction; "
          "the approval was issued for: '  place it '"]),
      clauses="7-1", basis="proposed", flags=["ReasonText"])  # fmt: skip
LOWER: Final = policy(
    rule(decision="needs_approval", name="write", constraints="{ amount: { field: amount, max: 1 } }")
)
CAPPED: Final = policy(
    rule(decision="needs_approval", name="write", constraints="{ amount: { field: amount, max: 5000 } }")
)
story("cap-lowered-since", "A lower cap is for new proposals: a yes that was given stands.", opened(CAPPED), park(), yes(),
      restart(policy_text=LOWER), propose("deny"), resolve("allow"), clauses="7-1", basis="proposed")  # fmt: skip

# The digest, and how many said yes, in every receipt of a decision.
WAITS: Final = {"version": 1, "default": "needs_approval"}
TWO: Final = {**DEFAULTS, "approvals": {**DEFAULTS["approvals"], "required": 2}}  # type: ignore[dict-item]  # an object
WAITS_DIGEST: Final = f"policy sha256:{digest({'config': TWO, 'policy': WAITS})}"
story("every-digest", "Every receipt of a decision ends in the digest: parked, decided, refused, released.",
      opened("version: 1\ndefault: needs_approval\n", required_approvers=2), park(), yes("pending"),
      yes("approved", who="bob"), resolve("allow"),
      export(receipt("decision", "needs_approval",
                     reasons=["no rule matched; default = needs_approval", WAITS_DIGEST]),
             receipt("decision", "allow", reasons=["human approved by 'alice'", "approval 1 of 2", WAITS_DIGEST]),
             receipt("decision", "allow", reasons=["human approved by 'bob'", WAITS_DIGEST]),
             receipt("decision", "allow",
                     reasons=["authorized by the default; execution follows", WAITS_DIGEST]),
             receipt("execution", "allow",
                     reasons=["human approved by 'alice, bob'", "executed via broker (status 200)"])),
      clauses="8-18", section="8", requires=CONFIG, basis="proposed", level="SHOULD",
      flags=["ReceiptTrail"])  # fmt: skip
