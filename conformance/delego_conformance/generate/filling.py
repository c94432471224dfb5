"""Asks our own core for every vector: fills in what is to be computed, and compares what was written by hand.

An expectation that was written by hand and differs from the answer is a fault, in one of the two. Nobody
but a person can say in which, so nothing is written then.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from delego_conformance.adapters.base import answer_line
from delego_conformance.adapters.delego_spec import HELLO, OPERATIONS
from delego_conformance.generate.build import COMPUTED, Stated, Suite, full_ctx
from delego_conformance.generate.traces import trace_of
from delego_conformance.judge import is_same, mismatch, shown, substitute
from delego_conformance.vectors import JSONObject


@dataclass(frozen=True, slots=True)
class Answered:
    """A vector as it will be written, and what the core answered to each of its requests."""

    stated: Stated
    replies: tuple[JSONObject, ...]


def ask(op: str, args: JSONObject, ctx: JSONObject) -> JSONObject:
    """The core's reply, through the same JSON as over the wire, without its id."""
    request = {"v": 1, "id": "generate", "op": op, "args": args, "ctx": ctx}
    line, _ = answer_line(json.dumps(request).encode(), HELLO, OPERATIONS)
    reply: JSONObject = json.loads(line)
    del reply["id"]
    return reply


def fill(suite: Suite, stated: Stated) -> tuple[Answered, list[str]]:
    """The completed vector, and what disagrees with the core in it."""
    steps, replies, faults = [], [], []
    bindings: dict[str, Any] = {}
    try:
        for number, one in enumerate(stated.steps, 1):
            where = f"{suite.name}/{stated.slug}" + (f" step {number}" if stated.is_sequence else "")
            reply = ask(one["op"], substitute(one["args"], bindings), full_ctx(one.get("ctx")))
            expect = _filled(one["expect"], reply)
            if _has_computed(expect):
                problem: str | None = f"nothing to compute a member from; got {shown(reply)}"
            else:
                problem = mismatch(expect, reply)
            if problem is not None:
                faults.append(f"{where}: {problem}")
            for name, member in one.get("bind", {}).items():
                if member in reply.get("ok", {}):
                    bindings[name] = reply["ok"][member]
                else:
                    faults.append(f"{where}: binds {member!r}, which the answer does not have")
            steps.append({**one, "expect": expect})
            replies.append(reply)
    finally:
        if any(one["op"].startswith("session.") for one in stated.steps) and "session.close" in OPERATIONS:
            ask("session.close", {}, full_ctx(None))
    trace = stated.trace or (() if stated.is_sequence else trace_of(steps[0], replies[0]))
    return Answered(replace(stated, steps=steps, trace=tuple(trace)), tuple(replies)), faults


def check_together(answers: Mapping[str, Answered]) -> Iterator[tuple[str, str]]:
    """Controls and relations that our own answers do not bear out: (``suite/slug``, what is wrong).

    ``answers`` maps ``suite/slug`` to what was answered.
    """
    for name, answered in answers.items():
        suite = name.partition("/")[0]
        stated = answered.stated
        if stated.control is not None:
            control = answers.get(_full(suite, stated.control))
            if control is None:
                yield name, f"the control {stated.control!r} does not exist"
            elif _kinds(answered) == _kinds(control) and not _leaves_open(stated):
                yield name, f"the control {stated.control!r} has the same kind of answer: {_kinds(control)}"
        if stated.relation is not None:
            kind, slug, member = stated.relation
            other = answers.get(_full(suite, slug))
            problem = (
                f"{slug!r} does not exist" if other is None else _unrelated(answered, other, kind, member)
            )
            if problem is not None:
                yield name, f"relation {kind} {slug!r}: {problem}"


def _full(suite: str, slug: str) -> str:
    return slug if "/" in slug else f"{suite}/{slug}"


def _unrelated(one: Answered, other: Answered, kind: str, member: str) -> str | None:
    values = []
    for answered in (one, other):
        result = answered.replies[0].get("ok", {})
        if member not in result:
            return f"{answered.stated.slug!r} has no {member!r}"
        values.append(result[member])
    if is_same(*values) is (kind == "same_as"):
        return None
    return f"{member} is {shown(values[0])} and {shown(values[1])}"


def _leaves_open(stated: Stated) -> bool:
    """Whether several kinds of answer are right: then the twin shows that the input was understood at all."""
    return any("any" in step["expect"] for step in stated.steps)


def _kinds(answered: Answered) -> list[str]:
    """Of each step, whether it says yes or no; in a sequence, of those alone that can say either."""
    kinds = [_kind(reply) for reply in answered.replies]
    return kinds if not answered.stated.is_sequence else [kind for kind in kinds if kind != "a result"]


def _kind(reply: JSONObject) -> str:
    if "ok" not in reply:
        return next(iter(reply))
    result = reply["ok"]
    for member in ("outcome", "valid", "accepted", "decision", "effects"):
        if member in result:
            return f"{member} {result[member]}"
    if "codes" in result:
        return "hazards" if result["codes"] else "no hazards"
    return "a result"


def _filled(expect: JSONObject, reply: JSONObject) -> JSONObject:
    expect = copy.deepcopy(expect)
    if "any" in expect:
        return {"any": [_filled(one, reply) for one in expect["any"]]}
    result = reply.get("ok", {})
    for member, value in expect.get("ok", {}).items():
        if value == COMPUTED and member in result:
            expect["ok"][member] = result[member]
    return expect


def _has_computed(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_computed, value.values()))
    if isinstance(value, list):
        return any(map(_has_computed, value))
    return bool(value == COMPUTED)
