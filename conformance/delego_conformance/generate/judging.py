"""Whether a reply is as expected (docs/kit-protocol.md, "Vectors")."""

from __future__ import annotations

from typing import Any

from delego_conformance.vectors import JSONObject


def mismatch(expect: JSONObject, reply: JSONObject) -> str | None:
    """What is wrong with a reply, in a line; None if it is as expected."""
    if "any" in expect:
        found = [mismatch(one, reply) for one in expect["any"]]
        return None if None in found else "; ".join(text for text in found if text is not None)
    if "refused" in expect:
        if "refused" not in reply:
            return f"expected a refusal, got {next(iter(reply))}"
        wanted, got = expect["refused"], reply["refused"]
        if "codes" in wanted and got["code"] not in wanted["codes"]:
            return f"refused with the code {got['code']!r}"
        lacking = [word for word in wanted.get("message_contains", ()) if word not in got["message"]]
        return f"the message lacks {lacking[0]!r}" if lacking else None
    if "ok" not in reply:
        return f"expected a result, got {next(iter(reply))}"
    for member, value in expect["ok"].items():
        if member not in reply["ok"]:
            return f"{member} is missing"
        if not same(value, reply["ok"][member]):
            return f"{member} differs"
    return None


def same(left: Any, right: Any) -> bool:
    """JSON equality, strict in type at every depth."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def substitute(args: Any, bindings: dict[str, Any]) -> Any:
    """``args`` with each text that is exactly ``${name}`` replaced."""
    if isinstance(args, dict):
        return {key: substitute(value, bindings) for key, value in args.items()}
    if isinstance(args, list):
        return [substitute(value, bindings) for value in args]
    if isinstance(args, str) and args.startswith("${") and args.endswith("}"):
        return bindings.get(args[2:-1], args)
    return args
