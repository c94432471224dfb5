"""token_verify: whom a token is for, the request at hand, and what was used before (§9.1)."""

from __future__ import annotations

from typing import Any, Final

from delego_conformance.generate.build import Suite, action, refused
from delego_conformance.generate.token_cases import CLAIMS, GOOD, Cases, accepted, clock, with_claims
from delego_conformance.vectors import JSONObject

SUITE: Final = Suite("token-use", "TU", "Tokens: audience, request and use", section="9.1")
case: Final = Cases(SUITE)

# --- whom it is from, and for -----------------------------------------------------------------------------

for slug, comment, aud in (
    ("other", "A token for another broker.", "other.example"),
    ("case", "The audience in another case.", "Broker.example"),
    ("prefix", "The audience is a part of the broker's name.", "broker"),
    ("longer", "The broker's name is a part of the audience.", "broker.example.com"),
    ("space", "A blank behind the audience.", "broker.example "),
    ("star", "The audience is a star.", "*"),
    ("comma", "Two audiences in one text.", "broker.example,other.example"),
    ("url", "The audience is a URL of the broker.", "https://broker.example"),
    ("look-alike", "A letter of another script.", "br\u043eker.example"),
):
    case(
        f"aud-{slug}",
        comment,
        with_claims(aud=aud),
        refused("audience"),
        "9.1-1",
        basis="spec",
        flags=("WrongAudience",),
    )
case(
    "issuer",
    "The issuer is the one that is wanted.",
    GOOD,
    accepted(),
    "9.1-1",
    control="issuer-other",
    issuer="authorizer.example",
)
for slug, comment, wanted in (
    ("other", "Another issuer is wanted.", "authorizer.example.com"),
    ("case", "The issuer in another case.", "Authorizer.example"),
):
    case(
        f"issuer-{slug}",
        comment,
        GOOD,
        refused("issuer"),
        "9.1-1",
        control="issuer",
        issuer=wanted,
    )

# --- use --------------------------------------------------------------------------------------------------

JTI, CNS = CLAIMS["jti"], CLAIMS["cns"]
ORDER: Final = action(
    "https://api.example.com/orders",
    method="POST",
    params_json='{"amount":2400,"currency":"USD","destination":"internal"}',
    instruction="place a small order",
)


def other(**change: Any) -> JSONObject:
    return {**ORDER, **change}


case(
    "bound",
    "The request is the one that the token is for.",
    GOOD,
    accepted(),
    "9.1-1",
    basis="spec",
    control="unbound-url",
    action=ORDER,
)
for slug, comment, request in (
    (
        "spelled-otherwise",
        "The same request: method and host in another case, params in another order and spelling.",
        other(
            method="post",
            url="https://API.example.com/orders",
            params_json='{"destination":"internal","currency":"USD","amount":2400.0}',
        ),
    ),
    (
        "other-instruction",
        "Step 5 compares the fingerprint, which does not cover the instruction.",
        other(instruction="pay"),
    ),
):
    case(f"bound-{slug}", comment, GOOD, accepted(), "9.1-1 4-4", control="unbound-url", action=request)
for slug, comment, request in (
    ("url", "Another path.", other(url="https://api.example.com/orders/1")),
    ("host", "Another host.", other(url="https://api.example.org/orders")),
    ("query", "A query more.", other(url="https://api.example.com/orders?to=me")),
    ("method", "Another method.", other(method="PUT")),
    (
        "amount",
        "Another amount.",
        other(params_json='{"amount":24000,"currency":"USD","destination":"internal"}'),
    ),
    (
        "recipient",
        "A parameter more.",
        other(params_json='{"amount":2400,"currency":"USD","destination":"internal","recipient":"attacker"}'),
    ),
    (
        "type",
        "The amount is a string.",
        other(params_json='{"amount":"2400","currency":"USD","destination":"internal"}'),
    ),
):
    case(
        f"unbound-{slug}",
        f"{comment} The token is for another request.",
        GOOD,
        refused("binding"),
        "9.1-1",
        basis="spec",
        control="bound",
        action=request,
        flags=("SubstitutedAction",),
    )
case(
    "not-seen",
    "Other tokens were seen, other releases consumed.",
    GOOD,
    accepted(),
    "9.1-1 9.1-3",
    basis="spec",
    control="jti-seen",
    seen=["another", JTI.upper(), JTI[:-1]],
    consumed=["another", CNS.upper()],
)
case(
    "lists-are-two",
    "The token's jti stands among the consumed releases, its cns among the seen tokens: neither counts there.",
    GOOD,
    accepted(),
    "9.1-1",
    control="jti-seen",
    seen=[CNS],
    consumed=[JTI],
)
USES: list[tuple[str, str, JSONObject]] = [
    ("jti-seen", "The token was seen before.", {"seen": ["another", JTI]}),
    ("cns-consumed", "A second token for a release that was consumed.", {"consumed": [CNS, "another"]}),
    ("both-used", "Token and release were both used.", {"seen": [JTI], "consumed": [CNS]}),
    ("seen-and-bound", "The request fits, and the token was seen before.", {"seen": [JTI], "action": ORDER}),
]
for slug, comment, change in USES:
    case(
        slug,
        comment,
        GOOD,
        refused("already_consumed"),
        "9.1-1 9.1-3",
        basis="spec",
        control="not-seen",
        flags=("Replay",),
        **change,
    )
case(
    "seen-within-leeway",
    "Five seconds after exp, within the leeway: the store still remembers the token.",
    GOOD,
    refused("already_consumed"),
    "9.1-4 9.1-3",
    errata=51,
    control="token-claims/last-second-of-leeway",
    leeway=60,
    now=clock(50),
    seen=[JTI],
    flags=("Replay",),
)
MISFITS: Final[list[tuple[str, str, JSONObject]]] = [
    ("seen", "The request does not fit, and the token was seen before: step 5 comes first.", {"seen": [JTI]}),
    (
        "consumed",
        "The request does not fit, and the release was consumed: step 5 comes first.",
        {"consumed": [CNS]},
    ),
]
for slug, comment, change in MISFITS:
    case(
        f"unbound-and-{slug}",
        comment,
        GOOD,
        refused("binding"),
        "9.1-2",
        control="bound",
        action=other(method="PUT"),
        flags=("TokenOrder",),
        **change,
    )
