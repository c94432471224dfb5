#!/usr/bin/env python3
"""An adapter for the delego conformance kit, to be filled in; docs/kit-protocol.md describes the operations.

    delego-conformance run -- python3 adapter.py

One JSON request per line comes in, one JSON reply per line goes out. Call your own code where "yours" stands.
"""

import hashlib
import json
import sys
from typing import Any

HELLO: dict[str, Any] = {
    "protocol": 1,
    "implementation": {"name": "my-authorizer", "version": "0.0.0", "language": "Python", "url": ""},
    "spec": ["0.3"],
    "roles": ["authorizer"],  # of authorizer, broker, auditor: what is claimed is judged
    "features": [],
}


class Refusal(Exception):
    """The input must not be accepted, and the implementation says so: Refusal("code", "message")."""


def canonical(value: Any) -> str:  # yours: this one knows nothing of numbers and of doubled members
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonicalize(args: dict[str, Any], ctx: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"canonical": canonical(json.loads(args["json"]))}
    except json.JSONDecodeError as error:
        raise Refusal("not_json", str(error)) from None


def intent_hash(args: dict[str, Any], ctx: dict[str, Any]) -> dict[str, Any]:
    # Yours: strip() takes off more than the protocol does.
    preimage = canonical({"instruction": args["instruction"].strip()})
    return {"intent_hash": hashlib.sha256(preimage.encode()).hexdigest()}


OPERATIONS: dict[str, Any] = {
    "hello": lambda args, ctx: HELLO,
    "canonicalize": canonicalize,
    "intent_hash": intent_hash,
    "bye": lambda args, ctx: {},
}


def reply_to(request: dict[str, Any]) -> dict[str, Any]:
    operation = OPERATIONS.get(request["op"])
    if operation is None:
        return {"unsupported": {"feature": request["op"]}}
    try:
        return {"ok": operation(request["args"], request["ctx"])}
    except Refusal as refusal:
        code, message = refusal.args
        return {"refused": {"code": code, "message": message}}
    except Exception as error:  # a crash is not a refusal
        return {"error": {"message": f"{type(error).__name__}: {error}"}}


for line in sys.stdin.buffer:
    request = json.loads(line)
    print(json.dumps({"id": request["id"], **reply_to(request)}), flush=True)
    if request["op"] == "bye":
        break
