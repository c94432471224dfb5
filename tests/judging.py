"""Judging our own core in this process: what the runner does, without processes, order and reports."""

from __future__ import annotations

from collections.abc import Iterable

from delego_conformance.adapters.delego_spec import answer
from delego_conformance.judge import mismatch, substitute
from delego_conformance.vectors import JSONObject, Vector


def first_failure(vectors: Iterable[Vector]) -> str | None:
    """The id of the first of these vectors that the core, as it is imported here, does not pass."""
    replies: dict[str, JSONObject] = {}
    relations = []
    for vector in vectors:
        if not _passes(vector, replies):
            return vector.id
        if vector.relation is not None:
            relations.append((vector.id, vector.relation))
    for one, relation in relations:
        if relation.other in replies:
            mine, other = (replies[name]["ok"][relation.member] for name in (one, relation.other))
            if (mine == other) != (relation.kind == "same_as"):
                return one
    return None


def _passes(vector: Vector, replies: dict[str, JSONObject]) -> bool:
    bound: dict[str, object] = {}
    for step in vector.steps:
        reply = answer(step.op, substitute(step.args, bound), step.ctx)
        if mismatch(step.expect, reply) is not None:
            return False
        bound.update({name: reply["ok"][member] for name, member in step.bind.items()})
        replies[vector.id] = reply
    return True
