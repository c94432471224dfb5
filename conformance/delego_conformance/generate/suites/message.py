"""message_read: the messages between authorizer, broker and approver, read strictly (§2.2, §7.3)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from delego_conformance.generate import forging
from delego_conformance.generate.build import Suite, ok, refused
from delego_conformance.generate.token_cases import GOOD
from delego_conformance.vectors import JSONObject

SUITE: Final = Suite("message", "MR", "Messages", section="2.2")

REQUEST: Final[JSONObject] = {
    "action": {
        "method": "POST",
        "url": "https://api.example.com/orders",
        "params": {"amount": 2400, "currency": "USD", "destination": "internal"},
    },
    "intent_hash": forging.INTENT,
    "action_fingerprint": forging.FINGERPRINT,
}
REFUSED: Final[JSONObject] = {"code": "token_invalid", "message": "the token expired at 1767268907"}
UPSTREAM: Final[JSONObject] = {"status": 201, "result": {"id": 2}}
NOTIFICATION: Final[JSONObject] = {
    "approval_id": "apr_098812a3c6ffc7d236a2c11e",
    "instruction": "place a small order",
    "action_summary": "POST api.example.com/orders",
    "outcome": "needs_approval",
    "nonce": "00d42e7d150816f3b77ea80ad88c17f4",
    "exp": 1_767_355_202,
}
CALLBACK: Final[JSONObject] = {
    "approval_id": "apr_098812a3c6ffc7d236a2c11e",
    "decision": "approve",
    "kid": "dac073e0123bdea5",
    "nonce": "00d42e7d150816f3b77ea80ad88c17f4",
    "signature": "ca" * 64,
    "ts": "2026-01-01T12:00:58.000000+00:00",
}
# Of each kind: a message that is read, and one that is not, for the other side.
TWINS: Final = {
    "gateway_request": ("request", "request-unknown-member"),
    "gateway_response": ("response-executed", "response-executed-both"),
    "notification": ("notification", "notification-with-a-token"),
    "callback": ("callback", "callback-unknown-member"),
}


def case(
    kind: str,
    slug: str,
    comment: str,
    message: JSONObject | str,
    reads: bool,
    clauses: str,
    *,
    errata: int | Sequence[int] = (),
    flags: Sequence[str] = (),
) -> None:
    good, bad = TWINS[kind]
    SUITE.add(
        slug,
        comment,
        "message_read",
        {"kind": kind, "json": message if isinstance(message, str) else json.dumps(message)},
        ok() if reads else refused(),
        clauses=clauses,
        errata=errata,
        basis="proposed",
        flags=flags,
        control=bad if reads else good,
        section="2.2" if kind.startswith("gateway") else "7.3",
    )


def without(message: JSONObject, name: str) -> JSONObject:
    return {other: value for other, value in message.items() if other != name}


def with_action(*, lacks: str = "", **change: Any) -> JSONObject:
    return {**REQUEST, "action": without({**REQUEST["action"], **change}, lacks)}


# --- requests to a broker ---------------------------------------------------------------------------------

for slug, comment, message in (
    ("", "A request without a token.", REQUEST),
    ("-with-token", "A request with its token.", {**REQUEST, "authorization_token": GOOD}),
    ("-without-params", "A request without params, which then are {}.", with_action(lacks="params")),
    (
        "-reordered",
        "The members in another order, with blanks.",
        json.dumps(dict(reversed(REQUEST.items())), indent=2),
    ),
    (
        "-params-free",
        "Inside params, every name and value of JSON may stand.",
        with_action(params={"executed": None, "": [1.5, {}]}),
    ),
):
    case("gateway_request", f"request{slug}", comment, message, True, "2.2-1")
for name in REQUEST:
    case(
        "gateway_request",
        f"request-{name.replace('_', '-')}-missing",
        f"A request without {name}.",
        without(REQUEST, name),
        False,
        "2.2-1",
        flags=("MissingMember",),
    )
for name in ("method", "url"):
    case(
        "gateway_request",
        f"request-{name}-missing",
        f"An action without {name}.",
        with_action(lacks=name),
        False,
        "2.2-1",
        flags=("MissingMember",),
    )
REQUEST_TEXT: Final = json.dumps(REQUEST)
for slug, comment, message, clauses, flag in (
    ("unknown-member", "A member that nobody knows.", {**REQUEST, "priority": 1}, "2.2-1 2.2-10", "UnknownMember"),
    ("unknown-in-action", "The instruction is no part of the action that travels.", with_action(instruction="pay"), "2.2-1 2.2-10", "UnknownMember"),
    ("headers", "Headers are not taken from a message.", with_action(headers={"Authorization": "x"}), "2.2-1 2.2-10", "UnknownMember"),
    ("token-null", "An absent token is left out, not null.", {**REQUEST, "authorization_token": None}, "2.2-10", "WrongForm"),
    ("token-a-number", "A token is text.", {**REQUEST, "authorization_token": 7}, "2.2-1", "WrongForm"),
    ("params-null", "Absent params are left out, not null.", with_action(params=None), "2.2-10 4-2", "ParamsPresence"),
    ("params-a-list", "params are an object.", with_action(params=[]), "2.2-1", "ParamsPresence"),
    ("params-a-string", "params are an object, not its text.", with_action(params="{}"), "2.2-1", "ParamsPresence"),
    ("method-a-list", "One method.", with_action(method=["POST"]), "2.2-1", "WrongForm"),
    ("url-null", "url is null.", with_action(url=None), "2.2-1", "WrongForm"),
    ("action-a-string", "The action is text.", {**REQUEST, "action": "POST https://api.example.com/orders"}, "2.2-1", "WrongForm"),
    ("fingerprint-in-capitals", "A fingerprint in upper case.", {**REQUEST, "action_fingerprint": forging.FINGERPRINT.upper()}, "2.2-1 8-23", "HexSpelling"),
    ("fingerprint-short", "A fingerprint of 63 digits.", {**REQUEST, "action_fingerprint": forging.FINGERPRINT[1:]}, "2.2-1", "WrongForm"),
    ("intent-hash-newline", "A newline behind the intent hash.", {**REQUEST, "intent_hash": forging.INTENT + "\n"}, "2.2-1", "HexSpelling"),
    ("url-twice", "url stands twice.", REQUEST_TEXT.replace('"url"', '"url": "https://other.example/", "url"'), "2.2-10 3-8", "DuplicateMember"),
    ("param-twice", "A parameter stands twice.", REQUEST_TEXT.replace('"amount"', '"amount": 1, "amount"'), "2.2-10 3-8", "DuplicateMember"),
    ("fingerprint-twice", "The fingerprint stands twice, with the same value.", REQUEST_TEXT[:-1] + f', "action_fingerprint": "{forging.FINGERPRINT}"}}', "2.2-10 3-8", "DuplicateMember"),
    ("nan", "NaN among the params.", REQUEST_TEXT.replace("2400", "NaN"), "2.2-10 3-4", "LenientParser"),
    ("array", "The request in an array.", f"[{REQUEST_TEXT}]", "2.2-1", "WrongForm"),
    ("null", "null is no request.", "null", "2.2-1", "WrongForm"),
    ("empty", "An empty text.", "", "2.2-10", "LenientParser"),
    ("text-behind", "Text behind the request.", REQUEST_TEXT + "{}", "2.2-10", "LenientParser"),
    ("byte-order-mark", "A byte order mark in front.", "\ufeff" + REQUEST_TEXT, "2.2-10 3-8", "LenientParser"),
    ("comment", "A comment is not JSON.", REQUEST_TEXT[:-1] + "/* x */}", "2.2-10", "LenientParser"),
):  # fmt: skip
    case("gateway_request", f"request-{slug}", comment, message, False, clauses, flags=(flag,))

# --- answers of a broker ----------------------------------------------------------------------------------

# Every combination of executed, refused and upstream; two of them are answers.
for executed_name, executed in (("executed", True), ("not-executed", False), ("executed-missing", None)):
    for parts, members in (
        ("neither", {}),
        ("refused", {"refused": REFUSED}),
        ("upstream", {"upstream": UPSTREAM}),
        ("both", {"refused": REFUSED, "upstream": UPSTREAM}),
    ):
        message = {**({} if executed is None else {"executed": executed}), **members}
        reads = (executed, parts) in ((True, "upstream"), (False, "refused"))
        slug = f"response-{executed_name}-{parts}"
        if (executed, parts) == (True, "upstream"):
            slug = "response-executed"
        said = {"neither": "neither refused nor upstream", "both": "refused and upstream"}.get(parts, parts)
        case(
            "gateway_response",
            slug,
            f"{'No executed' if executed is None else f'executed is {str(executed).lower()}'}, beside {said}.",
            message,
            reads,
            "2.2-8",
            errata=18,
            flags=() if reads else ("MixedAnswer",),
        )
for code in ("reconstruction_failed", "fragment_present", "unsupported", "already_consumed"):
    case(
        "gateway_response",
        f"response-{code.replace('_', '-')}",
        f"A refusal with the code {code}.",
        {"executed": False, "refused": {**REFUSED, "code": code}},
        True,
        "2.2-8 2.2-12",
        errata=18,
    )
for slug, comment, upstream in (
    (
        "error",
        "The attempt failed after the request may have left: nobody knows more.",
        {"error": "time-out"},
    ),
    ("error-with-status", "A status, and an error behind it.", {"status": 502, "error": "connection cut"}),
    ("null", "A service that answered null.", {"status": 204, "result": None}),
    ("a-list", "A service may answer any JSON.", {"status": 200, "result": [1, "a", {"b": False}]}),
):
    case(
        "gateway_response",
        f"response-result-{slug}",
        comment,
        {"executed": True, "upstream": upstream},
        True,
        "2.2-8 2.2-9 2.2-12" if "error" in slug else "2.2-8 2.2-12",
        errata=18,
    )
RESPONSE_TEXT: Final = json.dumps({"executed": True, "upstream": UPSTREAM})


def says_no(**change: Any) -> JSONObject:
    return {"executed": False, "refused": {**REFUSED, **change}}


def says_yes(**change: Any) -> JSONObject:
    return {"executed": True, "upstream": {**UPSTREAM, **change}}


for slug, comment, message in (
    ("executed-a-string", "executed is the text true.", {"executed": "true", "upstream": UPSTREAM}),
    ("executed-1", "executed is 1.", {"executed": 1, "upstream": UPSTREAM}),
    ("executed-null", "executed is null.", {"executed": None, "refused": REFUSED}),
    ("refused-null", "refused is null, beside upstream: absent has one spelling.", {"executed": True, "upstream": UPSTREAM, "refused": None}),
    ("upstream-null", "upstream is null, beside refused.", {"executed": False, "refused": REFUSED, "upstream": None}),
    ("upstream-alone-null", "upstream is null.", {"executed": True, "upstream": None}),
    ("unknown-code", "A code that nobody knows.", says_no(code="busy")),
    ("code-in-capitals", "A code in upper case.", says_no(code="TOKEN_INVALID")),
    ("code-null", "The code is null.", says_no(code=None)),
    ("no-code", "A refusal without a code.", {"executed": False, "refused": {"message": "no"}}),
    ("no-message", "A refusal without a message.", {"executed": False, "refused": {"code": "unsupported"}}),
    ("refused-a-string", "The refusal is text.", {"executed": False, "refused": "token_invalid"}),
    ("status-a-string", "The status is text.", says_yes(status="201")),
    ("status-true", "The status is true.", says_yes(status=True)),
    ("status-null", "The status is null: absent has one spelling.", says_yes(status=None)),
    ("error-a-number", "The error is a number.", says_yes(error=7)),
    ("error-null", "The error is null: absent has one spelling.", says_yes(error=None)),
    ("unknown-member", "A member that nobody knows.", {**says_yes(), "retry": True}),
    ("unknown-in-upstream", "A member of upstream that nobody knows.", says_yes(headers={})),
    ("unknown-in-refused", "A member of refused that nobody knows.", says_no(retry_after=5)),
    ("executed-twice", "executed stands twice: false, then true.", '{"executed":false,' + RESPONSE_TEXT[1:]),
    ("status-twice", "status stands twice.", RESPONSE_TEXT.replace('"status"', '"status": 500, "status"')),
    ("result-nan", "NaN in the result.", RESPONSE_TEXT.replace('{"id": 2}', "NaN")),
    ("array", "The answer in an array.", f"[{RESPONSE_TEXT}]"),
    ("text-behind", "Text behind the answer.", RESPONSE_TEXT + " ok"),
):  # fmt: skip
    case(
        "gateway_response",
        f"response-{slug}",
        comment,
        message,
        False,
        "2.2-10 2.2-8 2.2-12",
        errata=18,
        flags=("DuplicateMember",) if slug.endswith("twice") else ("WrongForm",),
    )

# --- notifications ----------------------------------------------------------------------------------------

OPTIONAL: Final[JSONObject] = {
    "reason": "orders cost money",
    "routing_group": "finance",
    "required_approvers": 2,
}
case(
    "notification",
    "notification",
    "A notification with what it has to have.",
    NOTIFICATION,
    True,
    "7.3-13 7.3-11",
)
case(
    "notification",
    "notification-with-all",
    "A notification with all that it may have.",
    {**NOTIFICATION, **OPTIONAL},
    True,
    "7.3-11",
)
for name in NOTIFICATION:
    case(
        "notification",
        f"notification-{name.replace('_', '-')}-missing",
        f"A notification without {name}.",
        without(NOTIFICATION, name),
        False,
        "7.3-13 7.3-5" if name == "nonce" else "7.3-13",
        flags=("MissingMember",),
    )
for slug, comment, change in (
    ("with-a-token", "A notification carries no credential.", {"authorization_token": GOOD}),
    ("with-a-key", "A notification carries no key.", {"signing_key": "ab" * 32}),
    ("outcome-allow", "Only what needs an approval is notified.", {"outcome": "allow"}),
    ("exp-a-string", "exp is text.", {"exp": "1767355202"}),
    ("exp-a-fraction", "exp is no integer.", {"exp": 1767355202.5}),
    ("exp-true", "exp is true.", {"exp": True}),
    ("exp-negative", "exp lies before 1970.", {"exp": -1}),
    ("no-approvers", "Nobody is required.", {"required_approvers": 0}),
    ("approvers-a-string", "The number of approvers is text.", {"required_approvers": "1"}),
    ("reason-null", "An absent reason is left out, not null.", {"reason": None}),
    ("reason-a-list", "The reason is a list.", {"reason": ["orders cost money"]}),
    ("instruction-null", "The instruction is null.", {"instruction": None}),
):
    case(
        "notification",
        f"notification-{slug}",
        comment,
        {**NOTIFICATION, **change},
        False,
        "7.3-11 2.2-10" if slug.startswith("with") else "7.3-13 2.2-10",
        flags=("UnknownMember",) if slug.startswith("with") else ("WrongForm",),
    )
case(
    "notification",
    "notification-nonce-twice",
    "nonce stands twice.",
    json.dumps(NOTIFICATION).replace('"nonce"', '"nonce": "x", "nonce"'),
    False,
    "2.2-10 3-8",
    flags=("DuplicateMember",),
)

for name, value in (("reason", ""), ("routing_group", "")):
    reads = name == "reason"
    case(
        "notification",
        f"notification-{name.replace('_', '-')}-empty",
        f"{name} is an empty text, which {'is' if reads else 'is not'} one that may be empty.",
        {**NOTIFICATION, name: value},
        reads,
        "7.3-15",
        flags=() if reads else ("WrongForm",),
    )
for name in ("approval_id", "instruction", "action_summary", "nonce"):
    case(
        "notification",
        f"notification-{name.replace('_', '-')}-empty",
        f"{name} is an empty text.",
        {**NOTIFICATION, name: ""},
        False,
        "7.3-15",
        flags=("WrongForm",),
    )

# --- callbacks --------------------------------------------------------------------------------------------

case("callback", "callback", "A callback: it is read, not verified.", CALLBACK, True, "7.3-14 7.3-3")
case(
    "callback",
    "callback-with-note",
    "A callback with a note.",
    {**CALLBACK, "decision_note": "fine"},
    True,
    "7.3-2",
)
case("callback", "callback-deny", "A no.", {**CALLBACK, "decision": "deny"}, True, "7.3-1")
for name in CALLBACK:
    case(
        "callback",
        f"callback-{name.replace('_', '-')}-missing",
        f"A callback without {name}.",
        without(CALLBACK, name),
        False,
        "7.3-3 7.3-14" if name == "kid" else "7.3-14",
        flags=("MissingMember",),
    )
for slug, comment, change in (
    ("unknown-member", "A member that nobody knows.", {"approver": "alice"}),
    (
        "action-fingerprint",
        "A callback carries no action: the authorizer knows it better.",
        {"action_fingerprint": forging.FINGERPRINT},
    ),
    ("note-null", "An absent note is left out, not null.", {"decision_note": None}),
    ("decision-maybe", "maybe is no decision.", {"decision": "maybe"}),
    ("signature-in-capitals", "The signature is in upper case.", {"signature": "CA" * 64}),
    ("signature-short", "The signature lacks a byte.", {"signature": "ca" * 63}),
    ("ts-words", "The time is no time.", {"ts": "now"}),
    ("kid-null", "kid is null.", {"kid": None}),
):
    case(
        "callback",
        f"callback-{slug}",
        comment,
        {**CALLBACK, **change},
        False,
        "7.3-4 2.2-10"
        if slug == "action-fingerprint"
        else "7.3-2 2.2-10"
        if slug == "note-null"
        else "2.2-10",
        flags=("UnknownMember",) if "unknown" in slug or "fingerprint" in slug else ("WrongForm",),
    )
case(
    "callback",
    "callback-decision-twice",
    "decision stands twice: deny, then approve.",
    json.dumps(CALLBACK).replace('"decision"', '"decision": "deny", "decision"'),
    False,
    "2.2-10 3-8",
    flags=("DuplicateMember",),
)
case(
    "callback",
    "callback-note-empty",
    "A note may be an empty text.",
    {**CALLBACK, "decision_note": ""},
    True,
    "7.3-15",
)
for name in ("approval_id", "nonce", "kid"):
    case(
        "callback",
        f"callback-{name.replace('_', '-')}-empty",
        f"{name} is an empty text.",
        {**CALLBACK, name: ""},
        False,
        "7.3-15",
        flags=("WrongForm",),
    )

# --- empty texts ------------------------------------------------------------------------------------------

for slug, comment, message in (
    ("method-empty", "method is an empty text.", with_action(method="")),
    ("url-empty", "url is an empty text.", with_action(url="")),
    ("token-empty", "An empty token.", {**REQUEST, "authorization_token": ""}),
):
    case("gateway_request", f"request-{slug}", comment, message, False, "2.2-1", flags=("WrongForm",))
case(
    "gateway_response",
    "response-error-empty",
    "An empty error says neither that it failed nor that it did not.",
    says_yes(error=""),
    False,
    "2.2-12",
    flags=("WrongForm",),
)
case(
    "gateway_response",
    "response-message-empty",
    "The message of a refusal may be empty.",
    says_no(message=""),
    True,
    "2.2-12",
)
