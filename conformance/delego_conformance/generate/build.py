"""How the suites state vectors, and how these become files.

A suite module has ``SUITE = Suite("fingerprint", "FP", "Action fingerprints", section="4")`` and calls
``SUITE.add(...)`` once per vector, at import. A vector is known by its slug; its id is looked up in
``ids.json``, which only ever grows, so that ids stay what they are when vectors are added in between.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from delego_conformance.vectors import DEFAULT_CTX, SCHEMA, Basis, JSONObject, Level, Role

ROLES: Final[Mapping[str, tuple[Role, ...]]] = {
    "canonicalize": ("authorizer", "broker", "auditor"),
    "intent_hash": ("authorizer",),
    "fingerprint": ("authorizer", "broker"),
    "hazards": ("authorizer",),
    "policy_load": ("authorizer",),
    "decide": ("authorizer",),
    "resolve": ("authorizer",),
    "receipt_build": ("authorizer",),
    "chain_verify": ("auditor",),
    "ed25519_verify": ("broker", "auditor"),
    "token_mint": ("authorizer",),
    "token_verify": ("broker",),
    "broker_plan": ("broker",),
    "callback_verify": ("authorizer",),
    "message_read": ("authorizer", "broker"),
}


def ok(**members: Any) -> JSONObject:
    """Expected: a result with these members; ``COMPUTED`` ones are filled in from the core's answer."""
    return {"ok": members}


def refused(*codes: str, says: Sequence[str] = ()) -> JSONObject:
    """Expected: a refusal, with one of these codes if any are given, and with all these words."""
    expected: JSONObject = {}
    if codes:
        expected["codes"] = list(codes)
    if says:
        expected["message_contains"] = list(says)
    return {"refused": expected}


def either(*expected: JSONObject) -> JSONObject:
    """Expected: one of these."""
    return {"any": list(expected)}


COMPUTED: Final = "\u0000computed"  # stands for a member whose value the core gives


def action(
    url: str = "https://api.example.com/accounts/me",
    *,
    method: str = "GET",
    params_json: str | None = "{}",
    instruction: str = "read my account details",
) -> JSONObject:
    """An action as requests carry it."""
    found: JSONObject = {"instruction": instruction, "method": method, "url": url}
    if params_json is not None:
        found["params_json"] = params_json
    return found


def b64(data: bytes) -> str:
    """Standard base64, as ``jsonl_b64`` wants it."""
    return base64.b64encode(data).decode("ascii")


@dataclass(frozen=True, slots=True)
class Stated:
    """One vector as its suite states it; ids are slugs still."""

    slug: str
    comment: str
    steps: list[JSONObject]
    is_sequence: bool
    section: str
    clauses: tuple[str, ...]
    errata: tuple[int, ...]
    level: Level
    basis: Basis
    roles: tuple[Role, ...]
    requires: tuple[str, ...]
    flags: tuple[str, ...]
    control: str | None
    relation: tuple[str, str, str] | None  # kind, slug, member
    trace: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Suite:
    """A file of vectors in the making. ``prefix`` begins its ids (FP-0042)."""

    name: str
    prefix: str
    title: str
    section: str
    stated: list[Stated] = field(default_factory=list)

    def add(
        self,
        slug: str,
        comment: str,
        op: str,
        args: JSONObject,
        expect: JSONObject,
        *,
        clauses: str | Sequence[str],
        errata: int | Sequence[int] = (),
        level: Level = "MUST",
        basis: Basis = "spec",
        roles: Sequence[Role] | None = None,
        requires: Sequence[str] = (),
        flags: Sequence[str] = (),
        control: str | None = None,
        same_as: tuple[str, str] | None = None,
        differs_from: tuple[str, str] | None = None,
        ctx: JSONObject | None = None,
        section: str | None = None,
        trace: Iterable[tuple[str, str]] = (),
    ) -> str:
        """State one vector of one request; gives its slug.

        ``clauses`` as in ``"4-3 4-4"``; ``same_as``/``differs_from`` are (slug, member of the result).
        """
        step: JSONObject = {"op": op, "args": args, "expect": expect}
        if ctx:
            step["ctx"] = ctx
        return self._state(
            slug, comment, [step], False, clauses, errata, level, basis,
            tuple(roles) if roles is not None else ROLES[op],
            requires, flags, control, same_as, differs_from, section, trace,
        )  # fmt: skip

    def sequence(
        self,
        slug: str,
        comment: str,
        steps: Sequence[JSONObject],
        *,
        clauses: str | Sequence[str],
        errata: int | Sequence[int] = (),
        level: Level = "MUST",
        basis: Basis = "spec",
        roles: Sequence[Role] = ("authorizer",),
        requires: Sequence[str] = ("session",),
        flags: Sequence[str] = (),
        control: str | None = None,
        section: str | None = None,
    ) -> str:
        """State one vector of several requests (see ``step``); gives its slug."""
        return self._state(
            slug, comment, list(steps), True, clauses, errata, level, basis, tuple(roles),
            requires, flags, control, None, None, section, (),
        )  # fmt: skip

    def _state(
        self,
        slug: str,
        comment: str,
        steps: list[JSONObject],
        is_sequence: bool,
        clauses: str | Sequence[str],
        errata: int | Sequence[int],
        level: Level,
        basis: Basis,
        roles: tuple[Role, ...],
        requires: Sequence[str],
        flags: Sequence[str],
        control: str | None,
        same_as: tuple[str, str] | None,
        differs_from: tuple[str, str] | None,
        section: str | None,
        trace: Iterable[tuple[str, str]],
    ) -> str:
        if any(known.slug == slug for known in self.stated):
            raise ValueError(f"{self.name}: {slug!r} is stated twice")
        relation = None
        if same_as is not None:
            relation = ("same_as", *same_as)
        elif differs_from is not None:
            relation = ("differs_from", *differs_from)
        named = clauses.split() if isinstance(clauses, str) else list(clauses)
        self.stated.append(
            Stated(
                slug=slug,
                comment=comment,
                steps=steps,
                is_sequence=is_sequence,
                section=section or self.section,
                clauses=tuple(f"§{clause}" for clause in named),
                errata=(errata,) if isinstance(errata, int) else tuple(errata),
                level=level,
                basis=basis,
                roles=roles,
                requires=tuple(requires),
                flags=tuple(flags),
                control=control,
                relation=relation,
                trace=tuple(trace),
            )
        )
        return slug


def step(
    op: str,
    args: JSONObject | None = None,
    expect: JSONObject | None = None,
    *,
    bind: Mapping[str, str] | None = None,
    ctx: JSONObject | None = None,
) -> JSONObject:
    """One request of a sequence; without ``expect`` any result will do."""
    found: JSONObject = {"op": op, "args": args or {}, "expect": expect or ok()}
    if bind:
        found["bind"] = dict(bind)
    if ctx:
        found["ctx"] = ctx
    return found


def document(suite: Suite, ids: Mapping[str, str]) -> JSONObject:
    """The file of a suite; ``ids`` maps ``suite/slug`` to ids. Expectations are complete by now."""
    return {
        "schema": SCHEMA,
        "suite": suite.name,
        "title": suite.title,
        "count": len(suite.stated),
        "tests": [_test(suite, stated, ids) for stated in suite.stated],
    }


def full_ctx(ctx: JSONObject | None) -> JSONObject:
    """``ctx`` with the defaults of the kit."""
    return {**DEFAULT_CTX, **(ctx or {})}


def encode(value: JSONObject) -> str:
    """How files of the kit are written: stable, one line feed at the end, readable in a diff."""
    return json.dumps(value, ensure_ascii=True, indent=1) + "\n"


def _test(suite: Suite, stated: Stated, ids: Mapping[str, str]) -> JSONObject:
    def id_of(slug: str) -> str:
        return ids[slug if "/" in slug else f"{suite.name}/{slug}"]

    test: JSONObject = {
        "id": id_of(stated.slug),
        "name": stated.slug,
        "comment": stated.comment,
        "section": stated.section,
        "clauses": list(stated.clauses),
        "level": stated.level,
        "basis": stated.basis,
        "roles": list(stated.roles),
    }
    if stated.errata:
        test["errata"] = list(stated.errata)
    if stated.requires:
        test["requires"] = list(stated.requires)
    if stated.flags:
        test["flags"] = list(stated.flags)
    if stated.is_sequence:
        test["steps"] = stated.steps
    else:
        test.update(stated.steps[0])
    if stated.control is not None:
        test["control"] = id_of(stated.control)
    if stated.relation is not None:
        kind, slug, member = stated.relation
        test["relation"] = {kind: id_of(slug), "member": member}
    if stated.trace:
        test["trace"] = [{"label": label, "text": text} for label, text in stated.trace]
    return test
