"""The adapter for this project's own core: ``python -m delego_conformance.adapters.delego_spec``.

Every operation of docs/kit-protocol.md; those that need no storage stand here, in terms of ``delego_spec``.
Thin on purpose: what is judged is the core, and an adapter that repairs answers hides faults.
"""

from __future__ import annotations

import base64
import io
import platform
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib.metadata import version
from typing import Any, Final

from delego_conformance.adapters.base import JSONObject, Operation, Refusal, Unsupported, serve
from delego_conformance.adapters.reading import read_action
from delego_conformance.adapters.sessions import FEATURES, Sessions, operations
from delego_ledger.jsonl import lines_of
from delego_spec import (
    Action,
    Anchor,
    Approval,
    ApprovalId,
    CallbackRefusal,
    Claims,
    DecisionCallback,
    DelegoSpecError,
    Digest,
    Entry,
    EpochSeconds,
    GatewayRequest,
    KeyFormatError,
    KeyId,
    Micros,
    Notification,
    PublicKey,
    Refused,
    SeedSigner,
    TokenRefusal,
    canonical,
    check_binding,
    count_in_window,
    evaluate,
    evidence_digest,
    find_hazards,
    format_ts,
    guard_release,
    intent_hash,
    load_policy,
    mint,
    parse_json,
    parse_ts,
    rebuild_url,
    response_from_json,
    seal,
    sign,
    verify_chain,
    verify_decision,
    verify_token,
)
from delego_spec.receipts import decode_payload

SECOND: Final = 1_000_000  # microseconds
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*")
_CLAIMS: Final = ("iss", "aud", "iat", "exp", "jti", "cns", "fpr", "iht", "apr", "sub")

HELLO: Final[JSONObject] = {
    "implementation": {
        "name": "delego-spec",
        "version": version("delego-spec"),
        "language": f"Python {platform.python_version()}",
        "url": "",
    },
    "spec": ["0.3", "0.2"],
    "roles": ["authorizer", "broker", "auditor"],
    "features": ["spec-0.2", *FEATURES],
}


def answer(op: str, args: JSONObject, ctx: JSONObject) -> JSONObject:
    """The result of one operation. Raises Refusal, Unsupported, and for faults anything else."""
    if op not in OPERATIONS:
        raise Unsupported(op)
    return OPERATIONS[op](args, ctx)


def _refusing(code: str, operation: Operation) -> Operation:
    """The operation; what the core's own errors say becomes a refusal, everything else stays an error."""

    def guarded(args: JSONObject, ctx: JSONObject) -> JSONObject:
        try:
            return operation(args, ctx)
        except DelegoSpecError as error:
            raise Refusal(code, str(error)) from None

    return guarded


# --- hashing ----------------------------------------------------------------------------------------------


def _canonicalize(args: JSONObject, _: JSONObject) -> JSONObject:
    return {"canonical": canonical(parse_json(args["json"])).decode()}


def _intent_hash(args: JSONObject, _: JSONObject) -> JSONObject:
    return {"intent_hash": intent_hash(args["instruction"])}


def _fingerprint(args: JSONObject, ctx: JSONObject) -> JSONObject:
    found = read_action({**args, "instruction": "-"})
    return {"action_fingerprint": found.legacy_fingerprint if ctx["spec"] == "0.2" else found.fingerprint}


def _hazards(args: JSONObject, _: JSONObject) -> JSONObject:
    found = find_hazards(read_action(args["action"]), plain_http_hosts=_plain_http_hosts(args))
    return {"codes": list(dict.fromkeys(hazard.code for hazard in found))}


# --- deciding ---------------------------------------------------------------------------------------------


def _policy_load(args: JSONObject, _: JSONObject) -> JSONObject:
    load_policy(args["policy_text"])
    return {}


def _decide(args: JSONObject, ctx: JSONObject) -> JSONObject:
    policy, action, now = load_policy(args["policy_text"]), read_action(args["action"]), _now(ctx)
    hazards = find_hazards(action, plain_http_hosts=_plain_http_hosts(args))
    if hazards:
        return {"outcome": "deny", "rule": None, "reasons": [hazard.reason for hazard in hazards]}
    counts = _Allows(args["allows"], now) if "allows" in args else None
    verdict = evaluate(policy, action, now=now, counts=counts)
    return {"outcome": verdict.outcome, "rule": verdict.rule, "reasons": list(verdict.reasons)}


class _Allows:
    """Earlier execution/allow receipts, as a ledger counts them."""

    def __init__(self, allows: list[JSONObject], now: Micros) -> None:
        self._now = now
        self._times = [
            (one["rule"], format_ts(Micros(now - int(Decimal(str(one["age_seconds"])) * SECOND))))
            for one in allows
        ]

    def count_allows(self, rule: str, since: Micros) -> int:
        return count_in_window((ts for name, ts in self._times if name == rule), since=since, now=self._now)


def _resolve(args: JSONObject, ctx: JSONObject) -> JSONObject:
    action, now = read_action(args["action"]), _now(ctx)
    approval = None if args["approval"] is None else _approval(args["approval"])
    release = guard_release(args["approval_id"], approval, action, now=now)
    outcome, reasons, status = release.outcome, release.reasons, release.status_after
    hazards = find_hazards(action)
    if outcome != "deny" and hazards:  # §7-4: what shares a fingerprint need not be the same request
        outcome, reasons = "deny", tuple(hazard.reason for hazard in hazards)
        status = approval.status_at(now) if approval is not None else None
    return {"outcome": outcome, "reasons": list(reasons), "status_after": status}


def _approval(members: JSONObject) -> Approval:
    approver, status = members["approver"], members["status"]
    expires_at = None if members["expires_at"] is None else parse_ts(members["expires_at"])
    yes = () if approver is None or status == "denied" else (approver,)
    return Approval(
        id=ApprovalId(members["id"]),
        status=status,
        action_fingerprint=Digest(members["action_fingerprint"]),
        intent_hash=Digest(members["intent_hash"]),
        instruction=members["instruction"],
        summary=members["summary"],
        rule=members["rule"],
        proposer="agent",
        created_at=Micros(0),
        scheme=members.get("scheme"),
        expires_at=expires_at,
        release_by=expires_at,
        approved_by=yes,
        denied_by=approver if status == "denied" else None,
    )


# --- receipts and signatures ------------------------------------------------------------------------------


def _receipt_build(args: JSONObject, _: JSONObject) -> JSONObject:
    written = canonical(args["payload"], name="payload")
    payload = decode_payload(written)
    entry = Entry(
        phase=payload.phase,
        outcome=payload.outcome,
        rule=payload.rule,
        reasons=payload.reasons,
        intent_hash=Digest(payload.intent_hash),
        action_fingerprint=Digest(payload.action_fingerprint),
        action_summary=payload.action_summary,
        approval_id=None if payload.approval_id is None else ApprovalId(payload.approval_id),
    )
    sealed = seal(entry, seq=payload.seq, ts=parse_ts(payload.ts), prev_hash=payload.prev_hash)
    if sealed.payload != written:  # a time that receipts write in another way
        raise Refusal("receipt", f"ts is {payload.ts!r:.60}; write microseconds and +00:00")
    signature = sign(sealed.entry_hash, SeedSigner(bytes.fromhex(args["seed_hex"])))
    return {"entry_hash": sealed.entry_hash, "signature": signature}


def _chain_verify(args: JSONObject, _: JSONObject) -> JSONObject:
    key = PublicKey.from_hex(args["public_key_hex"])
    head = Anchor.parse(args["expected_head"]) if "expected_head" in args else None
    anchors = [Anchor.parse(args["anchor"])] if "anchor" in args else []
    lines = lines_of(io.BytesIO(base64.b64decode(args["jsonl_b64"], validate=True)))
    report = verify_chain(lines, key, expected_head=head, anchors=anchors)
    return {
        "valid": report.valid,
        "completeness": report.completeness,
        "problems": [
            {"line" if problem.text.startswith("line ") else "seq": problem.place, "code": problem.code}
            for problem in report.problems
        ],
    }


def _ed25519_verify(args: JSONObject, _: JSONObject) -> JSONObject:
    message, signature = bytes.fromhex(args["message_hex"]), args["signature_hex"]
    if _HEX.fullmatch(signature) is None:
        return {"valid": False}
    try:
        key = PublicKey.from_hex(args["public_key_hex"])
    except KeyFormatError:
        return {"valid": False}
    return {"valid": key.verify(message, bytes.fromhex(signature))}


# --- tokens and brokers -----------------------------------------------------------------------------------


def _token_mint(args: JSONObject, _: JSONObject) -> JSONObject:
    signer = SeedSigner(bytes.fromhex(args["seed_hex"]))
    if args["kid"] != signer.public_key.key_id:
        raise Refusal("kid", f"the key id of this key is {signer.public_key.key_id}")
    return {"token": mint(_claims(args["claims"]), signer)}


def _claims(members: JSONObject) -> Claims:
    unknown = members.keys() - {*_CLAIMS, "pol"}
    nulls = [name for name in members if members[name] is None]
    missing = set(_CLAIMS[:8]) - members.keys()
    for wrong, names in (("unknown", unknown), ("null", nulls), ("missing", missing)):
        if names:
            raise Refusal("claims", f"{wrong}: {', '.join(sorted(names))}")
    pol = members.get("pol")
    if pol is not None and (not isinstance(pol, dict) or pol.keys() != {"version", "rule"}):
        raise Refusal("claims", "pol is an object with version and rule")
    return Claims(
        **{name: members[name] for name in _CLAIMS if name in members},
        pol=None if pol is None else (pol["version"], pol["rule"]),
    )


def _token_verify(args: JSONObject, ctx: JSONObject) -> JSONObject:
    try:
        claims = verify_token(
            args["token"],
            keys=_keys(args["keys"]),
            audience=args["audience"],
            now=EpochSeconds(_now(ctx) // SECOND),
            leeway=args["leeway"],
            issuer=args.get("issuer"),
        )
    except ValueError as error:  # the verifier's own settings: a leeway out of range
        raise Refusal("settings", str(error)) from None
    if isinstance(claims, TokenRefusal):
        raise Refusal(claims.code, claims.message)
    if "action" in args:
        refusal = check_binding(claims, read_action(args["action"]))
        if refusal is not None:
            raise Refusal(refusal.code, refusal.message)
    for name, value in (("seen_jti", claims.jti), ("consumed_cns", claims.cns)):
        if value in args[name]:
            raise Refusal("already_consumed", f"{value!r:.60} is in {name}")
    found: dict[str, Any] = {name: getattr(claims, name) for name in _CLAIMS}
    if claims.pol is not None:
        found["pol"] = {"version": claims.pol[0], "rule": claims.pol[1]}
    return {"claims": {name: value for name, value in found.items() if value is not None}}


def _broker_plan(args: JSONObject, _: JSONObject) -> JSONObject:
    action = read_action(args["action"])
    url = rebuild_url(action)
    if isinstance(url, Refused):
        raise Refusal(url.code, url.message)
    sent = Action(action.instruction, action.method, url, action.params)
    if sent.fingerprint != args.get("action_fingerprint", action.fingerprint):
        raise Refusal("reconstruction_failed", f"the request has the fingerprint {sent.fingerprint}")
    return {
        "method": sent.method,
        "host": sent.host,
        "path": sent.path,
        "query": sent.raw_query or "",
        "body_json": canonical(sent.params).decode() if sent.params else None,
    }


# --- messages ---------------------------------------------------------------------------------------------


def _callback_verify(args: JSONObject, ctx: JSONObject) -> JSONObject:
    found = verify_decision(
        DecisionCallback.from_json(args["callback_json"]),
        keys=_keys(args["keys"]),
        approval_id=ApprovalId(args["approval_id"]),
        nonce=args["nonce"],
        action_fingerprint=Digest(args["action_fingerprint"]),
        intent_hash=Digest(args["intent_hash"]),
        display_hash=Digest(args["display_hash"]),
        now=_now(ctx),
        not_after=EpochSeconds(args["exp"]),
    )
    if isinstance(found, CallbackRefusal):
        raise Refusal(found.code, found.message)
    return {"decision": found.decision, "evidence_digest": evidence_digest(found.evidence)}


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "gateway_request": GatewayRequest.from_json,
    "gateway_response": response_from_json,
    "notification": Notification.from_json,
    "callback": DecisionCallback.from_json,
}


def _message_read(args: JSONObject, _: JSONObject) -> JSONObject:
    if args["kind"] not in _READERS:
        raise Unsupported(f"message_read {args['kind']}")
    _READERS[args["kind"]](args["json"])
    return {}


# --- shared -----------------------------------------------------------------------------------------------


def _plain_http_hosts(args: JSONObject) -> frozenset[str]:
    return frozenset(host.lower() for host in args.get("plain_http_hosts", ()))


def _now(ctx: JSONObject) -> Micros:
    return parse_ts(ctx["now"])


def _keys(table: dict[str, str]) -> dict[KeyId, PublicKey]:
    """A verifier's own keys; what is no key is not one of them."""
    found = {}
    for kid, text in table.items():
        try:
            found[KeyId(kid)] = PublicKey.from_hex(text)
        except KeyFormatError:
            continue
    return found


SESSIONS: Final = Sessions()
OPERATIONS: Final[Mapping[str, Operation]] = {
    "canonicalize": _refusing("canonical", _canonicalize),
    "intent_hash": _refusing("action", _intent_hash),
    "fingerprint": _refusing("action", _fingerprint),
    "hazards": _refusing("action", _hazards),
    "policy_load": _refusing("policy", _policy_load),
    "decide": _refusing("decide", _decide),
    "resolve": _refusing("resolve", _resolve),
    "receipt_build": _refusing("receipt", _receipt_build),
    "chain_verify": _refusing("key", _chain_verify),
    "ed25519_verify": _ed25519_verify,
    "token_mint": _refusing("claims", _token_mint),
    "token_verify": _refusing("malformed", _token_verify),
    "broker_plan": _refusing("reconstruction_failed", _broker_plan),
    "callback_verify": _refusing("malformed", _callback_verify),
    "message_read": _refusing("message", _message_read),
    **operations(SESSIONS),
}


def main() -> None:
    """Serve the operations of the core."""
    try:
        serve(HELLO, OPERATIONS)
    finally:
        SESSIONS.close()


if __name__ == "__main__":
    main()
