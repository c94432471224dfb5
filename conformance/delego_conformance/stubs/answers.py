"""Answers that say yes, and answers that say no, to anything; right in shape."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

Object: TypeAlias = dict[str, Any]

_ZEROS: Final = "0" * 64


def accepting(op: str, args: Object) -> Object:
    """The most accepting answer there is, as far as one can invent it without doing the work."""
    return {"ok": _ACCEPTING[op](args) if op in _ACCEPTING else {}}


def refusing(op: str, args: Object) -> Object:
    """A no to everything: a deny where that is a result, a refusal elsewhere."""
    if op in _REFUSING:
        return {"ok": _REFUSING[op](args)}
    return {"refused": {"code": "malformed", "message": "no"}}


def _part(token: object, number: int) -> Any:
    try:
        part = str(token).split(".")[number]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, IndexError, RecursionError, binascii.Error):
        return {}


def _minted(args: Object) -> str:
    header = {"alg": "EdDSA", "kid": args.get("kid"), "typ": "JWT"}
    parts = [json.dumps(one).encode() for one in (header, args.get("claims"))]
    return ".".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in (*parts, b"\0" * 64))


def _planned(args: Object) -> Object:
    action = args.get("action", {})
    try:
        url = urlsplit(str(action.get("url")))
    except ValueError:
        url = urlsplit("")
    return {
        "method": str(action.get("method")).upper(),
        "host": url.netloc,
        "path": url.path,
        "query": url.query,
        "body_json": action.get("params_json"),
    }


def _verified(args: Object) -> Object:
    is_anchored = "anchor" in args or "expected_head" in args
    completeness = "anchored" if is_anchored else "cannot_be_ruled_out"
    return {"valid": True, "completeness": completeness, "problems": []}


def _decision(args: Object) -> Object:
    try:
        decision = json.loads(args["callback_json"])["decision"]
    except (ValueError, KeyError, TypeError):
        decision = "approve"
    return {"decision": decision, "evidence_digest": _ZEROS}


_ALLOW: Final = {"outcome": "allow", "rule": None, "reasons": ["yes"]}
_DENY: Final = {"outcome": "deny", "rule": None, "reasons": ["no"]}

_ACCEPTING: Final[dict[str, Callable[[Object], Object]]] = {
    "canonicalize": lambda args: {"canonical": args.get("json")},
    "intent_hash": lambda _: {"intent_hash": _ZEROS},
    "fingerprint": lambda _: {"action_fingerprint": _ZEROS},
    "hazards": lambda _: {"codes": []},
    "decide": lambda _: dict(_ALLOW),
    "resolve": lambda _: {"outcome": "allow", "reasons": ["yes"], "status_after": "consumed"},
    "receipt_build": lambda _: {"entry_hash": _ZEROS, "signature": _ZEROS * 2},
    "chain_verify": _verified,
    "ed25519_verify": lambda _: {"valid": True},
    "token_mint": lambda args: {"token": _minted(args)},
    "token_verify": lambda args: {"claims": _part(args.get("token"), 1)},
    "broker_plan": _planned,
    "callback_verify": _decision,
    "session.propose": lambda _: {**_ALLOW, "approval_id": "apr_1", "executed": True},
    "session.decide": lambda _: {"accepted": True, "status": "approved"},
    "session.resolve": lambda _: {"outcome": "allow", "reasons": ["yes"], "executed": True},
    "session.race": lambda args: {"effects": args.get("parallel")},
    "session.export": lambda _: {"jsonl_b64": "", "public_key_hex": _ZEROS},
}

_REFUSING: Final[dict[str, Callable[[Object], Object]]] = {
    "hazards": lambda _: {"codes": ["host"]},
    "decide": lambda _: dict(_DENY),
    "resolve": lambda _: {"outcome": "deny", "reasons": ["no"], "status_after": None},
    "chain_verify": lambda _: {
        "valid": False,
        "completeness": "cannot_be_ruled_out",
        "problems": [{"seq": 0, "code": "content"}],
    },
    "ed25519_verify": lambda _: {"valid": False},
    "session.open": lambda _: {},
    "session.propose": lambda _: {**_DENY, "approval_id": None, "executed": False},
    "session.decide": lambda _: {"accepted": False, "status": None},
    "session.resolve": lambda _: {"outcome": "deny", "reasons": ["no"], "executed": False},
    "session.race": lambda _: {"effects": 0},
    "session.restart": lambda _: {},
    "session.export": lambda _: {"jsonl_b64": "", "public_key_hex": _ZEROS},
    "session.close": lambda _: {},
}
