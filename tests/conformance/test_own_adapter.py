"""The adapter for our own core: every shipped vector passes, in the shapes that the schemas state."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

import pytest

from delego_conformance.adapters.base import Refusal, Unsupported, answer_line
from delego_conformance.adapters.delego_spec import HELLO, OPERATIONS, SESSIONS, answer
from delego_conformance.judge import mismatch, substitute
from delego_conformance.schemas import NAMES, load_schema, operation_schema, problems
from delego_conformance.vectors import DEFAULT_CTX, Vector, load_vectors

NOW = DEFAULT_CTX["now"]
CTX = dict(DEFAULT_CTX)
VECTORS = load_vectors()
SUITES = sorted({vector.suite for vector in VECTORS})

ORDER = {"instruction": "order", "method": "post", "url": "https://api.example.com/orders"}
SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"  # RFC 8032 §7.1, TEST 2
KEY = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
KID = hashlib.sha256(bytes.fromhex(KEY)).hexdigest()[:16]


def hashes(action: dict[str, Any]) -> dict[str, str]:
    hashed = {name: value for name, value in action.items() if name != "instruction"}
    found: dict[str, str] = answer("fingerprint", hashed, CTX)
    return {**found, **answer("intent_hash", {"instruction": action["instruction"]}, CTX)}


schema_of = cache(operation_schema)
load = cache(load_schema)


@pytest.mark.parametrize("name", SUITES)
def test_a_file_of_vectors_is_as_its_schema_says(name: str) -> None:
    file = resources.files("delego_conformance") / "vectors" / "v1" / f"{name}.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    assert problems(load_schema("vectors"), document) == []
    assert document["count"] == len(document["tests"])


def test_the_notes_are_as_their_schema_says_and_none_is_left_over() -> None:
    notes = json.loads((resources.files("delego_conformance") / "notes.json").read_text(encoding="utf-8"))
    assert problems(load_schema("notes"), notes) == []
    assert {flag for vector in VECTORS for flag in vector.flags} - notes.keys() == set()


@pytest.mark.parametrize("suite", SUITES)
def test_our_own_core_passes_and_says_so_in_the_shapes_of_the_schemas(suite: str) -> None:
    try:
        for vector in VECTORS:
            if vector.suite == suite:
                assert _faults(vector) == []
    finally:
        SESSIONS.close()


def _faults(vector: Vector) -> list[str]:
    bound: dict[str, Any] = {}
    for step in vector.steps:
        args = substitute(step.args, bound)
        request = {"v": 1, "id": vector.id, "op": step.op, "args": args, "ctx": step.ctx}
        reply = json.loads(answer_line(json.dumps(request).encode(), HELLO, OPERATIONS)[0])
        faults = [
            *problems(load("request"), request),
            *problems(schema_of(step.op, "args"), args),
            *problems(load("reply"), reply),
            *(problems(schema_of(step.op, "result"), reply["ok"]) if "ok" in reply else ()),
        ]
        wrong = mismatch(step.expect, reply)
        if faults or wrong:
            return [vector.id, *faults, wrong or ""]
        bound.update({name: reply["ok"][member] for name, member in step.bind.items()})
    return []


def test_the_hello_is_as_its_schema_says() -> None:
    request = {"v": 1, "id": "hello", "op": "hello", "args": {"protocol": [1]}, "ctx": CTX}
    reply = json.loads(answer_line(json.dumps(request).encode(), HELLO, OPERATIONS)[0])
    assert problems(load_schema("hello"), reply["ok"]) == []
    assert reply["ok"]["roles"] == ["authorizer", "broker", "auditor"]


def test_every_operation_has_a_schema_and_every_schema_an_operation() -> None:
    definitions = load_schema("operations")["$defs"]
    stated = {name.removesuffix(end) for name in definitions for end in (".args", ".result") if end in name}
    assert {one for one in stated if not one.endswith((".args", ".result"))} == set(OPERATIONS)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_refuses_something(name: str) -> None:
    schema = load_schema(name)
    if name == "operations":
        schema = schema_of("intent_hash", "args")
    assert problems(schema, {"unknown": 1}) != []
    assert problems(schema, []) != []


def test_the_place_of_a_problem_is_named() -> None:
    schema = operation_schema("hazards", "result")
    assert problems(schema, {"codes": ["path", "colour"]})[0].startswith("codes/1: ")
    assert problems(schema, {})[0].startswith("document: ")


def test_an_unknown_operation_is_unsupported() -> None:
    with pytest.raises(Unsupported):
        answer("fly", {}, CTX)
    with pytest.raises(Unsupported):
        answer("message_read", {"kind": "letter", "json": "{}"}, CTX)


# --- what one release can be asked ------------------------------------------------------------------------


def approval(action: dict[str, Any], status: str = "approved", **more: Any) -> dict[str, Any]:
    return {
        "id": "apr_1",
        "status": status,
        **hashes(action),
        "rule": "r",
        "summary": "POST api.example.com/orders",
        "instruction": action["instruction"],
        "approver": "alice",
        "expires_at": None,
        **more,
    }


def resolve(parked: dict[str, Any] | None, action: dict[str, Any]) -> Any:
    return answer("resolve", {"approval_id": "apr_1", "approval": parked, "action": action}, CTX)


def test_what_shares_a_fingerprint_with_the_approved_is_not_released() -> None:
    parked, other = ({**ORDER, "url": f"https://api.example.com/?to={byte}"} for byte in ("%ff", "%fe"))
    assert hashes(parked) == hashes(other)
    for status in ("approved", "pending"):
        found = resolve(approval(parked, status), other)
        assert found["outcome"] == "deny"
        assert found["status_after"] == status
        assert found["reasons"][0].startswith("hazard: query:")


def test_a_release_has_the_status_that_follows() -> None:
    assert resolve(approval(ORDER), ORDER) == {
        "outcome": "allow",
        "reasons": ["human approved by 'alice'"],
        "status_after": "consumed",
    }
    assert resolve(approval(ORDER, expires_at=NOW), ORDER)["status_after"] == "expired"
    assert resolve(approval(ORDER, "denied"), ORDER)["reasons"] == ["human denied this action"]
    assert resolve(None, ORDER)["status_after"] is None


def test_a_hazard_is_denied_before_the_policy_is_asked() -> None:
    args = {"policy_text": "default: allow", "action": {**ORDER, "url": "https://api.example.com/a/../b"}}
    found = answer("decide", args, CTX)
    assert (found["outcome"], found["rule"]) == ("deny", None)
    args["action"] = {**ORDER, "url": "http://Intranet.example/"}
    assert answer("decide", args, CTX)["outcome"] == "deny"
    assert answer("decide", {**args, "plain_http_hosts": ["Intranet.example"]}, CTX)["outcome"] == "allow"


@pytest.mark.parametrize(("age", "outcome"), [(3599.999999, "deny"), (3600, "allow"), (-0.000001, "deny")])
def test_ages_are_exact_to_the_microsecond(age: float, outcome: str) -> None:
    rule = "{name: r, decision: allow, match: {method: POST}, constraints: {rate_limit: {max: 1}}}"
    policy = f"default: deny\nrules: [{rule}]"
    args = {"policy_text": policy, "action": ORDER, "allows": [{"rule": "r", "age_seconds": age}]}
    assert answer("decide", args, CTX)["outcome"] == outcome


# --- what is refused by the adapter itself ----------------------------------------------------------------

PAYLOAD = {
    "seq": 0,
    "ts": NOW,
    "phase": "decision",
    "outcome": "deny",
    "rule": None,
    "reasons": [],
    "intent_hash": "0" * 64,
    "action_fingerprint": "0" * 64,
    "action_summary": "x",
    "approval_id": None,
    "prev_hash": "GENESIS",
}
CLAIMS = {
    "iss": "a",
    "aud": "b",
    "iat": 1767268800,
    "exp": 1767268845,
    "jti": "j",
    "cns": "c",
    "fpr": "0" * 64,
    "iht": "0" * 64,
    "pol": {"version": 1, "rule": None},
}


def test_a_receipt_is_built_only_as_receipts_are_written() -> None:
    built = answer("receipt_build", {"payload": PAYLOAD, "seed_hex": SEED}, CTX)
    check = {"public_key_hex": KEY, "message_hex": built["entry_hash"].encode().hex()}
    assert answer("ed25519_verify", {**check, "signature_hex": built["signature"]}, CTX)["valid"]
    assert not answer("ed25519_verify", {**check, "signature_hex": built["signature"].upper()}, CTX)["valid"]
    for wrong in ({"ts": "2026-01-01T12:00:00Z"}, {"seq": "0"}, {"extra": 1}, {"intent_hash": "x"}):
        with pytest.raises(Refusal):
            answer("receipt_build", {"payload": {**PAYLOAD, **wrong}, "seed_hex": SEED}, CTX)


@pytest.mark.parametrize(
    "claims",
    [
        {**CLAIMS, "nbf": 1},
        {**CLAIMS, "apr": None},
        {name: CLAIMS[name] for name in CLAIMS if name != "jti"},
        {**CLAIMS, "pol": {"version": 1}},
        {**CLAIMS, "pol": "1"},
        {**CLAIMS, "exp": 1767269101},
    ],
)
def test_claims_that_no_token_may_have_are_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as caught:
        answer("token_mint", {"claims": claims, "seed_hex": SEED, "kid": KID}, CTX)
    assert caught.value.code == "claims"


def test_the_key_id_of_a_token_is_that_of_its_key() -> None:
    with pytest.raises(Refusal) as caught:
        answer("token_mint", {"claims": CLAIMS, "seed_hex": SEED, "kid": "0" * 16}, CTX)
    assert caught.value.code == "kid"


def verify(**changed: Any) -> Any:
    token = answer("token_mint", {"claims": CLAIMS, "seed_hex": SEED, "kid": KID}, CTX)["token"]
    args = {
        "token": token,
        "keys": {KID: KEY},
        "audience": "b",
        "leeway": 0,
        "seen_jti": [],
        "consumed_cns": [],
        **changed,
    }
    return answer("token_verify", args, CTX)


def test_a_token_is_verified_and_shows_the_claims_that_it_has() -> None:
    assert verify() == {"claims": CLAIMS}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"audience": "c"}, "audience"),
        ({"seen_jti": ["j"]}, "already_consumed"),
        ({"consumed_cns": ["c"]}, "already_consumed"),
        ({"action": ORDER, "seen_jti": ["j"]}, "binding"),
        ({"keys": {KID: "00" * 32}}, "kid"),  # no key, so not one of the broker's own
        ({"leeway": 61}, "settings"),
    ],
)
def test_a_token_is_refused_with_the_code_of_the_first_step_that_fails(
    changed: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refusal) as caught:
        verify(**changed)
    assert caught.value.code == code


def test_a_plan_is_of_the_request_that_was_asked_for() -> None:
    plan = answer("broker_plan", {"action": {**ORDER, "url": "https://api.example.com/x?b=1&a=%20"}}, CTX)
    assert (plan["method"], plan["query"], plan["body_json"]) == ("POST", "a=%20&b=1", None)
    for action, code in (
        ({"action": ORDER, "action_fingerprint": "0" * 64}, "reconstruction_failed"),
        ({"action": {**ORDER, "url": "https://api.example.com/x#"}}, "fragment_present"),
        ({"action": {**ORDER, "params_json": "{"}}, "reconstruction_failed"),
    ):
        with pytest.raises(Refusal) as caught:
            answer("broker_plan", action, CTX)
        assert caught.value.code == code


def test_what_the_kit_got_wrong_is_an_error_and_no_refusal() -> None:
    with pytest.raises(KeyError):
        answer("intent_hash", {}, CTX)
    with pytest.raises(ValueError, match="base64"):
        answer("chain_verify", {"jsonl_b64": "?", "public_key_hex": KEY}, CTX)
