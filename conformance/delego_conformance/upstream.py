"""Vectors made of the published files of the public specification, read where its user keeps them.

    delego-conformance run --upstream ../specification/ctk -- ./my-implementation

The published files compare texts of problems; here these become codes, so that an implementation in any
language can answer them. Hashes made by the rules of wire version 0.2 are asked for as such ([§4-12]).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from delego_conformance.errors import UpstreamError
from delego_conformance.vectors import DEFAULT_CTX, Basis, JSONObject, Role, Step, Vector

SUITE: Final = "upstream"
FILES: Final = (
    "hashing.json",
    "hashing-v0.2.json",
    "decisions.json",
    "policy.example.yaml",
    "chain.jsonl",
    "chain.expected.json",
    "chain.tampered.jsonl",
    "chain.tampered.expected.json",
    "signing_key.pub",
)
_MAX_BYTES: Final = 16 * 1024 * 1024
_OLD_CTX: Final = {**DEFAULT_CTX, "spec": "0.2"}

# The frozen texts of §8.1, and the code that stands beside each.
_PROBLEM: Final = re.compile(r"(?P<kind>seq|line) (?P<place>0|[1-9][0-9]{0,15}): (?P<text>.*)", re.DOTALL)
_CODES: Final = (
    (re.compile(r"content hash mismatch \(tampered\)"), "content"),
    (re.compile(r"broken chain link"), "linkage"),
    (re.compile(r"bad signature"), "signature"),
    (re.compile(r"missing field\(s\) \[.*\] \(tampered\)"), "structure"),
    (re.compile(r"unparseable receipt \(corrupt\)"), "structure"),
)


def load_upstream(folder: Path) -> tuple[Vector, ...]:
    """The published vectors in ``folder``; raises UpstreamError if a file is missing or not understood.

    Files that are not in ``FILES`` are ignored.
    """
    files = {name: _read(folder / name) for name in FILES}
    key = _public_key(files["signing_key.pub"])
    return (
        *_hashing("hashing", _cases("hashing.json", files), DEFAULT_CTX),
        *_hashing("hashing-v0.2", _cases("hashing-v0.2.json", files), _OLD_CTX),
        *_decisions(files),
        _chain("chain", files, key, control=None),
        _chain("chain.tampered", files, key, control="UP-chain-01"),
    )


def _vector(
    id: str, name: str, comment: str, step: Step, section: str, clauses: str, roles: tuple[Role, ...],
    *, basis: Basis, errata: int, requires: tuple[str, ...] = (), control: str | None = None,
) -> Vector:  # fmt: skip
    return Vector(
        id=id,
        name=name,
        comment=comment,
        suite=SUITE,
        section=section,
        clauses=tuple(f"§{clause}" for clause in clauses.split()),
        errata=(errata,),
        level="MUST",
        basis=basis,
        roles=roles,
        requires=requires,
        flags=(),
        steps=(step,),
        control=control,
    )


def _hashing(stem: str, cases: list[JSONObject], ctx: Mapping[str, str]) -> Iterator[Vector]:
    """Three vectors a case: the fingerprint, the intent hash, and the canonical text of both preimages."""
    old = ctx["spec"] == "0.2"
    for number, case in enumerate(cases, 1):
        place = f"{stem}.json[{number - 1}]"
        action = _action(case, place)
        request = {name: action[name] for name in ("method", "url", "params_json")}
        expected = {"ok": {"action_fingerprint": _hash(case, "action_fingerprint", place)}}
        yield _vector(
            f"UP-{stem}-{number:02}-fingerprint",
            f"{stem}-{number:02}",
            f"The published action fingerprint of: {action['instruction']}",
            Step("fingerprint", request, dict(ctx), expected),
            "4", "4-12" if old else "4-4", ("authorizer", "broker"),
            basis="spec", errata=52 if old else 53, requires=("spec-0.2",) if old else (),
        )  # fmt: skip
        if old:  # the rest is as in 0.3
            continue
        instruction = {"instruction": action["instruction"]}
        expected = {"ok": {"intent_hash": _hash(case, "intent_hash", place)}}
        yield _vector(
            f"UP-{stem}-{number:02}-intent",
            f"{stem}-{number:02}-intent",
            f"The published intent hash of: {action['instruction']}",
            Step("intent_hash", instruction, dict(ctx), expected),
            "4", "4-3", ("authorizer",), basis="spec", errata=53,
        )  # fmt: skip
        text = _text(case, "fingerprint_canonical_json", place)
        yield _vector(
            f"UP-{stem}-{number:02}-canonical",
            f"{stem}-{number:02}-canonical",
            "The published preimage of a fingerprint, from the same value with other spacing and order.",
            Step("canonicalize", {"json": _respelled(text, place)}, dict(ctx), {"ok": {"canonical": text}}),
            "3", "3-1", ("authorizer", "broker", "auditor"), basis="spec", errata=53,
        )  # fmt: skip


def _respelled(text: str, place: str) -> str:
    value = _parse(text, f"{place}: fingerprint_canonical_json")
    if not isinstance(value, dict):
        raise UpstreamError(place, "fingerprint_canonical_json is no object")
    return json.dumps(dict(reversed(value.items())), indent=1)


def _decisions(files: dict[str, bytes]) -> Iterator[Vector]:
    policy = _decoded("policy.example.yaml", files)
    for number, case in enumerate(_cases("decisions.json", files), 1):
        place = f"decisions.json[{number - 1}]"
        action = _action(case, place)
        expected: JSONObject = {"outcome": _text(case, "outcome", place)}
        rule, reasons = case.get("rule"), case.get("reasons")
        if rule is not None and not isinstance(rule, str):
            raise UpstreamError(place, "rule is neither text nor null")
        if not isinstance(reasons, list) or not all(isinstance(reason, str) for reason in reasons):
            raise UpstreamError(place, "reasons is no list of texts")
        expected |= {"rule": rule, "reasons": reasons}
        args = {"policy_text": policy, "action": action, "allows": []}
        yield _vector(
            f"UP-decisions-{number:02}",
            f"decisions-{number:02}",
            f"The published decision, with an empty ledger, about: {action['instruction']}",
            Step("decide", args, dict(DEFAULT_CTX), {"ok": expected}),
            "6", "6-1 6-4 6-6", ("authorizer",), basis="reference", errata=29,
        )  # fmt: skip


def _chain(stem: str, files: dict[str, bytes], key: str, *, control: str | None) -> Vector:
    source = f"{stem}.expected.json"
    stated = _parse(_decoded(source, files), source)
    if not isinstance(stated, dict) or not isinstance(stated.get("valid"), bool):
        raise UpstreamError(source, "has no member valid that is true or false")
    problems = stated.get("problems")
    if not isinstance(problems, list):
        raise UpstreamError(source, "has no list of problems")
    expected = {"valid": stated["valid"], "problems": [_problem(text, source) for text in problems]}
    encoded = base64.b64encode(files[f"{stem}.jsonl"]).decode()
    args = {"jsonl_b64": encoded, "public_key_hex": key}
    verdict = "is valid" if stated["valid"] else "has exactly the problems that were published with it"
    return _vector(
        f"UP-{stem}-01", stem, f"The published {stem}.jsonl {verdict}; its fingerprints are of wire 0.2.",
        Step("chain_verify", args, dict(DEFAULT_CTX), {"ok": expected}),
        "8.1", "8.1-1 8.1-3", ("auditor",), basis="reference", errata=38, control=control,
    )  # fmt: skip


def _problem(text: object, source: str) -> JSONObject:
    """``seq 0: bad signature`` as place and code."""
    found = _PROBLEM.fullmatch(text) if isinstance(text, str) else None
    if found is not None:
        for pattern, code in _CODES:
            if pattern.fullmatch(found["text"]):
                return {found["kind"]: int(found["place"]), "code": code}
    raise UpstreamError(source, f"has the problem {str(text)[:80]!r}, which no code stands for")


def _action(case: JSONObject, place: str) -> JSONObject:
    """The action as requests carry it; numbers keep the spelling that Python gives them."""
    action = case.get("action")
    if not isinstance(action, dict):
        raise UpstreamError(place, "has no action")
    found: JSONObject = {name: _text(action, name, place) for name in ("instruction", "method", "url")}
    if not isinstance(action.get("params"), dict):
        raise UpstreamError(place, "params is no object")
    return {**found, "params_json": json.dumps(action["params"], ensure_ascii=False)}


def _text(case: JSONObject, name: str, place: str) -> str:
    value = case.get(name)
    if not isinstance(value, str):
        raise UpstreamError(place, f"{name} is missing or no text")
    return value


def _hash(case: JSONObject, name: str, place: str) -> str:
    value = _text(case, name, place)
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise UpstreamError(place, f"{name} is not 64 lower-case hexadecimal digits")
    return value


def _cases(name: str, files: dict[str, bytes]) -> list[JSONObject]:
    cases = _parse(_decoded(name, files), name)
    if not isinstance(cases, list) or not cases or not all(isinstance(case, dict) for case in cases):
        raise UpstreamError(name, "is no list of objects")
    return cases


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UpstreamError(path.name, f"cannot be read: {reason.lower()}") from None
    if len(content) > _MAX_BYTES:
        raise UpstreamError(path.name, f"is larger than {_MAX_BYTES} bytes")
    return content


def _decoded(name: str, files: dict[str, bytes]) -> str:
    try:
        return files[name].decode()
    except UnicodeDecodeError as error:
        raise UpstreamError(name, f"is not UTF-8 at byte {error.start}") from None


def _parse(text: str, place: str) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_members)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate could not be sent
    except (ValueError, RecursionError) as error:
        line = str(error).splitlines()[0]
        raise UpstreamError(place, f"is not JSON: {line}") from None
    return value


def _members(pairs: list[tuple[str, Any]]) -> JSONObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member stands twice")
    return found


def _public_key(pem: bytes) -> str:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise UpstreamError("signing_key.pub", "is no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UpstreamError("signing_key.pub", "is no Ed25519 key")
    return key.public_bytes_raw().hex()
