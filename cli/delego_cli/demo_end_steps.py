"""The steps of ``delego demo`` at its real end: the key is used where it may be, and seen nowhere else."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import replace
from typing import Final

from delego_cli.demo_end import AUDIENCE, RealEnd
from delego_cli.demo_steps import Step, Unexpected
from delego_ledger.clock import system_clock
from delego_ledger.keyfiles import load_signer
from delego_spec.gateway import GatewayRequest, Refused
from delego_spec.timestamps import SECOND
from delego_spec.tokens import Claims, mint
from delego_spec.types import EpochSeconds


def released(end: RealEnd) -> str:
    alone = end.alone()
    if alone != 401 or end.new_calls() != 1 or end.notes[-1]["key"] is not False:
        raise Unexpected(f"the service answered {alone} to an agent without the key")
    decision = end.authorizer().propose(end.order(2400))
    end.got.append(json.dumps(decision.to_mapping()))
    if decision.executed is not True or end.new_calls() != 1:
        raise Unexpected(f"it was not sent, or not once: {'; '.join(decision.reasons)}")
    note = end.notes[-1]
    if (note["method"], note["path"], note["key"], note["token"]) != ("POST", "/orders", True, False):
        raise Unexpected(f"the service got something else: {note}")
    return "by itself the agent gets 401; through the gateway 200: the service got the key, and no token"


def replayed(end: RealEnd) -> str:
    used = next(iter(end.recorder.requests), None)
    if used is None:
        raise Unexpected("there is no token that was used")
    return _refused(end, used, "already_consumed", "")


def other_action(end: RealEnd) -> str:
    request = GatewayRequest.of(end.order(2400), end.stolen_token(end.read()))
    return _refused(end, request, "token_invalid", "binding")


def changed_body(end: RealEnd) -> str:
    good = GatewayRequest.of(end.order(2400), end.stolen_token(end.order(2400)))
    changed = replace(good, params={**good.params, "amount": 2401})
    first = _refused(end, changed, "reconstruction_failed", "")
    # The cleverer thief makes the message's fingerprint fit; the token's cannot follow.
    fitted = GatewayRequest.of(end.order(2401), good.authorization_token)
    return f"{first}; with a fingerprint made to fit: {_refused(end, fitted, 'token_invalid', 'binding')}"


def expired(end: RealEnd) -> str:
    action, now = end.read(), system_clock() // SECOND
    claims = Claims(
        iss="delego",
        aud=AUDIENCE,
        iat=EpochSeconds(now - 120),
        exp=EpochSeconds(now - 60),
        jti=secrets.token_hex(12),
        cns=secrets.token_hex(12),
        fpr=action.fingerprint,
        iht=action.intent_hash,
    )
    token = mint(claims, load_signer(end.home.keys_path / "token.pem"))
    return _refused(end, GatewayRequest.of(action, token), "token_invalid", "expired")


def alg_none(end: RealEnd) -> str:
    action = end.read()
    _, claims, signature = end.stolen_token(action).split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    unsigned = GatewayRequest.of(action, f"{header}.{claims}.")
    first = _refused(end, unsigned, "token_invalid", "")
    signed = GatewayRequest.of(action, f"{header}.{claims}.{signature}")
    return f"{first}; with a signature that is not looked at: {_refused(end, signed, 'token_invalid', '')}"


def key_unseen(end: RealEnd) -> str:
    key = end.key_file.read_text(encoding="ascii").strip().encode()
    if not any(note["key"] is True for note in end.notes):
        raise Unexpected("the service never got the key")
    searched = 0
    for place, content in end.agent_side():
        if key in content:
            raise Unexpected(f"the key stands in {place}")
        searched += len(content)
    return f"{searched // 1024} KiB searched: answers, decisions, the home's files, the gateway's log"


END_STEPS: Final[tuple[Step[RealEnd], ...]] = (
    Step("real-end", "A gateway in a process of its own adds the API key that the service wants.", released),
    Step("token-replayed", "The token of that order a second time is refused.", replayed),
    Step("token-elsewhere", "A good token beside another action is refused.", other_action),
    Step("token-body", "One byte of the body changed on the way is refused.", changed_body),
    Step("token-expired", "A token that has expired is refused.", expired),
    Step("token-none", "A token with the algorithm 'none' is refused.", alg_none),
    Step("key-unseen", "The agent's side never had the key.", key_unseen),
)


def _refused(end: RealEnd, request: GatewayRequest, code: str, why: str) -> str:
    """Send it to the gateway, past the authorizer; it must be refused, and nothing may reach the service."""
    outcome = end.recorder.execute(request)
    if not isinstance(outcome, Refused) or outcome.code != code or not outcome.message.startswith(why):
        raise Unexpected(f"instead of {code}: {outcome!r:.300}")
    calls = end.new_calls()
    if calls:
        raise Unexpected(f"the service was called {calls} times")
    return f"{outcome.code} ({outcome.message.partition(':')[0]})" if code == "token_invalid" else code
