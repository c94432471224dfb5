"""Vectors as values: read from the files of the kit (docs/kit-protocol.md, "Vectors")."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final, Literal, TypeAlias

from delego_conformance.errors import VectorError

JSONObject: TypeAlias = dict[str, Any]
Level: TypeAlias = Literal["MUST", "SHOULD", "MAY"]
Basis: TypeAlias = Literal["spec", "reference", "proposed"]
Role: TypeAlias = Literal["authorizer", "broker", "auditor"]

SCHEMA: Final = "delego-conformance-vectors-1"
DEFAULT_CTX: Final[Mapping[str, str]] = {"spec": "0.3", "now": "2026-01-01T12:00:00.000000+00:00"}


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a vector. ``expect`` is as in the file; ``bind`` names members for later steps."""

    op: str
    args: JSONObject
    ctx: JSONObject
    expect: JSONObject
    bind: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Relation:
    """What the answer of a vector has to do with that of another one."""

    kind: Literal["same_as", "differs_from"]
    other: str  # id
    member: str  # of both results


@dataclass(frozen=True, slots=True)
class Vector:
    """One thing that an implementation has to get right."""

    id: str
    name: str
    comment: str
    suite: str
    section: str  # of SPEC.md, without the sign
    clauses: tuple[str, ...]  # as in "§4-3"
    errata: tuple[int, ...]
    level: Level
    basis: Basis
    roles: tuple[Role, ...]
    requires: tuple[str, ...]  # features
    flags: tuple[str, ...]
    steps: tuple[Step, ...]  # one, unless the file says "steps"
    control: str | None = None
    relation: Relation | None = None
    trace: tuple[tuple[str, str], ...] = ()  # label, text: the bytes on the way to the answer

    @property
    def op(self) -> str:
        """The operation, or ``session`` for a sequence."""
        return self.steps[0].op if len(self.steps) == 1 else "session"

    def facts(self) -> JSONObject:
        """What every list of vectors says of each, as JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "comment": self.comment,
            "suite": self.suite,
            "section": self.section,
            "level": self.level,
            "basis": self.basis,
            "roles": list(self.roles),
            "requires": list(self.requires),
        }


def load_vectors() -> tuple[Vector, ...]:
    """All vectors that ship with the kit, in the order of their files. Raises VectorError."""
    folder = resources.files("delego_conformance") / "vectors" / "v1"
    found = [item for item in folder.iterdir() if item.name.endswith(".json")]
    return read_suites(sorted(found, key=lambda item: item.name))


def load_notes() -> dict[str, JSONObject]:
    """What each flag stands for: ``bugType``, ``description``, ``effect``."""
    return _json(resources.files("delego_conformance") / "notes.json")


def read_suites(files: Iterable[Traversable]) -> tuple[Vector, ...]:
    """The vectors of these files; raises VectorError if one is malformed or an id stands twice."""
    vectors = tuple(vector for file in files for vector in read_suite(_json(file), file.name))
    known: set[str] = set()
    for vector in vectors:
        if vector.id in known:
            raise VectorError(vector.id, "stands twice")
        known.add(vector.id)
    for vector in vectors:
        others = [vector.control, vector.relation.other if vector.relation else None]
        for other in others:
            if other is not None and other not in known:
                raise VectorError(vector.id, f"names {other}, which does not exist")
    return vectors


def read_suite(document: JSONObject, source: str) -> Iterable[Vector]:
    """The vectors of one parsed file; ``source`` is its name, for errors."""
    if document.get("schema") != SCHEMA:
        raise VectorError(source, f"schema is {document.get('schema')!r}, not {SCHEMA!r}")
    for test in document["tests"]:
        try:
            yield _vector(test, document["suite"])
        except (KeyError, TypeError, AttributeError) as error:
            raise VectorError(str(test.get("id", source)), f"is malformed: {error!r}") from None


def _vector(test: JSONObject, suite: str) -> Vector:
    steps = test.get("steps", [test])
    relation = None
    if "relation" in test:
        stated = dict(test["relation"])
        member = stated.pop("member")
        ((kind, other),) = stated.items()
        relation = Relation(kind, other, member)
    return Vector(
        id=test["id"],
        name=test["name"],
        comment=test["comment"],
        suite=suite,
        section=test["section"],
        clauses=tuple(test["clauses"]),
        errata=tuple(test.get("errata", ())),
        level=test["level"],
        basis=test["basis"],
        roles=tuple(test["roles"]),
        requires=tuple(test.get("requires", ())),
        flags=tuple(test.get("flags", ())),
        steps=tuple(_step(step) for step in steps),
        control=test.get("control"),
        relation=relation,
        trace=tuple((item["label"], item["text"]) for item in test.get("trace", ())),
    )


def _step(step: JSONObject) -> Step:
    ctx = {**DEFAULT_CTX, **step.get("ctx", {})}
    return Step(step["op"], step["args"], ctx, step["expect"], dict(step.get("bind", {})))


def _json(file: Traversable) -> JSONObject:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VectorError(file.name, f"cannot be read: {error}") from None
    if not isinstance(document, dict):
        raise VectorError(file.name, "is not an object")
    return document
