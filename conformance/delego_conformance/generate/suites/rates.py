"""Rate limits (§5, §8): what is counted, and where the window begins and ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from delego_conformance.generate.build import Suite, action, either, ok
from delego_conformance.generate.policies import entry, policy, rule

SUITE: Final = Suite("rates", "RL", "Rate limits", section="5")

GET: Final = "{ method: GET }"
MICRO: Final = 0.000001


def limited(limit: str, **more: Any) -> str:
    """A policy of one rule, ``a``, with this rate limit."""
    return policy(rule(GET, constraints=f"{{ rate_limit: {limit} }}", **more))


def ages(*seconds: float, rule: str | None = "a") -> list[dict[str, Any]]:
    """Earlier allows of one rule."""
    return [{"rule": rule, "age_seconds": age} for age in seconds]


def limit(
    slug: str,
    comment: str,
    text: str,
    allows: Sequence[dict[str, Any]] | None,
    outcome: str,
    *,
    control: str,
    by: str | None = "a",
    clauses: str = "5-12",
    errata: int | Sequence[int] = 30,
    **more: Any,
) -> None:
    """One decision; without ``allows`` there is no ledger to count in."""
    args: dict[str, Any] = {"policy_text": text, "action": action()}
    if allows is not None:
        args["allows"] = list(allows)
    SUITE.add(
        slug, comment, "decide", args, ok(outcome=outcome, rule=by), clauses=clauses, control=control,
        errata=errata, **more,
    )  # fmt: skip


TWO: Final = limited("{ max: 2, per: hour }")
limit("unused", "Nothing was allowed before.", TWO, [], "allow", control="used-up")
limit("one-left", "One of two is left.", TWO, ages(5), "allow", control="used-up")
limit("used-up", "Both are used.", TWO, ages(5, 10), "deny", control="one-left", flags=["RateCount"])
limit("more-than-used-up", "More are used than there may be.", TWO, ages(1, 2, 3), "deny", control="one-left",
      flags=["RateCount"])  # fmt: skip
limit("used-now", "An allow of this very moment counts.", TWO, ages(0, 0), "deny", control="one-left",
      flags=["RateWindow"])  # fmt: skip
limit("none-allowed", "A limit of 0 allows nothing.", limited("{ max: 0 }"), [], "deny",
      control="unused", flags=["RateCount"])  # fmt: skip
limit("no-limit", "Without a rate limit, nothing is counted.", policy(rule(GET)), ages(*range(99)), "allow",
      control="used-up")  # fmt: skip

# The window: (now - w, now].
for name, width in (("minute", 60), ("hour", 3600), ("day", 86_400)):
    one = limited(f"{{ max: 1, per: {name} }}")
    limit(f"{name}-just-inside", f"One microsecond less than a {name} old: it counts.", one,
          ages(width - MICRO), "deny", control=f"{name}-just-outside", flags=["RateWindow"])  # fmt: skip
    limit(f"{name}-at-edge", f"Exactly a {name} old: it counts no more.", one, ages(width), "allow",
          control=f"{name}-just-inside", flags=["RateWindow"], basis="proposed")  # fmt: skip
    limit(f"{name}-just-outside", f"One microsecond more than a {name} old: it counts no more.", one,
          ages(width + MICRO), "allow", control=f"{name}-just-inside", flags=["RateWindow"])  # fmt: skip
HOURLY: Final = limited("{ max: 1 }")
limit("default-hour", "Without per, the window is an hour; half an hour ago is inside.", HOURLY, ages(1800),
      "deny", control="default-hour-over", flags=["RateWindow"], basis="reference")  # fmt: skip
limit("default-hour-over", "Without per, the window is an hour; two hours ago is outside.", HOURLY,
      ages(7200), "allow", control="default-hour", flags=["RateWindow"], basis="reference")  # fmt: skip
limit("old-and-new", "Of old and new allows, only the new ones count.", TWO, ages(9000, 8000, 7000, 10),
      "allow", control="used-up", flags=["RateWindow"])  # fmt: skip
limit("order-of-receipts", "The order in which they are listed does not matter.", TWO,
      ages(10, 9000, 20, 8000), "deny", control="old-and-new", flags=["RateWindow"])  # fmt: skip

# Which receipts count.
limit("other-rule", "Allows of another rule do not count.", TWO, ages(1, 2, 3, rule="b"), "allow",
      control="used-up", flags=["RateRule"])  # fmt: skip
limit("rule-by-case", "A rule's name is compared as it stands.", TWO, ages(1, 2, 3, rule="A"), "allow",
      control="used-up", flags=["RateRule"])  # fmt: skip
limit("no-rule", "An allow without a rule counts for no rule.", TWO, ages(1, 2, 3, rule=None), "allow",
      control="used-up", flags=["RateRule"], clauses="5-12 8-11", errata=(30, 32))  # fmt: skip
limit("several-rules", "Of the allows of several rules, those of this one count.", TWO,
      [*ages(1, 2, rule="b"), *ages(3), *ages(4, rule=None), *ages(5)], "deny", control="other-rule",
      flags=["RateRule"], clauses="5-12 8-11", errata=(30, 32))  # fmt: skip
NAMED_NULL: Final = policy(rule(GET, name='"null"', constraints="{ rate_limit: { max: 1 } }"))
limit("rule-called-null", "A rule called null is not no rule.", NAMED_NULL, ages(1, rule=None), "allow",
      by="null", control="rule-called-null-used", flags=["RateRule"])  # fmt: skip
limit("rule-called-null-used", "Its own allows count.", NAMED_NULL, ages(1, rule="null"), "deny", by="null",
      control="rule-called-null", flags=["RateRule"])  # fmt: skip

# Fail closed.
limit("no-ledger", "Without a ledger, a limit cannot be checked: it fails.", TWO, None, "deny",
      control="unused", clauses="5-6 5-12", flags=["NoLedger"])  # fmt: skip
limit("no-ledger-no-limit", "Without a ledger, what has no limit is decided.", policy(rule(GET)), None, "allow",
      control="used-up", clauses="5-6")  # fmt: skip
for name, age in (("an-hour", -3600.0), ("a-minute", -60.0), ("three-seconds", -3.0)):
    limit(f"future-{name}", "A receipt of the future: the clock, or the ledger, is not to be trusted.", TWO,
          ages(age), "deny", control="one-left", clauses="5-13", flags=["RateFuture"],
          basis="proposed")  # fmt: skip
limit("future-and-past", "One receipt of the future among others.", limited("{ max: 9 }"),
      ages(10, 20, -3600, 30), "deny", control="one-left", clauses="5-13", flags=["RateFuture"],
      basis="proposed")  # fmt: skip
limit("future-no-limit", "Without a rate limit, the time of earlier receipts does not matter.",
      policy(rule(GET)), ages(-3600), "allow", control="used-up", clauses="5-13",
      basis="proposed")  # fmt: skip
SUITE.add(
    "future-tolerated", "A second ahead, and the limit is used up besides: denied, however that is read.",
    "decide", {"policy_text": limited("{ max: 1 }"), "action": action(), "allows": ages(-1, 5)},
    ok(outcome="deny", rule="a"), clauses="5-14", control="unused", errata=30, flags=["RateFuture"],
)  # fmt: skip
SUITE.add(
    "future-one-second", "A second ahead may be two clocks that are not exactly alike; to deny is as right.",
    "decide", {"policy_text": TWO, "action": action(), "allows": ages(-1)},
    either(ok(outcome="allow", rule="a"), ok(outcome="deny", rule="a")), clauses="5-14",
    errata=30, level="MAY",
)  # fmt: skip

# A rate limit among the rest.
WAITING: Final = limited("{ max: 1 }", decision="needs_approval")
limit("approval-left", "What waits for a person is limited, too: one is left.", WAITING, [], "needs_approval",
      control="approval-used-up")  # fmt: skip
limit("approval-used-up", "What waits for a person is limited, too: none is left.", WAITING, ages(9), "deny",
      control="approval-left", flags=["RateCount"])  # fmt: skip
FORBIDDEN: Final = policy(rule(GET, constraints="{ rate_limit: { max: 1 } }"), forbidden=entry(GET))
limit("forbidden-first", "What is forbidden is not counted first.", FORBIDDEN, ages(1, 2), "deny", by="never",
      control="one-left", clauses="6-1")  # fmt: skip
SECOND: Final = policy(
    rule(GET, constraints="{ rate_limit: { max: 1 } }"), rule(GET, name="b"), default="allow"
)
limit("no-second-rule", "A rule that is used up denies; the next one is not tried.", SECOND, ages(1), "deny",
      control="no-second-rule-needed", clauses="6-2", flags=["RuleOrder"])  # fmt: skip
limit("no-second-rule-needed", "The same policy, and nothing used.", SECOND, [], "allow",
      control="no-second-rule", clauses="6-2")  # fmt: skip
