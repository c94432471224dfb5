"""Judging our own core in this process: what the runner does, without processes, order and reports."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from delego_conformance.adapters.base import answer_line
from delego_conformance.adapters.delego_spec import HELLO, OPERATIONS
from delego_conformance.judge import mismatch, substitute
from delego_conformance.vectors import JSONObject, Vector


def first_failure(vectors: Iterable[Vector]) -> str | None:
    """The id of the first of these vectors that the core, as it is imported here, does not pass."""
    replies: dict[str, JSONObject] = {}
    judged = []
    for vector in vectors:
        if not _passes(vector, replies):
            return vector.id
        judged.append(vector)
    for vector in judged:
        relation = vector.relation
        if relation is not None and relation.other in replies:
            mine, other = (replies[one]["ok"][relation.member] for one in (vector.id, relation.other))
            if (mine == other) != (relation.kind == "same_as"):
                return vector.id
    return None


def _passes(vector: Vector, replies: dict[str, JSONObject]) -> bool:
    bound: dict[str, Any] = {}
    for step in vector.steps:
        request = {
            "v": 1,
            "id": vector.id,
            "op": step.op,
            "args": substitute(step.args, bound),
            "ctx": step.ctx,
        }
        line, _ = answer_line(json.dumps(request).encode(), HELLO, OPERATIONS)
        reply: JSONObject = json.loads(line)
        if mismatch(step.expect, reply) is not None:
            return False
        bound.update({name: reply["ok"][member] for name, member in step.bind.items()})
        replies[vector.id] = reply
    return True
