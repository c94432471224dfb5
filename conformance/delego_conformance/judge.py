"""Whether a reply is as expected (docs/kit-protocol.md, "Vectors"). Pure; raises on no reply whatever."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from delego_conformance.independent import jws_problem, receipts_problem
from delego_conformance.strict_json import is_same
from delego_conformance.vectors import JSONObject, Relation

__all__ = ["choice", "is_same", "mismatch", "relation_mismatch", "shown", "substitute"]

LONGEST: Final = 160  # characters of one value in a line
_AROUND: Final = 40  # characters before the place where two long texts part


def mismatch(expect: JSONObject, reply: JSONObject) -> str | None:
    """What was expected and what came, in a line; None if the reply is as expected."""
    if "any" in expect:
        found = [mismatch(one, reply) for one in expect["any"]]
        if None in found:
            return None
        wanted = " or ".join(_wanted(one) for one in expect["any"])
        return f"expected {wanted}; got {_got(reply)}"
    if "refused" in expect:
        return _refusal_mismatch(expect, reply)
    return _result_mismatch(expect, reply)


def choice(expect: JSONObject, reply: JSONObject) -> int:
    """Which of the answers allowed this one is, counted from 0; 0 where there is but one."""
    return next((at for at, one in enumerate(expect.get("any", ())) if mismatch(one, reply) is None), 0)


def relation_mismatch(relation: Relation, reply: JSONObject, other: JSONObject) -> str | None:
    """What is wrong between two answers that have to be equal, or to differ, in one member; or None."""
    name = relation.member
    values = []
    for where, one in (("", reply), (f" of {relation.other}", other)):
        result = one.get("ok")
        if not isinstance(result, dict) or name not in result:
            return f"expected a result{where} with {name}; got {_got(one)}"
        values.append(result[name])
    if is_same(*values) is (relation.kind == "same_as"):
        return None
    if relation.kind == "same_as":
        return f"expected {name} as in {relation.other}, {shown(values[1])}; got {shown(values[0])}"
    return f"expected another {name} than in {relation.other}; got {shown(values[0])} in both"


def substitute(args: Any, bindings: Mapping[str, Any]) -> Any:
    """A copy of ``args`` in which each text that is exactly ``${name}`` is replaced by its binding."""
    if isinstance(args, dict):
        return {key: substitute(value, bindings) for key, value in args.items()}
    if isinstance(args, list):
        return [substitute(value, bindings) for value in args]
    if isinstance(args, str) and args.startswith("${") and args.endswith("}"):
        return bindings.get(args[2:-1], args)
    return args


def shown(value: Any) -> str:
    """A value as JSON in ASCII, on one line, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _refusal_mismatch(expect: JSONObject, reply: JSONObject) -> str | None:
    wanted, got = expect["refused"], reply.get("refused")
    if not isinstance(got, dict):
        return f"expected {_wanted(expect)}; got {_got(reply)}"
    if "codes" in wanted and not any(is_same(code, got.get("code")) for code in wanted["codes"]):
        return f"expected {_wanted(expect)}; got {_got(reply)}"
    message = got.get("message")
    words = message if isinstance(message, str) else ""
    for word in wanted.get("message_contains", ()):
        if word not in words:
            return f"expected a message with {shown(word)}; got {shown(message)}"
    return None


def _result_mismatch(expect: JSONObject, reply: JSONObject) -> str | None:
    result = reply.get("ok")
    if not isinstance(result, dict):
        return f"expected {_wanted(expect)}; got {_got(reply)}"
    for name, value in expect.get("ok", {}).items():
        if name not in result:
            return f"expected {name} {shown(value)}; got a result without {name}"
        if not is_same(value, result[name]):
            return _difference(name, value, result[name])
    if "jws" in expect:
        jws = expect["jws"]
        found = jws_problem(result.get("token"), jws["header"], jws["claims"], jws["public_key_hex"])
        if found is not None:
            return f"expected a token with the header and claims given; {found}"
    if "receipts" in expect:
        found = receipts_problem(result.get("jsonl_b64"), result.get("public_key_hex"), expect["receipts"])
        if found is not None:
            return f"expected a sound chain of {len(expect['receipts'])} receipts; {found}"
    return None


def _difference(name: str, wanted: Any, got: Any) -> str:
    if not isinstance(wanted, str) or not isinstance(got, str):
        return f"expected {name} {shown(wanted)}; got {shown(got)}"
    if len(wanted) <= LONGEST and len(got) <= LONGEST:
        return f"expected {name} {shown(wanted)}; got {shown(got)}"
    pairs = enumerate(zip(wanted, got, strict=False))
    at = next((place for place, (left, right) in pairs if left != right), min(len(wanted), len(got)))
    start = max(0, at - _AROUND)
    dots = "…" if start else ""
    return f"expected {name} {dots}{shown(wanted[start:])}; got {dots}{shown(got[start:])} (character {at})"


def _wanted(expect: JSONObject) -> str:
    """What is expected, in words."""
    if "any" in expect:
        return " or ".join(_wanted(one) for one in expect["any"])
    if "refused" in expect:
        codes = expect["refused"].get("codes")
        return f"a refusal with the code {' or '.join(map(str, codes))}" if codes else "a refusal"
    members = expect.get("ok", {})
    return f"the result {shown(members)}" if members else "a result"


def _got(reply: JSONObject) -> str:
    """What came, in words."""
    for kind, words in (("ok", "the result"), ("refused", "the refusal"), ("error", "the error")):
        if kind in reply:
            return f"{words} {shown(reply[kind])}"
    if "unsupported" in reply:
        return f"unsupported {shown(reply['unsupported'])}"
    return f"no answer: {shown(reply)}"
