"""The bytes on the way to an answer, step by step: what ``explain`` shows beside a vector that failed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from delego_conformance.generate.build import full_ctx
from delego_conformance.vectors import JSONObject
from delego_spec import (
    Action,
    DecisionCallback,
    DelegoSpecError,
    Digest,
    Evidence,
    canonical,
    parse_json,
    trim,
)

Trace: TypeAlias = Iterator[tuple[str, str]]

LONGEST: Final = 4000  # characters of one text; the middle of a longer one tells nobody anything


def trace_of(step: JSONObject, reply: JSONObject) -> tuple[tuple[str, str], ...]:
    """(label, text) of each step; empty for operations and answers in which no bytes are hashed or signed."""
    find = _TRACES.get(step["op"])
    if find is None:
        return ()
    try:
        found = tuple(find(step["args"], full_ctx(step.get("ctx")), reply.get("ok")))
    except (DelegoSpecError, ValueError, TypeError):  # nothing that could be hashed: there is no such step
        return ()
    return tuple((label, text if len(text) <= LONGEST else f"{text[:LONGEST]}…") for label, text in found)


def _hashed(label: str, data: bytes) -> Trace:
    yield label, data.decode()
    yield f"SHA-256 of these {len(data)} bytes", hashlib.sha256(data).hexdigest()


def _canonicalize(_: JSONObject, __: JSONObject, result: JSONObject | None) -> Trace:
    if result is not None:
        yield from _hashed("canonical text", result["canonical"].encode())


def _intent_hash(args: JSONObject, _: JSONObject, result: JSONObject | None) -> Trace:
    if result is not None:
        yield from _hashed("canonical preimage", canonical({"instruction": trim(args["instruction"])}))


def _fingerprint(args: JSONObject, ctx: JSONObject, result: JSONObject | None) -> Trace:
    if result is not None:
        params = parse_json(args.get("params_json", "{}"))
        preimage = Action.from_mapping(
            {"instruction": "-", "method": args["method"], "url": args["url"], "params": params}
        ).preimage()
        if ctx["spec"] == "0.2":
            del preimage["query"]
        yield from _hashed("canonical preimage", canonical(preimage))


def _receipt_build(args: JSONObject, _: JSONObject, result: JSONObject | None) -> Trace:
    if result is not None:
        yield from _hashed("payload, canonical", canonical(args["payload"]))
        yield "what is signed: the 64 ASCII characters of entry_hash", result["entry_hash"]
        yield "signature", result["signature"]


def _token(token: str) -> Trace:
    header, claims, _ = token.split(".")
    for label, part in (("header", header), ("claims", claims)):
        yield label, base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
    yield "signing input", f"{header}.{claims}"


def _token_mint(_: JSONObject, __: JSONObject, result: JSONObject | None) -> Trace:
    return iter(()) if result is None else _token(result["token"])


def _token_verify(args: JSONObject, _: JSONObject, __: JSONObject | None) -> Trace:
    return _token(args["token"])


def _callback_verify(args: JSONObject, _: JSONObject, result: JSONObject | None) -> Trace:
    evidence = Evidence(
        DecisionCallback.from_json(args["callback_json"]),
        Digest(args["action_fingerprint"]),
        Digest(args["intent_hash"]),
        Digest(args["display_hash"]),
    )
    yield "what the signature has to cover", evidence.signed_bytes().decode()
    if result is not None:
        yield from _hashed("evidence, canonical", evidence.to_json())


_TRACES: Final[Mapping[str, Callable[[JSONObject, JSONObject, JSONObject | None], Trace]]] = {
    "canonicalize": _canonicalize,
    "intent_hash": _intent_hash,
    "fingerprint": _fingerprint,
    "receipt_build": _receipt_build,
    "token_mint": _token_mint,
    "token_verify": _token_verify,
    "callback_verify": _callback_verify,
}
