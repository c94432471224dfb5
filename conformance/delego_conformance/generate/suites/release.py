"""Releasing an approval (§7, §7.1): the guards about one release, without storage.

Outcome and status alone are pinned here; the words of the reasons stand in ``reasons``.
"""

from __future__ import annotations

from typing import Any, Final

from delego_conformance.generate.build import Suite, action, either, ok, refused
from delego_conformance.vectors import JSONObject
from delego_spec.action import Action
from delego_spec.canonical import parse_json

SUITE: Final = Suite("release", "RE", "Releasing an approval", section="7")

NO_VECTOR: Final[dict[str, str]] = {
    "§7-11": "The broker of a session always answers; a refusal of its own cannot be brought about.",
    "§7-13": "A session has no signed decisions whose signatures could be spoilt.",
}

ID: Final = "apr_098812a3c6ffc7d236a2c11e"
NOW: Final = "2026-01-01T12:00:00.000000+00:00"
STATUSES: Final = ("pending", "approved", "denied", "consumed", "expired")
URL: Final = "https://api.example.com/orders"
PARAMS: Final = '{"amount":2400,"currency":"USD","destination":"internal"}'
INSTRUCTION: Final = "place a small order"


def order(url: str = URL, params: str = PARAMS, method: str = "POST", said: str = INSTRUCTION) -> JSONObject:
    """The order of SPEC.md, or something near it."""
    return action(url, method=method, params_json=params, instruction=said)


def approval(status: str = "approved", of: JSONObject | None = None, **changed: Any) -> JSONObject:
    """The approval of an action, as ``resolve`` takes it; hashes and summary are our core's."""
    parked = of or order()
    core = Action(
        parked["instruction"],
        parked["method"],
        parked["url"],
        parse_json(parked["params_json"]),  # type: ignore[arg-type]  # an object: it is written above
    )
    return {
        "id": ID,
        "status": status,
        "action_fingerprint": core.fingerprint,
        "intent_hash": core.intent_hash,
        "rule": "place-order",
        "summary": core.summary,
        "instruction": core.instruction,
        "approver": None if status == "pending" else "alice",
        "expires_at": "2026-01-01T11:59:59.000000+00:00"
        if status == "expired"
        else "2026-01-01T13:00:00.000000+00:00",
        "scheme": core.scheme,
        **changed,
    }


def resolve(
    slug: str,
    comment: str,
    parked: JSONObject | None,
    asked: JSONObject,
    outcome: str,
    after: str | None,
    *,
    clauses: str,
    control: str = "approved",
    approval_id: str = ID,
    **more: Any,
) -> None:
    """One release."""
    args = {"approval_id": approval_id, "approval": parked, "action": asked}
    SUITE.add(
        slug, comment, "resolve", args, ok(outcome=outcome, status_after=after), clauses=clauses,
        control=control, **more,
    )  # fmt: skip


# By status.
resolve("approved", "An approved action is released, and the approval is consumed.", approval(), order(), "allow",
        "consumed", clauses="7-1", control="consumed")  # fmt: skip
resolve("pending", "A pending one waits.", approval("pending"), order(), "needs_approval", "pending",
        clauses="7-1", flags=["NotYetApproved"])  # fmt: skip
resolve("denied", "A denied one stays denied.", approval("denied"), order(), "deny", "denied",
        clauses="7-1", flags=["FinalStatus"])  # fmt: skip
resolve("consumed", "A consumed one has released its action already.", approval("consumed"), order(), "deny",
        "consumed", clauses="7-1 7.1-3", flags=["DoubleRelease"])  # fmt: skip
resolve("expired", "An expired one stays expired.", approval("expired"), order(), "deny", "expired",
        clauses="7-1", basis="proposed", flags=["FinalStatus"])  # fmt: skip
resolve("unknown", "There is no such approval.", None, order(), "deny", None, clauses="7-1",
        approval_id="apr_7", errata=43, flags=["UnknownApproval"])  # fmt: skip
resolve("unknown-empty", "An empty id is no approval's.", None, order(), "deny", None, clauses="7-1",
        approval_id="", errata=43, flags=["UnknownApproval"])  # fmt: skip
resolve("unknown-strange", "What is no id at all is not known either.", None, order(), "deny", None,
        clauses="7-1", approval_id="../apr_7' OR 1=1 --\n", errata=43, flags=["UnknownApproval"])  # fmt: skip
for name, status in (("other", "granted"), ("case", "Approved"), ("empty", "")):
    SUITE.add(f"status-{name}", f"A status that nobody knows, {status!r}, releases nothing.", "resolve",
              {"approval_id": ID, "approval": approval(status), "action": order()},
              either(ok(outcome="deny"), refused()), clauses="7-1", control="approved", errata=43,
              flags=["UnknownApproval"], basis="proposed")  # fmt: skip

# Another action, whatever the status.
SWAPS: Final = {
    "param-more": order(params=PARAMS[:-1] + ',"recipient":"attacker"}'),
    "param-less": order(params='{"amount":2400,"currency":"USD"}'),
    "param-none": order(params="{}"),
    "param-changed": order(params=PARAMS.replace("2400", "2401")),
    "param-type": order(params=PARAMS.replace("2400", '"2400"')),
    "param-case": order(params=PARAMS.replace("internal", "Internal")),
    "method": order(method="PUT"),
    "host": order("https://api.example.org/orders"),
    "host-port": order("https://api.example.com:8443/orders"),
    "path": order("https://api.example.com/orders/7"),
    "path-case": order("https://api.example.com/Orders"),
    "path-slash": order("https://api.example.com/orders/"),
    "query": order(URL + "?to=attacker"),
}
for name, swapped in SWAPS.items():
    resolve(f"swap-{name}", "A yes to the order is no yes to what is asked for here.", approval(), swapped,
            "deny", "approved", clauses="7-2 7.1-1", flags=["SubstitutedAction"])  # fmt: skip
for status in STATUSES:
    if status != "approved":
        resolve(f"swap-{status}", f"Another action is refused while the approval is {status}, too.",
                approval(status), SWAPS["param-more"], "deny", status, clauses="7-1 7-2",
                flags=["SubstitutedAction"])  # fmt: skip
QUERY: Final = order(URL + "?to=a&n=1")
resolve("query-same", "The query in another order is the same action.", approval(of=QUERY),
        order(URL + "?n=1&to=a"), "allow", "consumed", clauses="7.1-1", control="query-changed")  # fmt: skip
resolve("query-changed", "One value of the query changed.", approval(of=QUERY), order(URL + "?to=b&n=1"), "deny",
        "approved", clauses="7.1-1 7-2", control="query-same", flags=["SubstitutedAction"])  # fmt: skip
resolve("query-dropped", "The query left out.", approval(of=QUERY), order(), "deny", "approved",
        clauses="7.1-1 7-2", control="query-same", flags=["SubstitutedAction"])  # fmt: skip
resolve("number-same", "2400.0 is 2400, and the host has no case: the same action.", approval(),
        order("https://API.example.com/orders", PARAMS.replace("2400", "2400.0"), "post"), "allow", "consumed",
        clauses="7.1-1 3-2", control="swap-param-changed",
        basis="proposed")  # fmt: skip
# One fingerprint, two requests.
for parked, asked in (("%fe", "%ff"), ("%ff", "%fe")):
    name = f"invalid-utf8-{asked[1:]}"
    SUITE.add(name, f"{asked} and {parked} may share a fingerprint; a yes to one releases nothing.", "resolve",
              {"approval_id": ID, "approval": approval(of=order(f"{URL}?to={parked}")),
               "action": order(f"{URL}?to={asked}")},
              either(ok(outcome="deny"), refused()), clauses="7-4 7.1-1", control="query-same", errata=13,
              basis="proposed", flags=["InvalidUtf8"])  # fmt: skip
HAZARDOUS: Final = (
    ("fragment", order(URL + "#x"), order(), "Fragment"),
    ("repeated", order(URL + "?id=2&id=1"), order(URL + "?id=1&id=2"), "ParameterPollution"),
    ("plain-http", order("http://api.example.com/orders"), order(), "SchemeConfusion"),
)  # fmt: skip
for name, asked_for, was_parked, flag in HAZARDOUS:
    SUITE.add(f"hazard-{name}", f"{asked_for['url']} has the fingerprint of {was_parked['url']}, and a hazard.",
              "resolve", {"approval_id": ID, "approval": approval(of=was_parked), "action": asked_for},
              either(ok(outcome="deny", status_after="approved"), refused()), clauses="7-4",
              control="approved", basis="proposed", flags=[flag])  # fmt: skip
TOOL: Final = order("tool://files/read", "{}", "CALL")
resolve("scheme-same", "A tool, as it was parked.", approval(of=TOOL), TOOL, "allow", "consumed", clauses="7-3",
        control="swap-method")  # fmt: skip
resolve("scheme-other", "mcp:// has the fingerprint of tool://, and is another action.", approval(of=TOOL),
        order("mcp://files/read", "{}", "CALL"), "deny", "approved", clauses="7-3 7-2", control="scheme-same",
        basis="proposed", flags=["SchemeConfusion"])  # fmt: skip
LOCAL: Final = order("https://localhost:8443/x")
resolve("scheme-loopback", "http to a loopback port has the fingerprint of https.", approval(of=LOCAL),
        order("http://localhost:8443/x"), "deny", "approved", clauses="7-3 7-2", control="approved",
        basis="proposed", flags=["SchemeConfusion"])  # fmt: skip

# Another instruction, whatever the status.
OTHER: Final = order(said="place a large order")
for status in STATUSES:
    resolve(f"intent-{status}", f"Another instruction is refused while the approval is {status}.",
            approval(status), OTHER, "deny", status, clauses="7-2 7.1-2", flags=["SwappedIntent"])  # fmt: skip
for name, said in (
    ("case", "Place a small order"), ("blanks", "place a  small order"), ("longer", INSTRUCTION + "."),
    ("prefix", "place a small orde"),
):  # fmt: skip
    resolve(f"intent-{name}", f"An instruction that is nearly the same: {said!r}.", approval(), order(said=said),
            "deny", "approved", clauses="7-2 7.1-2", flags=["SwappedIntent"])  # fmt: skip
resolve("intent-trimmed", "White space around an instruction is not part of it.", approval(),
        order(said=f" \t{INSTRUCTION}\n"), "allow", "consumed", clauses="7.1-2", control="intent-case")  # fmt: skip
resolve("both-swapped", "Another action under another instruction.", approval(),
        order(params="{}", said="something else"), "deny", "approved", clauses="7-2",
        flags=["SubstitutedAction"])  # fmt: skip

# Time.
BEFORE, AFTER = "2026-01-01T11:59:59.999999+00:00", "2026-01-01T12:00:00.000001+00:00"
for status, outcome, still in (("approved", "allow", "consumed"), ("pending", "needs_approval", "pending")):
    what = "its release window" if status == "approved" else "its time"
    clauses = "7-9 7-10" if status == "approved" else "7-9"
    resolve(f"time-{status}-left", f"A microsecond before {what} is over.", approval(status, expires_at=AFTER),
            order(), outcome, still, clauses=clauses, control="denied", errata=45,
            basis="proposed")  # fmt: skip
    resolve(f"time-{status}-none", "An approval without a limit does not expire.",
            approval(status, expires_at=None), order(), outcome, still, clauses=clauses, errata=45,
            control="denied")  # fmt: skip
    for name, expires_at in (("now", NOW), ("over", BEFORE)):
        resolve(f"time-{status}-{name}", f"At {what}, and after it, it is expired, stored so or not.",
                approval(status, expires_at=expires_at), order(), "deny", "expired", clauses=clauses,
                control=f"time-{status}-left", errata=45, basis="proposed", flags=["Expiry"])  # fmt: skip
for status in ("denied", "consumed"):
    resolve(f"time-{status}", f"What is {status} does not expire: that is final.",
            approval(status, expires_at=BEFORE), order(), "deny", status, clauses="7-9",
            flags=["FinalStatus"])  # fmt: skip
resolve("time-swap", "Another action is refused after the time, too.", approval(expires_at=BEFORE),
        SWAPS["param-more"], "deny", "expired", clauses="7-2 7-9", basis="proposed",
        flags=["SubstitutedAction"])  # fmt: skip
resolve("scheme-upper-case", "Schemes have no case.", approval(scheme="https"),
        order(url=URL.replace("https", "HTTPS")), "allow", "consumed", clauses="7-3 7.1-1",
        control="denied")  # fmt: skip
